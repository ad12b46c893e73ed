#include "coordinator/coord_counts.h"

#include <stdlib.h>

#define COUNTS_SPANS_SIZE    (4 + 8) /* of the smallest, as the next two */
#define COUNTS_OPERATOR_SIZE (2 * 4 + 2 + 1 + 4 * 8 + COUNTS_SPANS_SIZE)
#define COUNTS_PEER_SIZE     (9 * 8 + COUNTS_SPANS_SIZE)
#define COUNTS_BUCKET_MAX    (1ull << 48) /* so that their sum is a number */

const double coord_bucket_bounds[COORD_BUCKETS - 1] = { 0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
                                                        1,     3,     10,   30,   100, 300 };

/* The plain numbers, in the order of the wire. */
static const size_t counts_offsets[] = {
    offsetof(coord_counts, row_steps),         offsetof(coord_counts, tasks),
    offsetof(coord_counts, steals),            offsetof(coord_counts, sleeps),
    offsetof(coord_counts, allocations),       offsetof(coord_counts, pool_bytes),
    offsetof(coord_counts, frames_parked),     offsetof(coord_counts, part_bytes_raw),
    offsetof(coord_counts, part_bytes_stored), offsetof(coord_counts, part_bytes_kept),
    offsetof(coord_counts, parts_failed),      offsetof(coord_counts, loads_failed),
};
#define COUNTS_PLAIN (sizeof counts_offsets / sizeof counts_offsets[0])

void coord_histogram_put(coord_histogram *h, double seconds)
{
    uint32_t i = 0;

    if (!(seconds > 0))
        seconds = 0;
    while (i < COORD_BUCKETS - 1 && seconds > coord_bucket_bounds[i])
        i++;
    h->buckets[i]++;
    h->nanoseconds += (uint64_t)(seconds * 1e9);
}

bool coord_counts_init(coord_counts *c, uint32_t operators, uint32_t peers)
{
    *c = (coord_counts){ 0 };
    c->operators = calloc((size_t)operators + 1, sizeof *c->operators);
    c->peers = calloc((size_t)peers + 1, sizeof *c->peers);
    if (c->operators == NULL || c->peers == NULL) {
        coord_counts_fini(c);
        return false;
    }
    c->operator_count = operators;
    c->peer_count = peers;
    return true;
}

void coord_counts_fini(coord_counts *c)
{
    free(c->operators);
    free(c->peers);
    *c = (coord_counts){ 0 };
}

static int operator_compare(const void *a, const void *b)
{
    const coord_counts_operator *one = a, *two = b;
    int order = strcmp(one->name, two->name);

    return order != 0 ? order : (int)one->role - (int)two->role;
}

static int peer_compare(const void *a, const void *b)
{
    uint64_t one = ((const coord_counts_peer *)a)->id, two = ((const coord_counts_peer *)b)->id;

    return (one > two) - (one < two);
}

void coord_counts_sort(coord_counts *c)
{
    qsort(c->operators, c->operator_count, sizeof *c->operators, operator_compare);
    qsort(c->peers, c->peer_count, sizeof *c->peers, peer_compare);
}

/* ---- telling ---- */

static void put_histogram(df_writer *w, const coord_histogram *h)
{
    for (uint32_t i = 0; i < COORD_BUCKETS; i++)
        df_put_u64(w, h->buckets[i]);
    df_put_u64(w, h->nanoseconds);
}

static void put_spans(df_writer *w, const df_spans *spans)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        mask |= (uint32_t)(spans->buckets[i] != 0) << i;
    df_put_u32(w, mask);
    for (uint32_t i = 0; i < DF_SPANS_BUCKETS; i++)
        if (spans->buckets[i] != 0)
            df_put_u64(w, spans->buckets[i]);
    df_put_u64(w, spans->nanoseconds);
}

static void put_operator(df_writer *w, const coord_counts_operator *o)
{
    df_put_text(w, o->name);
    df_put_u8(w, (uint8_t)o->role);
    df_put_text(w, o->kind);
    df_put_u64(w, o->rows_in);
    df_put_u64(w, o->rows_out);
    df_put_u64(w, o->bytes_in);
    df_put_u64(w, o->bytes_out);
    put_spans(w, &o->calls);
}

static void put_peer(df_writer *w, const coord_counts_peer *p)
{
    df_put_u64(w, p->id);
    df_put_u64(w, p->frames_sent);
    df_put_u64(w, p->frames_resent);
    df_put_u64(w, p->frames_early);
    df_put_u64(w, p->frames_received);
    df_put_u64(w, p->bytes_sent);
    df_put_u64(w, p->bytes_moved);
    df_put_u64(w, p->bytes_received);
    df_put_u64(w, p->buffered);
    df_put_u64(w, p->queued);
    put_spans(w, &p->waits);
}

void coord_counts_encode(df_writer *w, const coord_counts *c)
{
    df_put_u16(w, COORD_COUNTS_VERSION);
    for (size_t i = 0; i < COUNTS_PLAIN; i++)
        df_put_u64(w, *(const uint64_t *)((const char *)c + counts_offsets[i]));
    df_put_u32(w, PROTO_REJECT_COUNT);
    for (uint32_t i = 0; i < PROTO_REJECT_COUNT; i++)
        df_put_u64(w, c->rejected[i]);
    put_histogram(w, &c->parts);
    put_histogram(w, &c->loads);
    put_spans(w, &c->group_tasks);
    df_put_u32(w, c->operator_count);
    for (uint32_t i = 0; i < c->operator_count; i++)
        put_operator(w, &c->operators[i]);
    df_put_u32(w, c->peer_count);
    for (uint32_t i = 0; i < c->peer_count; i++)
        put_peer(w, &c->peers[i]);
}

/* ---- hearing ---- */

static void get_histogram(df_cursor *r, coord_histogram *h)
{
    for (uint32_t i = 0; i < COORD_BUCKETS; i++) {
        h->buckets[i] = df_get_u64(r);
        if (h->buckets[i] > COUNTS_BUCKET_MAX)
            df_get_refuse(r);
    }
    h->nanoseconds = df_get_u64(r);
}

/* Only what put_spans makes: a bucket that is told is not empty. */
static void get_spans(df_cursor *r, df_spans *spans)
{
    uint32_t mask = df_get_u32(r);

    if (mask >> DF_SPANS_BUCKETS != 0)
        df_get_refuse(r);
    for (uint32_t i = 0; i < DF_SPANS_BUCKETS && !r->failed; i++)
        if ((mask >> i & 1) != 0) {
            spans->buckets[i] = df_get_u64(r);
            if (spans->buckets[i] == 0 || spans->buckets[i] > COUNTS_BUCKET_MAX)
                df_get_refuse(r);
        }
    spans->nanoseconds = df_get_u64(r);
}

static void get_operators(df_cursor *r, coord_counts *c)
{
    for (uint32_t i = 0; i < c->operator_count && !r->failed; i++) {
        coord_counts_operator *o = &c->operators[i];
        uint8_t role;

        df_get_name(r, o->name, WEIR_NAME_MAX);
        role = df_get_u8(r);
        o->role = role < COORD_COUNTS_ROLES ? (coord_counts_role)role : COORD_COUNTS_OPERATOR;
        df_get_name(r, o->kind, WEIR_NAME_MAX);
        o->rows_in = df_get_u64(r);
        o->rows_out = df_get_u64(r);
        o->bytes_in = df_get_u64(r);
        o->bytes_out = df_get_u64(r);
        get_spans(r, &o->calls);
        if (role >= COORD_COUNTS_ROLES || (i > 0 && operator_compare(o - 1, o) >= 0))
            df_get_refuse(r);
    }
}

static void get_peers(df_cursor *r, coord_counts *c)
{
    for (uint32_t i = 0; i < c->peer_count && !r->failed; i++) {
        coord_counts_peer *p = &c->peers[i];

        p->id = df_get_u64(r);
        p->frames_sent = df_get_u64(r);
        p->frames_resent = df_get_u64(r);
        p->frames_early = df_get_u64(r);
        p->frames_received = df_get_u64(r);
        p->bytes_sent = df_get_u64(r);
        p->bytes_moved = df_get_u64(r);
        p->bytes_received = df_get_u64(r);
        p->buffered = df_get_u64(r);
        p->queued = df_get_u64(r);
        get_spans(r, &p->waits);
        if (i > 0 && p->id <= p[-1].id)
            df_get_refuse(r);
    }
}

/* Memory is got for what the bytes that are left can hold. False: there is none. */
static bool get_lists(df_cursor *r, coord_counts *c)
{
    c->operator_count = df_get_count(r, COORD_COUNTS_OPERATORS_MAX, COUNTS_OPERATOR_SIZE);
    c->operators = calloc((size_t)c->operator_count + 1, sizeof *c->operators);
    if (c->operators == NULL)
        return false;
    get_operators(r, c);
    c->peer_count = df_get_count(r, PROTO_MEMBERS_MAX, COUNTS_PEER_SIZE);
    c->peers = calloc((size_t)c->peer_count + 1, sizeof *c->peers);
    if (c->peers == NULL)
        return false;
    get_peers(r, c);
    return true;
}

df_status coord_counts_decode(coord_counts *c, const uint8_t *bytes, size_t size, df_error *err)
{
    df_status s = DF_OK;
    df_cursor r;

    *c = (coord_counts){ 0 };
    df_cursor_init(&r, bytes, size);
    if (df_get_u16(&r) != COORD_COUNTS_VERSION)
        df_get_refuse(&r);
    for (size_t i = 0; i < COUNTS_PLAIN; i++)
        *(uint64_t *)((char *)c + counts_offsets[i]) = df_get_u64(&r);
    if (df_get_u32(&r) != PROTO_REJECT_COUNT)
        df_get_refuse(&r);
    for (uint32_t i = 0; i < PROTO_REJECT_COUNT; i++)
        c->rejected[i] = df_get_u64(&r);
    get_histogram(&r, &c->parts);
    get_histogram(&r, &c->loads);
    get_spans(&r, &c->group_tasks);
    if (!get_lists(&r, c))
        s = df_fail(err, DF_ENOMEM, "metrics: out of memory");
    else if (!df_get_end(&r))
        s = df_fail(err, DF_ECORRUPT, "metrics: damaged at byte %zu", r.offset);
    if (s != DF_OK)
        coord_counts_fini(c);
    return s;
}
