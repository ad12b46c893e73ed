#include "tests/support/parts.h"

#include "dataflow/df_graph_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct part_rows {
    uint32_t rows;
    uint64_t *keys;
    void **columns;
} part_rows;

struct parts_snapshot {
    const df_plan *plan;
    uint64_t tick;
    part_rows **states; /* [state][key group] */
    char **carried;     /* [vertex]: all key groups */
    uint64_t **births;
};

typedef struct parts parts;

typedef struct member {
    parts *parts;
    uint32_t index;
    df_graph *graph;
    df_progress progress;
    df_parcel *empty; /* of key groups that send nothing, until their edge's tick ends */
    size_t empty_count;
} member;

struct parts {
    const df_plan *plan;
    const parts_options *options;
    uint64_t random;
    uint32_t *owners;
    uint64_t *changed; /* [key groups]: at which tick they changed owner last */
    uint64_t granted, change;
    uint32_t sink_member;
    uint32_t live;     /* members that are there: the last one may join late */
    member *members;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    df_parcel *queue;
    uint32_t *from; /* [room]: whose parcel it is */
    size_t count, room;
};

static uint64_t draw(parts *p, uint64_t below)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (p->random >> 33) % below;
}

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (memory == NULL)
        abort();
    return memory;
}

static void *copied(const void *from, size_t size)
{
    void *to = zeroed(size, 1);

    return size == 0 ? to : memcpy(to, from, size);
}

static void check(df_status status, const df_error *err)
{
    if (status == DF_OK)
        return;
    fprintf(stderr, "parts: %s\n", err->text);
    abort();
}

/* ---- what the graphs call ---- */

/* Under the lock. */
static void parts_put(parts *p, uint32_t from, const df_parcel *parcel)
{
    if (p->count == p->room) {
        p->room = p->room * 2 + 64;
        p->queue = realloc(p->queue, p->room * sizeof *p->queue);
        p->from = realloc(p->from, p->room * sizeof *p->from);
        if (p->queue == NULL || p->from == NULL)
            abort();
    }
    p->from[p->count] = from;
    p->queue[p->count++] = *parcel;
    p->woken = true;
    pthread_cond_signal(&p->cond);
}

/* Of no rows there is nothing to send, but that its task failed. */
static void check_worth(const parts *p, const df_parcel *parcel)
{
    enum { FAILED = 4 }; /* of df_parcel.c */
    uint32_t form = 0;

    if (parcel->edge >= p->plan->edge_count || parcel->size == 0 || parcel->rows > 0)
        return;
    memcpy(&form, parcel->bytes, sizeof form);
    if (form == FAILED)
        return;
    fprintf(stderr, "parts: %u bytes without rows were sent on edge %u\n", parcel->size, parcel->edge);
    abort();
}

static void parts_send(void *user, const df_parcel *parcel)
{
    member *m = user;
    parts *p = m->parts;

    check_worth(p, parcel);
    pthread_mutex_lock(&p->lock);
    if (parcel->size > 0 || p->plan->edges[parcel->edge].fan != DF_FAN_ALL) {
        parts_put(p, m->index, parcel);
    } else {
        m->empty = realloc(m->empty, (m->empty_count + 1) * sizeof *m->empty);
        if (m->empty == NULL)
            abort();
        m->empty[m->empty_count++] = *parcel;
    }
    pthread_mutex_unlock(&p->lock);
}

/* The key groups that send nothing are told now. */
static void parts_sent(void *user, uint32_t edge, uint64_t tick)
{
    member *m = user;
    size_t kept = 0;

    pthread_mutex_lock(&m->parts->lock);
    for (size_t i = 0; i < m->empty_count; i++)
        if (m->empty[i].edge == edge && m->empty[i].tick == tick)
            parts_put(m->parts, m->index, &m->empty[i]);
        else
            m->empty[kept++] = m->empty[i];
    m->empty_count = kept;
    pthread_mutex_unlock(&m->parts->lock);
}

static void parts_wake(void *user)
{
    parts *p = ((member *)user)->parts;

    pthread_mutex_lock(&p->lock);
    p->woken = true;
    pthread_cond_signal(&p->cond);
    pthread_mutex_unlock(&p->lock);
}

/* ---- snapshots ---- */

static uint32_t state_groups(const df_plan *plan, uint32_t state)
{
    return plan->vertices[plan->states[state].vertex].partition.key_groups;
}

static void copy_rows(part_rows *to, const df_batch *from, const weir_schema *stored)
{
    to->rows = from->view.row_count;
    to->keys = copied(from->view.keys, to->rows * sizeof(uint64_t));
    to->columns = zeroed(stored->column_count, sizeof(*to->columns));
    for (uint32_t c = 0; c < stored->column_count; c++)
        to->columns[c] = copied(df_batch_stored_column(from, c),
                                to->rows * weir_type_size(stored->columns[c].type));
}

static parts_snapshot *snapshot_new(const df_plan *plan, uint64_t tick)
{
    parts_snapshot *s = zeroed(1, sizeof *s);

    s->plan = plan;
    s->tick = tick;
    s->states = zeroed(plan->state_count, sizeof(*s->states));
    for (uint32_t i = 0; i < plan->state_count; i++)
        s->states[i] = zeroed(state_groups(plan, i), sizeof **s->states);
    s->carried = zeroed(plan->vertex_count, sizeof(*s->carried));
    s->births = zeroed(plan->vertex_count, sizeof(*s->births));
    return s;
}

static void snapshot_take_carried(parts_snapshot *s, const df_captured *c)
{
    for (uint32_t v = 0; v < s->plan->vertex_count; v++) {
        const df_vertex *vertex = &s->plan->vertices[v];
        uint32_t groups = vertex->partition.key_groups;
        size_t size = vertex->carried == NULL ? 0 : 8 * vertex->carried->column_count;

        if (size > 0 && s->carried[v] == NULL)
            s->carried[v] = zeroed(groups, size);
        if (c->births[v] != NULL && s->births[v] == NULL)
            s->births[v] = zeroed(groups, sizeof(uint64_t));
        for (uint32_t k = 0; k < groups; k++) {
            if (!c->own[v][k])
                continue;
            if (size > 0)
                memcpy(s->carried[v] + k * size, c->carried[v] + k * size, size);
            if (c->births[v] != NULL)
                s->births[v][k] = c->births[v][k];
        }
    }
}

static void snapshot_take(parts_snapshot *s, const df_captured *c, uint32_t index)
{
    for (uint32_t i = 0; i < s->plan->state_count; i++)
        for (uint32_t k = 0; k < state_groups(s->plan, i); k++) {
            bool own = c->own[s->plan->states[i].vertex][k] != 0;
            if (own != (c->states[i][k] != NULL) || (own && s->states[i][k].columns != NULL)) {
                fprintf(stderr, "parts: member %u, state %u, key group %u was %scaptured\n",
                        index, i, k, own ? "not, or twice, " : "");
                abort();
            }
            if (own)
                copy_rows(&s->states[i][k], c->states[i][k], s->plan->states[i].stored);
        }
    snapshot_take_carried(s, c);
}

void parts_snapshot_free(parts_snapshot **snapshot)
{
    parts_snapshot *s = *snapshot;

    for (uint32_t i = 0; i < s->plan->state_count; i++) {
        const weir_schema *stored = s->plan->states[i].stored;
        for (uint32_t k = 0; k < state_groups(s->plan, i); k++) {
            part_rows *rows = &s->states[i][k];
            for (uint32_t c = 0; rows->columns != NULL && c < stored->column_count; c++)
                free(rows->columns[c]);
            free(rows->columns);
            free(rows->keys);
        }
        free(s->states[i]);
    }
    for (uint32_t v = 0; v < s->plan->vertex_count; v++) {
        free(s->carried[v]);
        free(s->births[v]);
    }
    free(s->states);
    free(s->carried);
    free(s->births);
    free(s);
    *snapshot = NULL;
}

static void restore_rows(df_graph *graph, const df_plan *plan, uint32_t state, uint32_t k,
                         const part_rows *rows)
{
    const weir_schema *schema = &plan->streams[plan->states[state].stream].schema;
    const weir_schema *stored = plan->states[state].stored;
    df_batch *batch = df_batch_new(df_graph_memory(graph), schema, 0, k);
    df_error err = { 0 };

    if (batch == NULL || !df_batch_alloc_stored(df_graph_memory(graph), batch, stored, rows->rows))
        abort();
    if (rows->rows > 0)
        memcpy(batch->view.keys, rows->keys, rows->rows * sizeof(uint64_t));
    for (uint32_t c = 0; c < stored->column_count && rows->rows > 0; c++)
        memcpy(df_batch_stored_column(batch, c), rows->columns[c],
               rows->rows * weir_type_size(stored->columns[c].type));
    check(df_graph_index_cells(graph, state, batch, &err), &err);
    check(df_graph_restore(graph, state, k, batch, &err), &err);
}

static void restore(member *m, const df_part *part, const parts_snapshot *from)
{
    const df_plan *plan = m->parts->plan;
    df_error err = { 0 };

    for (uint32_t i = 0; i < plan->state_count; i++)
        for (uint32_t k = 0; k < state_groups(plan, i); k++)
            if (df_part_owner(plan, part, plan->vertices[plan->states[i].vertex].stage, k) ==
                m->index)
                restore_rows(m->graph, plan, i, k, &from->states[i][k]);
    for (uint32_t v = 0; v < plan->vertex_count; v++) {
        const df_vertex *vertex = &plan->vertices[v];
        size_t size = vertex->carried == NULL ? 0 : 8 * vertex->carried->column_count;
        for (uint32_t k = 0; k < vertex->partition.key_groups; k++) {
            if (size > 0)
                check(df_graph_restore_carried(m->graph, v, k, from->carried[v] + k * size, size,
                                               &err), &err);
            if (from->births[v] != NULL)
                check(df_graph_restore_births(m->graph, v, k, from->births[v][k], &err), &err);
        }
    }
}

/* ---- running ---- */

static df_part part_of(parts *p, uint32_t index, uint64_t first)
{
    return (df_part){ .member = index, .member_count = p->live, .owners = p->owners,
                      .sink_member = p->sink_member, .first_tick = first, .user = &p->members[index],
                      .send = parts_send, .sent = parts_sent, .wake = parts_wake };
}

static void start_member(parts *p, uint32_t index, uint64_t first)
{
    df_part part = part_of(p, index, first);
    df_graph_options options = { .threads = p->options->threads, .directory = ".",
                                 .fingerprint_steps = p->options->fingerprint_steps,
                                 .on_step = p->options->on_step, .user = p->options->user,
                                 .shuffle_seed = p->options->seed, .part = &part };
    df_error err = { 0 };

    p->members[index] = (member){ .parts = p, .index = index,
                                  .progress = { .worked = first, .done = first } };
    check(df_graph_new(&p->members[index].graph, p->plan, &options, &err), &err);
}

static void start(parts *p, const parts_snapshot *from)
{
    uint64_t first = from == NULL ? 0 : from->tick;
    df_error err = { 0 };
    bool runs = p->options->seed % 2 == 0;

    p->live = p->options->members - (p->options->joins && p->options->members > 1);
    p->sink_member = (uint32_t)(p->options->seed % p->live);

    p->granted = p->change = from == NULL ? 1 : from->tick + 1;
    p->changed = zeroed(p->plan->key_groups, sizeof *p->changed);
    p->owners = zeroed(p->plan->key_groups, sizeof *p->owners);
    for (uint32_t i = 0; i < p->plan->key_groups; i++)
        p->owners[i] = runs ? i * p->live / p->plan->key_groups : (uint32_t)draw(p, p->live);
    p->members = zeroed(p->options->members, sizeof *p->members);
    for (uint32_t i = 0; i < p->live; i++)
        start_member(p, i, first);
    for (uint32_t i = 0; from != NULL && i < p->live; i++) {
        df_part part = part_of(p, i, first);
        restore(&p->members[i], &part, from);
    }
    for (uint32_t i = 0; i < p->live; i++)
        check(df_graph_start(p->members[i].graph, &err), &err);
}

/* The words of a parcel that are no rows: what it is, how many, which. */
static uint32_t head_words(const df_parcel *parcel)
{
    enum { STATE = 1, CELLS = 2, LISTS = 3, RESTS = 6 }; /* of df_move.c; of df_parcel.c */
    uint32_t form, pairs = 0;

    memcpy(&form, parcel->bytes, sizeof form);
    if (parcel->edge == DF_PARCEL_MOVE)
        return form == STATE ? 4 : 2;
    if (form == RESTS)
        return 3;
    if (form != CELLS && form != LISTS)
        return 2;
    memcpy(&pairs, parcel->bytes + 8, sizeof pairs);
    return 3 + 2 * pairs;
}

/* One of them is far too large; or one less, if it is the form or a count. */
static void damage_word(parts *p, uint8_t *bytes, const df_parcel *parcel)
{
    uint64_t at = draw(p, head_words(parcel));
    bool counts = at < 2 || (parcel->edge != DF_PARCEL_MOVE && at % 2 == 0);
    uint32_t word;

    memcpy(&word, bytes + sizeof word * at, sizeof word);
    word = counts && draw(p, 2) == 0 ? word - 1 : UINT32_MAX;
    memcpy(bytes + sizeof word * at, &word, sizeof word);
}

/* A state's bytes in pieces of any size, perhaps after the first ones of such a state that are given up again. */
static df_status take_in_pieces(parts *p, df_graph *to, const df_parcel *parcel, const uint8_t *bytes, uint32_t size,
                                df_error *err)
{
    uint32_t offset = 1 + (uint32_t)draw(p, size);
    df_arrival *arrival = NULL;
    df_status s = DF_OK;

    for (uint64_t tries = 1 + draw(p, 2); s == DF_OK && tries > 0; tries--) {
        df_arrival_drop(to, &arrival);
        s = df_arrival_begin(to, parcel->tick, parcel->key_group, size, bytes, offset, &arrival, err);
    }
    if (s == DF_OK && arrival == NULL)
        return df_graph_deliver(to, parcel->edge, parcel->tick, parcel->key_group, bytes, size, err);
    for (uint32_t more; s == DF_OK && offset < size; offset += more) {
        more = 1 + (uint32_t)draw(p, size - offset);
        if (draw(p, 8) == 0 && df_arrival_put(to, arrival, offset + 1, bytes + offset, more, err) == DF_OK)
            abort(); /* it does not go on where the last one ended */
        s = df_arrival_put(to, arrival, offset, bytes + offset, more, err);
    }
    if (s == DF_OK)
        return df_arrival_end(to, &arrival, err);
    df_arrival_drop(to, &arrival);
    return s;
}

static df_status take_in(parts *p, df_graph *to, const df_parcel *parcel, const uint8_t *bytes, uint32_t size,
                         df_error *err)
{
    if (parcel->edge == DF_PARCEL_MOVE && draw(p, 2) == 0)
        return take_in_pieces(p, to, parcel, bytes, size, err);
    return df_graph_deliver(to, parcel->edge, parcel->tick, parcel->key_group, bytes, size, err);
}

/* Must be refused, or, if it comes before it is known whether it is awaited, later. */
static void refuse(parts *p, df_graph *to, const df_parcel *parcel, const uint8_t *bytes, uint32_t size)
{
    df_error err;

    if (take_in(p, to, parcel, bytes, size, &err) != DF_OK ||
        parcel->tick >= atomic_load(&to->known))
        return;
    fprintf(stderr, "parts: a parcel of edge %u was taken in that is damaged, or came before\n", parcel->edge);
    abort();
}

/* A parcel that somebody has damaged changes nothing. */
static void deliver_damaged(parts *p, df_graph *to, const df_parcel *parcel)
{
    uint8_t *bytes = zeroed(parcel->size + 1, 1);
    uint32_t size = parcel->size;

    memcpy(bytes, parcel->bytes, size);
    switch (draw(p, 3)) {
    case 0:
        size -= (uint32_t)draw(p, size - 1) + 1;
        break;
    case 1:
        size++;
        break;
    default:
        damage_word(p, bytes, parcel);
    }
    refuse(p, to, parcel, bytes, size);
    free(bytes);
}

/* What lies in several places is put together in pieces of any size, as a channel does it. */
static uint8_t *gather(parts *p, const df_parcel *parcel)
{
    uint8_t *bytes = zeroed(parcel->size, 1);
    uint32_t offset = 0;

    while (offset < parcel->size) {
        uint32_t size = 1 + (uint32_t)draw(p, parcel->size - offset);

        df_spread_copy(parcel->bytes, offset, bytes + offset, size);
        offset += size;
    }
    return bytes;
}

static void deliver_parcel(parts *p, df_graph *to, const df_parcel *parcel)
{
    df_error err = { 0 };

    if (p->options->on_parcel != NULL)
        p->options->on_parcel(p->options->user, to, parcel);
    if (parcel->size > 0 && draw(p, 2) == 0)
        deliver_damaged(p, to, parcel);
    check(take_in(p, to, parcel, parcel->bytes, parcel->size, &err), &err);
    if (parcel->size > 0 && draw(p, 4) == 0)
        refuse(p, to, parcel, parcel->bytes, parcel->size);
}

static bool same_way(const parts *p, size_t a, size_t b)
{
    const df_parcel *one = &p->queue[a], *two = &p->queue[b];

    return p->from[a] == p->from[b] && one->member == two->member && one->edge == two->edge &&
           one->key_group == two->key_group;
}

/* Any of the queue; but what one member sends another from a key group on an edge keeps its order. Under the lock. */
static df_parcel parts_get(parts *p, uint32_t *from)
{
    size_t at = draw(p, p->count), first = 0;
    df_parcel parcel;

    while (!same_way(p, first, at))
        first++;
    parcel = p->queue[first];
    *from = p->from[first];
    p->count--;
    memmove(p->queue + first, p->queue + first + 1, (p->count - first) * sizeof *p->queue);
    memmove(p->from + first, p->from + first + 1, (p->count - first) * sizeof *p->from);
    return parcel;
}

/* Deliver what lies in the queue, in any order. */
static void deliver(parts *p)
{

    pthread_mutex_lock(&p->lock);
    while (!p->woken && p->count == 0)
        pthread_cond_wait(&p->cond, &p->lock);
    p->woken = false;
    while (p->count > 0) {
        uint32_t from;
        df_parcel parcel = parts_get(p, &from);
        df_graph *to = p->members[parcel.member].graph;

        pthread_mutex_unlock(&p->lock);
        if (!df_graph_awaits(to, parcel.edge, parcel.tick, parcel.key_group))
            abort();
        if (parcel.spread) {
            uint8_t *spread = parcel.bytes;

            parcel.bytes = gather(p, &parcel);
            df_spread_release(p->members[from].graph, spread);
            deliver_parcel(p, to, &parcel);
            free(parcel.bytes);
        } else {
            deliver_parcel(p, to, &parcel);
            df_parcel_release(p->members[from].graph, parcel.bytes);
        }
        df_graph_help(to);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static uint64_t least(const parts *p, bool worked)
{
    uint64_t low = UINT64_MAX;

    for (uint32_t i = 0; i < p->live; i++) {
        const df_progress *a = &p->members[i].progress;
        uint64_t n = worked ? a->worked : a->done;
        low = n < low ? n : low;
    }
    return low;
}

/* Some key groups get other owners, at a tick that was not granted yet. */
static void change_owners(parts *p)
{
    uint32_t units = p->plan->key_groups, count = 0, (*pairs)[2];
    uint64_t tick = p->granted + draw(p, 3);
    df_error err = { 0 };

    tick = tick < p->change ? p->change : tick;
    pairs = zeroed(units, sizeof *pairs);
    for (uint32_t u = 0; u < units; u++) {
        if (draw(p, 3) != 0 || (p->changed[u] > 0 && tick <= p->changed[u] + p->plan->window))
            continue;
        p->owners[u] = (uint32_t)draw(p, p->live);
        p->changed[u] = tick;
        pairs[count][0] = u;
        pairs[count++][1] = p->owners[u];
    }
    p->change = tick;
    for (uint32_t i = 0; count > 0 && i < p->live; i++)
        check(df_graph_owners(p->members[i].graph, tick, (const uint32_t (*)[2])pairs, count, &err),
              &err);
    free(pairs);
}

/* The last member comes: it owns nothing at its first tick. */
static void join(parts *p)
{
    uint64_t tick = p->granted + draw(p, 3);
    df_error err = { 0 };

    tick = tick < p->change ? p->change : tick;
    if (tick > p->plan->job.steps)
        return;
    p->live++;
    p->change = tick;
    for (uint32_t i = 0; i + 1 < p->live; i++)
        df_graph_members(p->members[i].graph, p->live);
    start_member(p, p->live - 1, tick);
    check(df_graph_start(p->members[p->live - 1].graph, &err), &err);
}

/* Returns whether something failed. */
static bool advance(parts *p, uint64_t end)
{
    bool failed = false;
    uint64_t low, bound;
    df_progress now;

    for (uint32_t i = 0; i < p->live; i++) {
        df_graph_progress(p->members[i].graph, &p->members[i].progress);
        failed |= p->members[i].progress.failed;
    }
    if (p->live < p->options->members && draw(p, 3) == 0)
        join(p);
    if (p->options->moves && draw(p, 2) == 0)
        change_owners(p);
    low = least(p, false);
    bound = low + (p->options->moves ? 1 + draw(p, p->plan->window) : p->plan->window);
    bound = bound < end ? bound : end;
    bound = bound > p->granted ? bound : p->granted;
    p->granted = bound;
    for (uint32_t i = 0; i < p->live; i++) {
        df_graph_complete(p->members[i].graph, least(p, true));
        df_graph_grant(p->members[i].graph, bound);
        df_graph_progress(p->members[i].graph, &now);
        if (now.done != p->members[i].progress.done || now.worked != p->members[i].progress.worked)
            parts_wake(&p->members[i]); /* once more */
        p->members[i].progress = now;
        df_graph_help(p->members[i].graph);
    }
    return failed;
}

static void run_to(parts *p, uint64_t end)
{
    while (!advance(p, end) && least(p, false) < end)
        deliver(p);
    for (uint32_t i = 0; i < p->live; i++)
        if (p->members[i].progress.failed) {
            fprintf(stderr, "parts: %s\n", p->members[i].progress.error.text);
            abort();
        }
}

/* The barrier is told when the bound is at most its tick: here, at any time before, or when all ticks
 * before it are complete. */
static parts_snapshot *capture(parts *p, uint64_t first)
{
    uint64_t tick = p->options->capture_tick;
    uint64_t told = first + draw(p, tick - first + 1);
    parts_snapshot *s = snapshot_new(p->plan, tick);
    uint32_t members;
    df_error err = { 0 };

    run_to(p, told);
    p->change = tick > p->change ? tick : p->change; /* later orders are for later ticks */
    members = p->live; /* who comes later keeps nothing */
    for (uint32_t i = 0; i < members; i++)
        df_graph_capture(p->members[i].graph, tick);
    for (uint32_t i = 0; i < members; i++) {
        const df_captured *c;
        while ((c = df_graph_captured(p->members[i].graph)) == NULL) {
            if (advance(p, p->plan->job.steps + 2))
                abort();
            if (df_graph_captured(p->members[i].graph) == NULL)
                deliver(p);
        }
        check(df_graph_capture_marks(p->members[i].graph, &err), &err);
        snapshot_take(s, c, i);
        df_graph_capture_drop(p->members[i].graph);
    }
    return s;
}

static void stop(parts *p)
{
    df_error err = { 0 };

    for (uint32_t i = 0; i < p->live; i++) {
        df_part part = part_of(p, i, 0);

        df_graph_halt(p->members[i].graph);
        if (p->options->on_end != NULL)
            p->options->on_end(p->options->user, p->members[i].graph, &part);
        check(df_graph_finish(p->members[i].graph, &err), &err);
        df_graph_free(&p->members[i].graph);
        free(p->members[i].empty);
    }
    free(p->members);
    free(p->owners);
    free(p->changed);
    free(p->queue);
    free(p->from);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->cond);
}

static void init(parts *p, const df_plan *plan, const parts_options *options)
{
    *p = (parts){ .plan = plan, .options = options, .random = options->seed };
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->cond, NULL);
}

df_hash parts_run(const df_plan *plan, const parts_options *options, const parts_snapshot *from,
                  parts_snapshot **taken)
{
    uint64_t first = from == NULL ? 0 : from->tick, step;
    parts p;
    df_hash hash;

    init(&p, plan, options);
    start(&p, from);
    if (options->capture_tick > 0)
        *taken = capture(&p, first);
    run_to(&p, plan->job.steps + 2);
    if (!df_graph_fingerprint(p.members[p.sink_member].graph, &step, &hash) ||
        step != plan->job.steps)
        abort();
    stop(&p);
    return hash;
}
