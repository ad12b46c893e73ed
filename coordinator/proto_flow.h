/* What a worker's control and channels ask of its dataflow: a table with two implementations, the
 * model that the simulator runs (proto_flow.c) and the engine (coord_flow.c).
 *
 * Steps here are the protocol's; the engine counts its ticks by them. All functions are called by the
 * worker's one thread, none is called between close and the next open but close itself. */
#ifndef PROTO_FLOW_H
#define PROTO_FLOW_H

#include "coordinator/proto_msg.h"
#include "coordinator/proto_plan.h"

struct proto_worker;

typedef struct proto_flow_calls {
    /* A generation has been installed: members, owners, install_snapshot and install_step are set. The
     * states are loaded and the sinks opened; then, at once or later, proto_worker_ready is called. */
    void (*open)(struct proto_worker *w);
    /* Said with every heartbeat until then. */
    void (*open_again)(struct proto_worker *w);
    void (*close)(struct proto_worker *w);
    /* Steps below w->bound have become allowed, from `before` on: at most a window of them, but for a
     * member that owns no key group at any of them. */
    void (*raised)(struct proto_worker *w, uint64_t before);
    /* (null is allowed) A place in w->members was filled or vacated: w->members[place] tells, 0 is vacant.
     * Called when the order is applied, before anything of it is used; its channel is new. */
    void (*members)(struct proto_worker *w, uint32_t place);
    /* (null is allowed) Key groups change their owner at `step`; w->owners has it already. */
    void (*owners)(struct proto_worker *w, uint64_t step, const uint32_t *pairs /* group, member */,
                   uint32_t count);
    /* Steps below w->complete are computed everywhere. */
    void (*completed)(struct proto_worker *w);
    /* Steps below it are finished here; computed here but perhaps not shown by sinks. */
    uint64_t (*low)(const struct proto_worker *w);
    uint64_t (*worked)(const struct proto_worker *w);
    /* The lowest stage with own tasks to do at step `low`. */
    uint32_t (*low_stage)(const struct proto_worker *w);
    /* Whether rows, or end-of-step marks, may come for that edge, step and key groups. */
    bool (*fits)(const struct proto_worker *w, const proto_data *rows);
    bool (*fits_mark)(const struct proto_worker *w, const proto_mark *mark);
    /* A piece of a batch that fits has arrived. False: it is not the one whose turn it is. */
    bool (*rows)(struct proto_worker *w, uint32_t member, const proto_data *rows);
    /* A source key group has sent all that it sends here. */
    void (*arrive)(struct proto_worker *w, uint32_t edge, uint64_t step, uint32_t src);
    /* A piece of a key group's state that is moved here. False: it does not fit. */
    bool (*state)(struct proto_worker *w, uint32_t member, const proto_state *piece);
    /* The barrier of w->capture has been ordered. */
    void (*capture)(struct proto_worker *w);
    /* Whether everything that the snapshot needs of this worker is kept. */
    bool (*captured)(const struct proto_worker *w);
    void (*capture_drop)(struct proto_worker *w);
    /* (null is allowed) Whether what was kept is being written: it is asked to stop, and proto_worker_part_done says
     * when it has. Dropping it before waits for that. */
    bool (*writing)(struct proto_worker *w);
    /* Of the bytes that wait here for their task, those of a member above the low-water mark. */
    uint64_t (*above_mark)(const struct proto_worker *w, uint32_t member);
} proto_flow_calls;

extern const proto_flow_calls proto_flow_model;

#endif
