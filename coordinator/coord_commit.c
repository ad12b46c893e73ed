#include "coordinator/coord_commit.h"

#include "coordinator/coord_hand.h"
#include "coordinator/coord_trail.h"
#include "dataflow/df_failpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* One worker's part as its messages come. */
typedef struct gather {
    uint64_t worker, generation, attempt;
    uint32_t count, have; /* messages */
    bool *got;            /* [count] */
    uint8_t *bytes;
    size_t size;          /* known with the last message */
} gather;

/* What the thread works on. */
typedef struct commit_work {
    uint64_t attempt, generation, step;
    uint32_t count;
    gather *parts;        /* [count] */
    uint32_t *places;     /* [count]: of the members that they are from */
    char label[WEIR_NAME_MAX];
    bool declined;        /* there was no room: nothing was begun */
    df_status status;
    df_error error;
} commit_work;

struct coord_commit {
    snap_store *store; /* the hand's, while it is busy */
    coord_shape shape;
    uint32_t retain;
    const char *record;
    coord_hand *hand;
    gather *gathers;
    uint32_t gather_count, gather_room;
    uint64_t begun;    /* attempts up to it have begun to be committed */
    uint64_t restoring; /* the snapshot that the hand makes the head; 0: none */
    bool tidying;      /* what the hand does is to remove what is no more needed */
    void (*next)(void *arg); /* what it does when it has; null: nothing */
    char label[WEIR_NAME_MAX];
    uint64_t label_after;
    commit_work work;
    snap_entry *entries;
    uint32_t entry_count;
    proto_head head;
};

/* ---- gathering ---- */

static void gather_clear(gather *g)
{
    free(g->got);
    free(g->bytes);
    *g = (gather){ 0 };
}

static gather *gather_find(const coord_commit *c, uint64_t worker)
{
    for (uint32_t i = 0; i < c->gather_count; i++)
        if (c->gathers[i].worker == worker)
            return &c->gathers[i];
    return NULL;
}

static gather *gather_add(coord_commit *c, uint64_t worker)
{
    gather *g = gather_find(c, worker);

    if (g != NULL)
        return g;
    if (c->gather_count == c->gather_room) {
        uint32_t room = 2 * c->gather_room + 8;
        gather *grown = room > 2 * PROTO_WORKERS_MAX ? NULL : realloc(c->gathers, room * sizeof *grown);

        if (grown == NULL)
            return NULL;
        c->gathers = grown;
        c->gather_room = room;
    }
    g = &c->gathers[c->gather_count++];
    *g = (gather){ .worker = worker };
    return g;
}

/* Parts of older attempts are of no use any more; whose they were may have left. */
static void gather_forget(coord_commit *c, uint64_t generation)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < c->gather_count; i++)
        if (c->gathers[i].generation < generation || c->gathers[i].attempt <= c->begun)
            gather_clear(&c->gathers[i]);
        else
            c->gathers[left++] = c->gathers[i];
    c->gather_count = left;
}

static bool gather_begin(gather *g, const proto_msg *msg)
{
    uint64_t worker = g->worker;

    gather_clear(g);
    g->worker = worker;
    g->generation = msg->header.generation;
    g->attempt = msg->part.attempt;
    g->count = msg->part.count;
    g->got = calloc(g->count, sizeof *g->got);
    g->bytes = malloc((size_t)g->count * PROTO_PAYLOAD_SIZE_MAX);
    if (g->got != NULL && g->bytes != NULL)
        return true;
    gather_clear(g);
    g->worker = worker;
    return false;
}

static bool part_is_right(const proto_part *p)
{
    bool last = p->index + 1 == p->count;

    return p->count > 0 && p->count <= COORD_PART_MESSAGES_MAX && p->index < p->count &&
           (last || p->payload.size == PROTO_PAYLOAD_SIZE_MAX);
}

bool coord_commit_take(coord_commit *commit, const proto_msg *msg)
{
    const proto_part *p = &msg->part;
    gather *g;

    if (!part_is_right(p))
        return false;
    if (p->attempt <= commit->begun) /* a repeat */
        return true;
    gather_forget(commit, msg->header.generation);
    g = gather_add(commit, msg->header.sender);
    if (g == NULL)
        return false;
    if (g->generation != msg->header.generation || g->attempt != p->attempt || g->count != p->count)
        if (p->attempt < g->attempt || !gather_begin(g, msg))
            return false;
    if (g->got[p->index])
        return true;
    memcpy(g->bytes + (size_t)p->index * PROTO_PAYLOAD_SIZE_MAX, p->payload.data, p->payload.size);
    g->size += p->payload.size;
    g->got[p->index] = true;
    g->have++;
    return true;
}

bool coord_commit_has(const coord_commit *commit, uint64_t worker, uint64_t generation,
                      uint64_t attempt)
{
    const gather *g = gather_find(commit, worker);

    return attempt <= commit->begun || (g != NULL && g->generation == generation &&
                                        g->attempt == attempt && g->have == g->count && g->count > 0);
}

void coord_commit_label(coord_commit *commit, const char *label, uint64_t after)
{
    snprintf(commit->label, sizeof commit->label, "%s", label);
    commit->label_after = after;
}

/* ---- on the other thread ---- */

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A part says its own place; a worker that says another's is not believed. */
static df_status work_decode(commit_work *w, coord_part **parts, df_error *err)
{
    for (uint32_t i = 0; i < w->count; i++) {
        snap_part_id id = coord_part_id(w->attempt, w->generation, w->places[i]);
        df_status s = coord_part_decode(&parts[i], &w->parts[i].bytes, w->parts[i].size, err);

        if (s != DF_OK)
            return df_wrap(err, s, "snapshot %" PRIu64 ", member %u", w->attempt, w->places[i]);
        if (parts[i]->file && snap_part_id_compare(&parts[i]->info.id, &id) != 0)
            return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ": member %u says that its part is "
                           "another one's", w->attempt, w->places[i]);
    }
    return DF_OK;
}

static df_status work_ingest(coord_commit *c, coord_part *const *parts, df_error *err)
{
    snap_part_id *ids = calloc((size_t)c->work.count + 1, sizeof *ids);
    uint32_t count = 0;
    df_status s = DF_OK;

    if (ids == NULL)
        return df_fail(err, DF_ENOMEM, "snapshot: out of memory");
    for (uint32_t i = 0; i < c->work.count; i++)
        if (parts[i]->file)
            ids[count++] = parts[i]->info.id;
    if (count > 0)
        s = snap_store_ingest(c->store, ids, count, err);
    free(ids);
    return s;
}

/* The manifest is made first: parts that make no sense change nothing in the store. */
static df_status work_commit(coord_commit *c, coord_part *const *parts, df_error *err)
{
    const commit_work *w = &c->work;
    coord_snapshot_head head = { .snapshot = w->attempt, .parent = snap_store_head(c->store),
                                 .step = w->step, .generation = w->generation,
                                 .created_ms = wall_ms(), .label = w->label };
    snap_manifest *base = NULL, *m = NULL;
    df_status s = DF_OK;

    if (head.parent != 0)
        s = snap_store_load(c->store, head.parent, &base, err);
    if (s == DF_OK)
        s = coord_manifest_make(&m, &c->shape, &head, base, parts, w->count, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_commit_ingest, err);
    if (s == DF_OK)
        s = work_ingest(c, parts, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_commit_ingested, err);
    if (s == DF_OK)
        s = snap_store_commit(c->store, m, err);
    if (s == DF_OK)
        s = df_failpoint(DF_FAILPOINT_commit_made, err);
    snap_manifest_free(&m);
    snap_manifest_free(&base);
    return s;
}

/* The record of steps before the oldest snapshot; that holds what enters tick n, which is step n - 1. While there is
 * one only, which may be the last that the job makes, it can still be replayed from its beginning. */
static void work_drop(const coord_commit *c)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < snap_store_count(c->store); i++) {
        const snap_entry *e = snap_store_entry(c->store, i);

        oldest = e->damaged ? 0 : e->step < oldest ? e->step : oldest;
    }
    if (oldest > 0 && snap_store_count(c->store) > 1)
        coord_trail_drop(c->record, oldest - 1);
}

static void tell_unremoved(df_status s, const df_error *err)
{
    if (s != DF_OK)
        fprintf(stderr, "weir: old snapshots could not be removed: %s\n", err->text);
}

/* The commit counts even if what follows it fails; the store then refuses the next one. */
static void work_forget(coord_commit *c)
{
    df_error err = { 0 };

    tell_unremoved(snap_store_forget(c->store, c->retain, &err), &err);
}

/* What takes long and nobody waits for. */
static void tidy_do(void *arg)
{
    coord_commit *c = arg;
    df_error err = { 0 };
    df_status s = snap_store_collect(c->store, &err);

    tell_unremoved(s, &err);
    if (s == DF_OK && c->record != NULL)
        work_drop(c);
}

static df_status work_room(coord_commit *c)
{
    commit_work *w = &c->work;
    uint64_t size = 0;
    df_status s;

    for (uint32_t i = 0; i < w->count; i++)
        size += w->parts[i].size;
    s = snap_store_has_room(c->store, size, &w->error);
    w->declined = s == DF_ELIMIT;
    return s;
}

static void work_do(void *arg)
{
    coord_commit *c = arg;
    commit_work *w = &c->work;
    coord_part **parts = calloc((size_t)w->count + 1, sizeof(coord_part *));

    w->status = parts == NULL ? df_fail(&w->error, DF_ENOMEM, "snapshot: out of memory")
                              : work_decode(w, parts, &w->error);
    if (w->status == DF_OK)
        w->status = work_room(c);
    if (w->status == DF_OK)
        w->status = work_commit(c, parts, &w->error);
    if (w->status == DF_OK) {
        work_forget(c);
        df_failpoint_pass(DF_FAILPOINT_commit_retained);
    }
    for (uint32_t i = 0; parts != NULL && i < w->count; i++)
        coord_part_free(&parts[i]);
    free(parts);
}

/* ---- on the main thread ---- */

static void hand_give(coord_commit *c, void (*work)(void *arg))
{
    assert(c->next == NULL);
    if (c->tidying)
        c->next = work;
    else
        coord_hand_give(c->hand, work, c);
}

/* Whether a work has ended that somebody waits for. */
static bool hand_done(coord_commit *c)
{
    void (*next)(void *arg) = c->next;

    if (!coord_hand_done(c->hand))
        return false;
    if (!c->tidying)
        return true;
    c->tidying = false;
    c->next = NULL;
    if (next != NULL)
        coord_hand_give(c->hand, next, c);
    return false;
}

void coord_commit_begin(coord_commit *commit, const proto_commit *what)
{
    commit_work *w = &commit->work;

    assert(commit->tidying || !coord_hand_busy(commit->hand));
    *w = (commit_work){ .attempt = what->attempt, .generation = what->generation, .step = what->step,
                        .count = what->member_count,
                        .parts = proto_zero(what->member_count, sizeof *w->parts),
                        .places = proto_zero(what->member_count, sizeof *w->places) };
    for (uint32_t i = 0; i < what->member_count; i++) {
        gather *g = gather_find(commit, what->members[i]);

        w->places[i] = what->places[i];
        if (g == NULL || g->attempt != what->attempt)
            continue; /* its part will be found to make no sense */
        w->parts[i] = *g;
        *g = (gather){ .worker = g->worker };
    }
    if (commit->label[0] != '\0' && what->attempt > commit->label_after) {
        strcpy(w->label, commit->label);
        commit->label[0] = '\0';
    }
    commit->begun = what->attempt;
    hand_give(commit, work_do);
}

static void work_clear(commit_work *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        gather_clear(&w->parts[i]);
    free(w->parts);
    free(w->places);
    w->parts = NULL;
    w->places = NULL;
    w->count = 0;
}

static void commit_look(coord_commit *c)
{
    uint32_t count = snap_store_count(c->store);

    free(c->entries);
    c->entries = proto_zero(count + 1, sizeof *c->entries);
    c->entry_count = count;
    c->head = (proto_head){ 0 };
    for (uint32_t i = 0; i < count; i++) {
        c->entries[i] = *snap_store_entry(c->store, i);
        if (c->entries[i].snapshot == snap_store_head(c->store))
            c->head = (proto_head){ c->entries[i].snapshot, c->entries[i].step };
    }
}

bool coord_commit_ended(coord_commit *commit, uint64_t *attempt, coord_commit_end *end, df_error *err)
{
    commit_work *w = &commit->work;

    if (commit->restoring != 0 || !hand_done(commit))
        return false;
    *attempt = w->attempt;
    *end = w->declined ? COORD_COMMIT_DECLINED : w->status == DF_OK ? COORD_COMMIT_MADE : COORD_COMMIT_FAILED;
    if (*end != COORD_COMMIT_MADE)
        *err = w->error;
    work_clear(w);
    commit_look(commit);
    commit->tidying = *end == COORD_COMMIT_MADE;
    if (commit->tidying)
        coord_hand_give(commit->hand, tidy_do, commit);
    return true;
}

df_status coord_commit_has_room(coord_commit *commit, df_error *err)
{
    uint64_t size = 0;

    if (coord_hand_busy(commit->hand))
        return DF_OK;
    for (uint32_t i = 0; i < commit->entry_count; i++)
        size = commit->entries[i].size_own;
    return snap_store_has_room(commit->store, size / 4, err);
}

bool coord_commit_waiting(const coord_commit *commit)
{
    return snap_store_waiting(commit->store);
}

bool coord_commit_clear(coord_commit *commit, uint64_t last)
{
    df_error err;

    if (coord_hand_busy(commit->hand))
        return false;
    if (snap_store_clear(commit->store, last, &err) != DF_OK)
        fprintf(stderr, "weir: parts of a snapshot that was given up could not be removed: %s\n", err.text);
    return true;
}

/* ---- returning to an older one ---- */

bool coord_commit_find(const coord_commit *commit, uint64_t snapshot, proto_head *head)
{
    if (snapshot == 0)
        snapshot = commit->head.attempt;
    for (uint32_t i = 0; i < commit->entry_count; i++)
        if (commit->entries[i].snapshot == snapshot && !commit->entries[i].damaged) {
            *head = (proto_head){ snapshot, commit->entries[i].step };
            return true;
        }
    return false;
}

static void restore_do(void *arg)
{
    coord_commit *c = arg;
    commit_work *w = &c->work;

    w->status = df_failpoint(DF_FAILPOINT_restore_begun, &w->error);
    if (w->status == DF_OK)
        w->status = snap_store_set_head(c->store, c->restoring, &w->error);
    if (w->status == DF_OK)
        w->status = df_failpoint(DF_FAILPOINT_restore_made, &w->error);
}

void coord_commit_restore(coord_commit *commit, uint64_t snapshot)
{
    assert((commit->tidying || !coord_hand_busy(commit->hand)) && snapshot != 0);
    commit->restoring = snapshot;
    hand_give(commit, restore_do);
}

bool coord_commit_restored(coord_commit *commit, uint64_t *snapshot, bool *ok, df_error *err)
{
    if (commit->restoring == 0 || !hand_done(commit))
        return false;
    *snapshot = commit->restoring;
    *ok = commit->work.status == DF_OK;
    if (!*ok)
        *err = commit->work.error;
    commit->restoring = 0;
    commit_look(commit);
    return true;
}

proto_head coord_commit_head(const coord_commit *commit)
{
    return commit->head;
}

const snap_entry *coord_commit_entries(const coord_commit *commit, uint32_t *count)
{
    *count = commit->entry_count;
    return commit->entries;
}

/* ---- life ---- */

/* The newest that can be read; null: none can. */
static const snap_entry *newest_whole(const coord_commit *c)
{
    for (uint32_t i = c->entry_count; i > 0; i--)
        if (!c->entries[i - 1].damaged)
            return &c->entries[i - 1];
    return NULL;
}

static df_status head_check(const coord_commit *c, df_error *err)
{
    const snap_entry *whole = newest_whole(c);

    for (uint32_t i = 0; i < c->entry_count; i++)
        if (c->entries[i].damaged && c->entries[i].snapshot == snap_store_head(c->store))
            return df_fail(err, DF_ECORRUPT, "snapshot %" PRIu64 ", the newest, is damaged; an older one "
                           "is used only when you say so, with --resume --snapshot N; the newest that can "
                           "be read is %" PRIu64 " of step %" PRIu64, c->entries[i].snapshot,
                           whole == NULL ? 0 : whole->snapshot,
                           whole == NULL || whole->step == 0 ? 0 : whole->step - 1);
    return DF_OK;
}

/* Workers will read it, and are not yet there. What is wrong with it they will say. */
static void head_read_ahead(coord_commit *c)
{
    snap_manifest *m = NULL;
    df_error err;

    if (c->head.attempt != 0 && snap_store_load(c->store, c->head.attempt, &m, &err) == DF_OK)
        snap_store_read_ahead(c->store, m);
    snap_manifest_free(&m);
}

df_status coord_commit_open(coord_commit **out, df_disk *disk, const char *folder,
                            const coord_shape *shape, const coord_commit_options *options,
                            void (*wake)(void *user), void *user, df_error *err)
{
    coord_commit *c = calloc(1, sizeof *c);
    const snap_store_options opening = { .accept_loss = options->accept_loss };
    df_status s;

    *out = NULL;
    if (c == NULL)
        return df_fail(err, DF_ENOMEM, "%s: out of memory", folder);
    c->shape = *shape;
    c->record = options->record;
    c->retain = options->retain < SNAP_RETAIN_MIN ? SNAP_RETAIN_MIN : options->retain;
    s = snap_store_open_rocksdb(&c->store, disk, folder, &opening, err);
    if (s == DF_OK)
        commit_look(c);
    if (s == DF_OK && !options->accept_loss)
        s = head_check(c, err);
    if (s == DF_OK)
        snap_store_patient(c->store, true);
    if (s == DF_OK)
        head_read_ahead(c);
    if (s == DF_OK)
        s = coord_hand_new(&c->hand, wake, user, err);
    if (s != DF_OK) {
        coord_commit_close(&c);
        return s;
    }
    *out = c;
    return DF_OK;
}

void coord_commit_close(coord_commit **commit)
{
    coord_commit *c = *commit;

    *commit = NULL;
    if (c == NULL)
        return;
    if (c->store != NULL)
        snap_store_patient(c->store, false); /* or the hand might wait for ever */
    coord_hand_free(&c->hand);
    for (uint32_t i = 0; i < c->gather_count; i++)
        gather_clear(&c->gathers[i]);
    free(c->gathers);
    work_clear(&c->work);
    free(c->entries);
    snap_store_close(&c->store);
    free(c);
}
