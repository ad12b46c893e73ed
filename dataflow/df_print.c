/* Fingerprints: XXH3-128 of each column of each key group's batch, and their combination.
 *
 * Order: a stream's hashes are combined by key group, then by column (the key is column 0), a step's
 * by stream in the order of the job file; the hashes enter as 16 bytes, high word first, big-endian
 * (the canonical form of xxHash). So the total is a function of the rows alone. */
#include "dataflow/df_graph_private.h"

#include <string.h>
#include <xxhash.h>

#define PRINT_KEEP_MIN 512u /* bytes of a column whose hash is kept with it */

static df_hash hash_of(XXH128_hash_t h)
{
    return (df_hash){ .high = h.high64, .low = h.low64 };
}

static void canonical(unsigned char *bytes, df_hash h)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(h.high >> (56 - 8 * i));
        bytes[8 + i] = (unsigned char)(h.low >> (56 - 8 * i));
    }
}

/* The hash of `count` hashes, `stride` apart. */
static df_hash combine_hashes(const df_hash *hashes, size_t count, size_t stride)
{
    XXH3_state_t state;
    unsigned char bytes[16 * 64];
    size_t used = 0;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        canonical(bytes + used, hashes[i * stride]);
        used += 16;
        if (used == sizeof bytes || i + 1 == count) {
            XXH3_128bits_update(&state, bytes, used);
            used = 0;
        }
    }
    return hash_of(XXH3_128bits_digest(&state));
}

static bool add_print(df_graph *g, df_arena *arena, uint32_t stream)
{
    graph_print *print = &g->prints[g->print_count++];
    const df_stream *s = &g->plan->streams[stream];

    print->stream = stream;
    print->columns = s->schema.column_count + 1;
    print->groups = s->partition.key_groups;
    print->hashes = df_arena_alloc(arena, (size_t)g->ring * print->groups * print->columns *
                                              sizeof(df_hash));
    print->by_column = df_arena_alloc(arena, print->columns * sizeof(df_hash));
    print->by_group = df_arena_alloc(arena, print->groups * sizeof(df_hash));
    return print->hashes != NULL && print->by_column != NULL && print->by_group != NULL;
}

/* States first, then, if asked, the streams of operators. */
bool graph_print_setup(df_graph *g, df_arena *arena)
{
    const df_plan *p = g->plan;

    g->prints = df_arena_alloc(arena, (p->stream_count + 1) * sizeof *g->prints);
    g->print_views = df_arena_alloc(arena, (p->stream_count + 1) * sizeof *g->print_views);
    if (g->prints == NULL || g->print_views == NULL)
        return false;
    for (uint32_t v = 0; v < p->vertex_count; v++) {
        g->vertices[v].print = DF_NONE;
        if (p->vertices[v].role != DF_COMMIT && !g->options.fingerprint_streams)
            continue;
        g->vertices[v].print = g->print_count;
        for (uint32_t o = 0; o < p->vertices[v].out_count; o++)
            if (!add_print(g, arena, p->vertices[v].outs[o]))
                return false;
    }
    return true;
}

/* The hash of a published column, a buffer of the pool. It stays with the buffer, so that a column which a step does
 * not change is read once and not at each step; to keep a short one's costs as much as to hash it. */
static df_hash hash_column(void *column, size_t size)
{
    uint64_t kept[2];
    df_hash h;

    if (size < PRINT_KEEP_MIN)
        return hash_of(XXH3_128bits(column, size));
    if (df_pool_digest(column, size, kept))
        return (df_hash){ .high = kept[0], .low = kept[1] };
    h = hash_of(XXH3_128bits(column, size));
    df_pool_set_digest(column, size, (const uint64_t[2]){ h.high, h.low });
    return h;
}

void graph_print_batch(df_graph *g, uint32_t print, uint32_t slot, const weir_batch *batch)
{
    const graph_print *p = &g->prints[print];
    df_hash *hashes = p->hashes + ((size_t)slot * p->groups + batch->key_group) * p->columns;

    hashes[0] = hash_column(batch->keys, batch->row_count * sizeof(uint64_t));
    for (uint32_t c = 0; c + 1 < p->columns; c++)
        hashes[c + 1] = hash_column(batch->columns[c],
                                    batch->row_count * weir_type_size(batch->schema->columns[c].type));
}

/* The view of one stream's hashes in a ring slot. */
static void view_stream(const graph_print *p, uint32_t slot, df_stream_print *view)
{
    const df_hash *hashes = p->hashes + (size_t)slot * p->groups * p->columns;

    for (uint32_t c = 0; c < p->columns; c++)
        p->by_column[c] = combine_hashes(hashes + c, p->groups, p->columns);
    for (uint32_t k = 0; k < p->groups; k++)
        p->by_group[k] = combine_hashes(hashes + (size_t)k * p->columns, p->columns, 1);
    *view = (df_stream_print){ .stream = p->stream, .key_groups = p->groups,
                               .column_count = p->columns, .columns = p->by_column,
                               .groups = p->by_group,
                               .total = combine_hashes(p->by_group, p->groups, 1) };
}

df_step_print graph_print_step(df_graph *g, uint64_t step)
{
    df_hash totals[DF_STATES_MAX + 1];
    uint32_t states = 0, views = 0;

    for (uint32_t i = 0; i < g->print_count; i++) {
        uint32_t vertex = g->plan->streams[g->prints[i].stream].vertex;
        bool state = g->plan->vertices[vertex].role == DF_COMMIT;
        uint32_t slot = graph_ring_slot(g, state ? step : step + 1);

        /* A state always has its rows; and its slot's activity may be that of a later tick by now. */
        if (!state && !g->ticks[slot].vertices[vertex])
            continue;
        view_stream(&g->prints[i], slot, &g->print_views[views]);
        if (state)
            totals[states++] = g->print_views[views].total;
        views++;
    }
    g->fingerprint = combine_hashes(totals, states, 1);
    g->fingerprint_step = step;
    g->have_fingerprint = true;
    return (df_step_print){ .step = step, .total = g->fingerprint, .stream_count = views,
                            .streams = g->print_views };
}
