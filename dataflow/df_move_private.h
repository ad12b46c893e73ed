/* What the files of moves share: df_move.c (tables, and what is carried), df_move_send.c (the old owner), df_move_hold.c
 * (what waits until owners are known), df_move_take.c (the new owner), df_move_arrive.c (a state's bytes, as they come to
 * it). The bytes are described in df_move.c. */
#ifndef DF_MOVE_PRIVATE_H
#define DF_MOVE_PRIVATE_H

#include "dataflow/df_graph_private.h"

#define MOVE_HEAD      8u  /* form, and how many */
#define MOVE_KEPT_HEAD 12u /* of what a kind keeps */

typedef enum move_form {
    MOVE_STATE = 1,
    MOVE_FAILED,
    MOVE_CARRIED,
} move_form;

/* What a kind keeps. */
typedef struct moved_kept {
    uint32_t vertex, port;
    size_t size;
    void *memory; /* of the pool */
} moved_kept;

struct graph_moved { /* from the pool */
    uint32_t state, key_group;
    df_batch *batch;
    uint32_t kept_count;
    moved_kept kept[];
};

uint32_t graph_move_state_groups(const df_graph *g, uint32_t state);
uint32_t graph_move_unit_of(const df_graph *g, uint32_t stage, uint32_t key_group);
/* The first key group of a stage in a unit; that of the next unit is behind the last. */
uint32_t graph_move_first_group(const df_graph *g, uint32_t stage, uint32_t unit);
/* Whether a unit is this member's by the second table and not by the first. */
bool graph_move_unit_comes(const df_graph *g, const graph_owners *before, const graph_owners *after, uint32_t unit);
const graph_owners *graph_move_owners_before(const df_graph *g, uint64_t tick);
bool graph_move_vertex_carries(const df_graph *g, uint32_t vertex);
/* What operators carry in a unit as bytes; null: only how many. Returns their size. */
size_t graph_move_put_carried(const df_graph *g, uint32_t unit, uint8_t *to, uint32_t *entries);
/* The bytes of a state that moves, made a batch; null: they are another form, and nothing has been done. It changes
 * nothing here: it may be done before the tick's owners are known. What comes of it is finished or dropped. */
df_status graph_move_prepare(df_graph *g, uint64_t tick, uint32_t unit, const uint8_t *bytes, size_t size,
                             graph_moved **out, df_error *err) DF_MUST_CHECK;
/* The unit is awaited at the tick: what was prepared is this member's from now on. Takes it in any case. */
df_status graph_move_finish(df_graph *g, uint64_t tick, uint32_t unit, graph_moved **moved, df_error *err)
    DF_MUST_CHECK;
void graph_move_drop(df_graph *g, graph_moved **moved);
/* Finish what was prepared, or keep it until the tick's owners are known. DF_ECORRUPT: it is not awaited. Takes it in
 * any case. */
df_status graph_move_deliver(df_graph *g, uint64_t tick, uint32_t unit, graph_moved **moved, df_error *err)
    DF_MUST_CHECK;
/* DF_ECORRUPT, with a text. */
df_status graph_move_damaged(uint32_t unit, df_error *err) DF_MUST_CHECK;
/* Whether a state has such a key group, and in the unit. */
bool graph_move_is_of_unit(const df_graph *g, uint32_t unit, uint32_t state, uint32_t key_group);
/* A parcel cannot be made; it fails the tick, which is then the same for all. */
void graph_move_no_memory(df_graph *g, const df_parcel *parcel, uint32_t vertex);

#endif
