/* What other members send: parcels of edges, fingerprints, and what moves, whole or in pieces. A member runs on what the other
 * one has sent in a run that was recorded; in between come bytes of anybody's. What is refused has changed nothing: the
 * last step's fingerprint is the recorded run's. What is taken in may have changed anything, but what is read, written or
 * given back is the member's own. (part_replay.h says what there is, fenced_pool.h sees what should not be touched.)
 *
 * An input is a list of words: a u8 says what comes,
 *
 *   0 mod 4   so many of the recorded parcels, by its higher bits
 *   1         one of anybody's: u8 edge, u8 ticks from the lowest, u8 key group, u16 size, bytes, u8 how
 *   2         a recorded one that was changed: u8 how many ahead, u8 bytes more or less, u8 changes, each of them u16 where,
 *             u8 what; u8 how
 *   3         a recorded one, as it is: u8 how many ahead, u8 how
 *
 * and how it comes: 0 whole; else in pieces, u8 each: 0 gives up, 255 leaves a byte out, others their length. */
#include "tests/support/fenced_pool.h"
#include "tests/support/part_replay.h"

#include "coordinator/coord_flow_private.h"
#include "dataflow/df_bytes.h"

#define SIZE_MOST    (1u << 16)
#define WORDS_MOST   100u
#define PATIENCE_MS  20 /* what is taken in may be what a parcel behind it refers to: then its tick waits for ever */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static replay recorded;

typedef struct run {
    replay_run replay;
    coord_flow flow;
    flow_arrival arrivals[REPLAY_MEMBERS];
    bool *before; /* [recorded.count]: taken in before its turn, or may yet be */
    bool other;   /* something was taken in that was not recorded, or may yet be */
} run;

/* ---- what was recorded ---- */

/* After anything else the next one need not be awaited any more. */
static void give_next(run *r)
{
    bool must = !r->other && !r->before[r->replay.given];
    const df_parcel *p = replay_next(&r->replay);
    df_error err;

    if (p != NULL && df_graph_deliver(r->replay.member.graph, p->edge, p->tick, p->key_group, p->bytes, p->size,
                                      &err) != DF_OK && must)
        replay_check(DF_ECORRUPT, &err);
    replay_go_on(&r->replay);
}

/* ---- what is anybody's ---- */

/* Returns whether all of it was taken in. */
static bool take_pieces(run *r, const df_parcel *p, df_cursor *c)
{
    proto_data d = { .edge = p->edge, .step = p->tick, .src = p->key_group, .total = p->size };
    uint32_t member = df_get_u8(c) % REPLAY_MEMBERS;

    while (d.offset < p->size) {
        uint32_t length = df_get_u8(c);

        if (length == 0)
            return false;
        d.offset += length == UINT8_MAX;
        length = length > p->size - d.offset ? p->size - d.offset : length;
        d.payload = (proto_bytes){ p->bytes + d.offset, length };
        if (!flow_take(&r->flow, member, &d))
            return false;
        d.offset += length;
    }
    return true;
}

/* Returns whether it was taken in, or is kept until it is known whether it is awaited. */
static bool give(run *r, const df_parcel *p, df_cursor *c)
{
    bool taken = df_graph_awaits(r->replay.member.graph, p->edge, p->tick, p->key_group);
    df_error err;

    if (!taken)
        return false;
    if (p->size == 0 || df_get_u8(c) == 0)
        taken = df_graph_deliver(r->replay.member.graph, p->edge, p->tick, p->key_group, p->bytes, p->size, &err) == DF_OK;
    else
        taken = take_pieces(r, p, c);
    replay_go_on(&r->replay);
    return taken;
}

static void give_any(run *r, df_cursor *c)
{
    df_parcel p = { .edge = df_get_u8(c) };
    const uint8_t *bytes;

    p.edge = p.edge == UINT8_MAX ? DF_PARCEL_MOVE : p.edge;
    p.tick = r->replay.member.progress.done + df_get_u8(c) % 8;
    p.key_group = df_get_u8(c);
    p.size = df_get_u16(c);
    bytes = df_get_bytes(c, p.size);
    if (bytes == NULL)
        return;
    p.bytes = malloc(p.size); /* of its own, so that a read beyond it is seen */
    memcpy(p.bytes, bytes, p.size);
    r->other |= give(r, &p, c);
    free(p.bytes);
}

static void give_changed(run *r, df_cursor *c, bool as_it_is)
{
    size_t at = r->replay.given + df_get_u8(c) % 64u;
    df_parcel p;

    if (at >= recorded.count)
        return;
    p = recorded.parcels[at];
    p.bytes = calloc(p.size + UINT8_MAX, 1);
    if (p.size > 0)
        memcpy(p.bytes, recorded.parcels[at].bytes, p.size);
    if (!as_it_is) {
        uint8_t more = df_get_u8(c), changes;

        p.size = more < 128 ? p.size + more : p.size > 256u - more ? p.size - (256u - more) : 0;
        for (changes = df_get_u8(c) % 16; changes > 0 && p.size > 0; changes--) {
            uint32_t where = df_get_u16(c) % p.size;

            p.bytes[where] = df_get_u8(c);
        }
    }
    p.bytes = realloc(p.bytes, p.size + (p.size == 0));
    *(as_it_is ? &r->before[at] : &r->other) |= give(r, &p, c);
    free(p.bytes);
}

/* ---- the target ---- */

static void begin(run *r)
{
    *r = (run){ .flow = { .arrivals = r->arrivals }, .before = calloc(recorded.count, sizeof *r->before) };
    replay_begin(&r->replay, &recorded);
    r->flow.graph = r->replay.member.graph;
}

static void end(run *r)
{
    while (r->replay.given < recorded.count && !replay_over(&r->replay))
        give_next(r);
    replay_finish(&r->replay);
    if (!r->other && !replay_same(&r->replay))
        abort();
    for (uint32_t m = 0; m < REPLAY_MEMBERS; m++)
        flow_take_drop(&r->flow, m);
    coord_pieces_free(&r->flow.pieces);
    replay_end(&r->replay);
    free(r->before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    df_cursor c;
    run r;

    if (recorded.plan == NULL)
        replay_record(&recorded, &replay_all);
    begin(&r);
    df_cursor_init(&c, data, size < SIZE_MOST ? size : SIZE_MOST);
    for (uint32_t i = 0; i < WORDS_MOST && df_get_left(&c) > 0 && !c.failed && !replay_over(&r.replay); i++) {
        uint8_t what = df_get_u8(&c);

        for (uint32_t k = 0; what % 4 == 0 && k <= what / 4u && r.replay.given < recorded.count; k++)
            give_next(&r);
        if (what % 4 == 1)
            give_any(&r, &c);
        else if (what % 4 > 1)
            give_changed(&r, &c, what % 4 == 3);
        r.replay.patience_ms = r.other ? PATIENCE_MS : 0;
    }
    end(&r);
    return 0;
}
