/* What workers say: who they are is the shell's business, and so are their parts; the rest goes to the
 * state machine. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_process.h"
#include "dataflow/df_build.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_DESCRIPTORS      128u /* that a coordinator needs without workers */
#define SERVER_PEER_DESCRIPTORS 8u   /* for a worker, at most */
#define SERVER_BEHIND_US 3000000u /* so long holds what a worker has said */

/* ---- the table ---- */

server_peer *server_peer_find(const coord_server *server, uint64_t id)
{
    uint32_t row = proto_index_find(&server->peer_rows, id);

    return row == PROTO_NONE ? NULL : &server->peers[row];
}

/* The table was changed otherwise than at its end. */
static void peers_note(coord_server *s)
{
    s->roster.whole = false;
    proto_index_clear(&s->peer_rows);
    for (uint32_t i = 0; i < s->peer_count; i++)
        proto_index_put(&s->peer_rows, s->peers[i].id, i);
}

void server_peer_forget(coord_server *server, uint64_t id)
{
    server_peer *peer = server_peer_find(server, id);

    if (peer == NULL)
        return;
    server_peer_uncount(peer);
    *peer = server->peers[--server->peer_count];
    peers_note(server);
}

/* A worker's text as one of ours: what is not plain is shown as '?', for it goes into JSON. */
static void text_take(char *to, size_t capacity, proto_bytes from)
{
    size_t size = from.size < capacity ? from.size : capacity - 1;

    for (size_t i = 0; i < size; i++)
        to[i] = from.data[i] >= ' ' && from.data[i] < 127 ? (char)from.data[i] : '?';
    to[size] = '\0';
}

/* The number in "w2", the name of a place that no entry names; 0: it is another name. */
static uint32_t place_named(const char *label)
{
    char name[WEIR_NAME_MAX];
    unsigned place;

    if (sscanf(label, "w%u", &place) != 1)
        return 0;
    snprintf(name, sizeof name, "w%u", place);
    return strcmp(name, label) == 0 ? place : 0;
}

/* Local workers take the job's [worker.LABEL]s in order, but one that names a place is that place's: so no two
 * have one name. */
static const df_draft_worker *place_entry(const coord_server *s, uint32_t place)
{
    const df_draft_worker *entry = NULL;
    uint32_t others = 0;

    for (uint32_t i = 0; i < s->job.worker_count; i++) {
        uint32_t named = place_named(s->job.workers[i].label.text);

        if (named == place)
            return &s->job.workers[i];
        others += named == 0;
        if (named == 0 && others == place)
            entry = &s->job.workers[i];
    }
    return entry;
}

void server_place_label(const coord_server *s, uint32_t place, char label[WEIR_NAME_MAX])
{
    const df_draft_worker *entry = place_entry(s, place);
    const char *text = entry == NULL ? NULL : entry->label.text;

    if (text != NULL)
        text_take(label, WEIR_NAME_MAX, (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) });
    else
        snprintf(label, WEIR_NAME_MAX, "w%u", place);
}

void server_peer_lost(coord_server *server, uint64_t id, uint32_t place)
{
    if (coord_server_end(server) != PROTO_END_NOT || !proto_coord_has_member(server->coord, id))
        return; /* who leaves a job that has ended is not lost */
    server->lost.id = id;
    server->lost.log = place;
    if (place != 0)
        server_place_label(server, place, server->lost.label);
    else
        server_label(server, id, server->lost.label);
}

/* A local worker is there as long as its process is. */
void server_peer_gone(coord_server *server, uint64_t id)
{
    server_peer *peer = server_peer_find(server, id);
    uint32_t slot;

    if (peer == NULL)
        return;
    peer->here = false;
    if (coord_children_has(server->children, id, &slot))
        return;
    server_peer_lost(server, id, 0);
    proto_coord_gone(server->coord, server_now_us(), id);
}

bool server_peers_are_here(const coord_server *server)
{
    bool here = false;

    for (uint32_t i = 0; i < server->peer_count; i++)
        here |= server->peers[i].here;
    return here;
}

/* Joined workers that have left for good. */
static void peers_clear(coord_server *s)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].here || proto_coord_has_member(s->coord, s->peers[i].id))
            s->peers[kept++] = s->peers[i];
        else
            server_peer_uncount(&s->peers[i]);
    s->peer_count = kept;
    peers_note(s);
}

/* Connections, rings and their bells: beyond the limit they cannot be made, which looks as if workers were silent. */
static void peers_tell_limit(coord_server *s)
{
    uint64_t most = coord_machine_descriptors(), need = SERVER_DESCRIPTORS + SERVER_PEER_DESCRIPTORS * s->peer_count;

    if (need <= most || s->limit_told)
        return;
    s->limit_told = true;
    fprintf(stderr, "weir: %u workers may need %" PRIu64 " open files here, and this process may have %" PRIu64
            ": raise its limit (ulimit -n, LimitNOFILE)\n", s->peer_count, need, most);
}

static server_peer *peer_add(coord_server *s, uint64_t id)
{
    server_peer *peer = server_peer_find(s, id);

    if (peer != NULL)
        return peer;
    if (s->peer_count == s->peer_room)
        peers_clear(s);
    if (s->peer_count == s->peer_room) {
        uint32_t room = 2 * s->peer_room + 8;
        server_peer *grown = room > SERVER_PEERS_MAX ? NULL : realloc(s->peers, room * sizeof *grown);

        if (grown == NULL)
            return NULL;
        s->peers = grown;
        s->peer_room = room;
    }
    proto_index_put(&s->peer_rows, id, s->peer_count);
    peer = &s->peers[s->peer_count++];
    *peer = (server_peer){ .id = id };
    peers_tell_limit(s);
    return peer;
}

static void peer_note(coord_server *s, const proto_msg *msg, uint32_t host, uint64_t process,
                      proto_bytes label, proto_bytes address, proto_bytes key)
{
    server_peer *peer = peer_add(s, msg->header.sender);

    if (peer == NULL)
        return;
    s->roster.whole = false;
    peer->here = true;
    peer->host = host;
    peer->process = process;
    if (label.size > 0)
        text_take(peer->label, sizeof peer->label, label);
    if (address.size > 0)
        text_take(peer->address, sizeof peer->address, address);
    if (key.size > 0)
        text_take(peer->key, sizeof peer->key, key);
}

/* What the job says of a worker; null: nothing. */
static const df_draft_worker *peer_entry(const coord_server *s, uint64_t id)
{
    const server_peer *peer = server_peer_find(s, id);
    uint32_t slot;

    if (coord_children_has(s->children, id, &slot))
        return place_entry(s, slot + 1);
    for (uint32_t i = 0; peer != NULL && i < s->job.worker_count; i++)
        if (strcmp(s->job.workers[i].label.text, peer->label) == 0)
            return &s->job.workers[i];
    return NULL;
}

void server_label(const coord_server *server, uint64_t id, char label[WEIR_NAME_MAX])
{
    const server_peer *peer = server_peer_find(server, id);
    uint32_t slot;

    if (coord_children_has(server->children, id, &slot))
        server_place_label(server, slot + 1, label);
    else if (peer != NULL && peer->label[0] != '\0')
        snprintf(label, WEIR_NAME_MAX, "%s", peer->label);
    else
        snprintf(label, WEIR_NAME_MAX, "worker %llx", (unsigned long long)id);
}

void server_lost_label(const coord_server *server, uint64_t id, char label[WEIR_NAME_MAX])
{
    if (id == server->lost.id)
        snprintf(label, WEIR_NAME_MAX, "%s", server->lost.label);
    else
        server_label(server, id, label);
}

static void take_behind(coord_server *s, const proto_msg *msg)
{
    server_peer *peer = server_peer_find(s, msg->header.sender);

    if (peer == NULL)
        return;
    text_take(peer->behind, sizeof peer->behind, msg->behind.text);
    peer->behind_worker = msg->behind.worker;
    peer->behind_us = server_now_us();
}

void server_behind(const coord_server *server, uint64_t id, uint64_t now_us, char *text, size_t size)
{
    const server_peer *peer = server_peer_find(server, id);
    char label[WEIR_NAME_MAX];

    text[0] = '\0';
    if (peer == NULL || peer->behind_us == 0 || now_us - peer->behind_us > SERVER_BEHIND_US)
        return;
    server_label(server, peer->behind_worker, label);
    snprintf(text, size, "%s%s%s", peer->behind, peer->behind_worker == 0 ? "" : " from ",
             peer->behind_worker == 0 ? "" : label);
}

static proto_bytes bytes_of(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
}

/* ---- where others are ---- */

static void roster_add(coord_server *s, const server_peer *p)
{
    coord_peer peer = { p->id, bytes_of(p->address), bytes_of(p->key) };

    if (p->address[0] != '\0' && proto_coord_has_member(s->coord, p->id))
        s->roster.size += (uint32_t)coord_peers_put(s->roster.bytes + s->roster.size,
                                                    SERVER_ROSTER_SIZE - s->roster.size, &peer);
}

static void roster_send(coord_server *s, uint64_t to)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_peers, .job = s->number } };
    proto_bytes rest = { s->roster.bytes, s->roster.size };

    while (rest.size > 0) {
        msg.peers.list = (proto_bytes){ rest.data, coord_peers_cut(rest, PROTO_PAYLOAD_SIZE_MAX) };
        server_send(s, to, &msg);
        rest.data += msg.peers.list.size;
        rest.size -= msg.peers.list.size;
    }
}

void server_tell_peers(coord_server *server, uint64_t to)
{
    if (!server->roster.whole) {
        server->roster.size = 0;
        for (uint32_t i = 0; i < server->peer_count; i++)
            roster_add(server, &server->peers[i]);
        server->roster.whole = true;
    }
    roster_send(server, to);
}

void server_tell_order(coord_server *server, uint64_t to, proto_bytes pairs)
{
    server->roster.whole = false;
    server->roster.size = 0;
    for (uint32_t i = 0; i < pairs.size; i += PROTO_MEMBERS_PAIR) {
        const server_peer *p = server_peer_find(server, proto_get_u64(pairs.data + i + 4));

        if (p != NULL)
            roster_add(server, p);
    }
    roster_send(server, to);
}

/* ---- hello ---- */

static void assign(coord_server *s, uint64_t to)
{
    coord_worker_options o = { .threads = s->options.threads, .console = s->options.print != NULL,
                               .sink_host = coord_process_host() };
    proto_msg msg = { .header = { .type = PROTO_TYPE_assign, .job = s->number } };
    const df_draft_worker *entry = peer_entry(s, to);
    char *options;

    if (entry != NULL && entry->threads > 0 && !s->options.threads_all)
        o.threads = entry->threads;

    server_label(s, to, o.label);
    if (s->job.fingerprints != NULL)
        snprintf(o.fingerprints, sizeof o.fingerprints, "%s", s->job.fingerprints);
    if (s->job.verify != NULL)
        snprintf(o.verify, sizeof o.verify, "%s", s->job.verify);
    if (s->job.verify_name != NULL)
        snprintf(o.verify_name, sizeof o.verify_name, "%s", s->job.verify_name);
    o.streams = s->job.streams;
    if (s->job.inputs != NULL)
        snprintf(o.inputs, sizeof o.inputs, "%s", s->job.inputs);
    snprintf(o.source, sizeof o.source, "%s", df_build_source());
    snprintf(o.state, sizeof o.state, "%s", s->options.state);
    snprintf(o.nonce, sizeof o.nonce, "%s", s->nonce);
    options = coord_json_options(&o);
    if (options == NULL)
        return;
    msg.assign = (proto_assign){ s->number, bytes_of(s->job.file), bytes_of(s->job.directory),
                                 bytes_of(options), bytes_of(s->job.sets), bytes_of(s->job.text) };
    server_send(s, to, &msg);
    free(options);
}

static void peer_can(coord_server *s, uint64_t id, const proto_hello *h)
{
    server_peer *peer = server_peer_find(s, id);

    if (peer == NULL)
        return;
    peer->cores = h->cores;
    peer->memory = h->memory;
}

/* One that has a job, and is not known here, only says who it is. */
static void take_hello(coord_server *s, const proto_msg *msg)
{
    const proto_hello *h = &msg->hello;
    proto_msg stop = { .header = { .type = PROTO_TYPE_stop, .job = s->number } };

    if (msg->header.job != 0 && msg->header.job != s->number) {
        s->wire.rejected[PROTO_REJECT_job]++;
        return;
    }
    peer_note(s, msg, h->host, h->process, h->label, h->address, h->key);
    peer_can(s, msg->header.sender, h);
    if (s->ended_us != 0) {
        stop.stop.reason = (uint8_t)coord_server_end(s);
        server_send(s, msg->header.sender, &stop);
    } else if (msg->header.job == 0) {
        assign(s, msg->header.sender);
    }
}

/* ---- parts ---- */

static void take_part(coord_server *s, const proto_msg *msg)
{
    proto_coord_now now;

    proto_coord_now_get(s->coord, &now);
    if (msg->header.generation != now.generation ||
        !proto_coord_has_member(s->coord, msg->header.sender))
        s->wire.rejected[PROTO_REJECT_stale]++;
    else if (!coord_commit_take(s->commit, msg))
        s->wire.rejected[PROTO_REJECT_field]++;
}

/* "w2: cannot write ...: No space left on device" */
static void unprepared(coord_server *s, const proto_msg *msg)
{
    char label[WEIR_NAME_MAX], why[PROTO_TEXT_SIZE_MAX], text[PROTO_TEXT_SIZE_MAX + WEIR_NAME_MAX + 2];

    server_label(s, msg->header.sender, label);
    text_take(why, sizeof why, msg->prepared.text);
    snprintf(text, sizeof text, "%s: %s", label, why[0] == '\0' ? "a part was not written" : why);
    server_degrade(s, text);
}

/* `prepared` reaches the state machine only when the part is here; it is said again until then. Of an
 * attempt that an earlier coordinator began, the parts were cleared away when the store was opened: it
 * is given up. False: the message is not for the state machine. */
static bool take_prepared(coord_server *s, proto_msg *msg)
{
    proto_coord_now now;

    proto_coord_now_get(s->coord, &now);
    if (msg->prepared.attempt <= s->attempts_lost && msg->prepared.attempt > now.head.attempt)
        msg->prepared.ok = 0;
    else if (!msg->prepared.ok && msg->prepared.attempt == now.attempt)
        unprepared(s, msg);
    return !msg->prepared.ok || coord_commit_has(s->commit, msg->header.sender, msg->header.generation,
                                                 msg->prepared.attempt);
}

/* ---- the rest ---- */

/* It is said again until the job has ended. */
static void take_finished(coord_server *s, const proto_msg *msg)
{
    char told[sizeof s->fingerprint];
    bool again;
    df_error err;

    if (!proto_coord_has_member(s->coord, msg->header.sender)) {
        s->wire.rejected[PROTO_REJECT_sender]++;
        return;
    }
    text_take(told, sizeof told, msg->finished.text);
    again = strcmp(told, s->fingerprint) == 0;
    if (again && s->fingerprint_kept)
        return;
    memcpy(s->fingerprint, told, sizeof told);
    s->fingerprint_kept = coord_state_write(s->options.state, "finished", told, strlen(told), &err) == DF_OK;
    if (!s->fingerprint_kept && !again)
        fprintf(stderr, "weir: %s\n", err.text);
    df_failpoint_pass(DF_FAILPOINT_server_finished);
}

/* The smallest error is told, as the state machine does with its place. */
static void note_failed(coord_server *s, const proto_failed *f)
{
    const uint64_t at[4] = { f->step, f->stage, f->group, f->row };
    bool first = s->failed[0] == '\0';

    if (f->stage == PROTO_NONE)
        return;
    for (int i = 0; i < 4 && !first && at[i] <= s->failed_at[i]; i++)
        first = at[i] < s->failed_at[i];
    if (!first)
        return;
    memcpy(s->failed_at, at, sizeof at);
    text_take(s->failed, sizeof s->failed, f->text);
}

void server_take_worker(coord_server *server, const proto_msg *msg)
{
    proto_msg copy = *msg;
    proto_bytes none = { 0 };

    switch (msg->header.type) {
    case PROTO_TYPE_hello:
        take_hello(server, msg);
        return;
    case PROTO_TYPE_part:
        take_part(server, msg);
        return;
    case PROTO_TYPE_behind:
        take_behind(server, msg);
        return;
    case PROTO_TYPE_metrics:
        server_take_metrics(server, msg);
        return;
    case PROTO_TYPE_load:
        server_take_load(server, msg);
        return;
    case PROTO_TYPE_finished:
        take_finished(server, msg);
        return;
    case PROTO_TYPE_join:
        peer_note(server, msg, msg->join.host, msg->join.process, msg->join.label, msg->join.address,
                  none);
        break;
    case PROTO_TYPE_report:
        peer_note(server, msg, msg->report.host, msg->report.process, none, none, none);
        break;
    case PROTO_TYPE_failed:
        note_failed(server, &msg->failed);
        break;
    case PROTO_TYPE_prepared:
        if (!take_prepared(server, &copy))
            return;
        break;
    default:
        break;
    }
    proto_coord_receive(server->coord, server_now_us(), &copy);
}
