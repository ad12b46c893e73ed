/* A worker's insides, shared by proto_worker.c (control), proto_apply.c (history), proto_flow.c (tasks), proto_channel.c (the
 * channels between workers), proto_capture.c (snapshots) and proto_carry.c (streams from and to the coordinator). */
#ifndef PROTO_WORKER_PRIVATE_H
#define PROTO_WORKER_PRIVATE_H

#include "coordinator/proto_mutants.h"
#include "coordinator/proto_order.h"
#include "coordinator/proto_flow.h"
#include "coordinator/proto_owner.h"
#include "coordinator/proto_worker.h"
#include "dataflow/df_spans.h"

#define MUTANT(w, name) proto_mutant_on((w)->config.mutants, PROTO_MUTANT_##name)

typedef enum worker_phase {
    WORKER_JOINING,    /* no generation yet */
    WORKER_INSTALLING, /* states and sinks are being opened */
    WORKER_RUNNING,
    WORKER_STOPPED,
} worker_phase;

/* What is known of one step that is under way: the ring holds window + 1 of them. */
typedef struct flow_input {
    struct flow_input *next;
    proto_input input;
} flow_input;

typedef struct flow_slot {
    uint16_t *have;        /* [stage][group]: inputs that have arrived */
    uint8_t *arrived;      /* [edge][source group] */
    uint32_t *all_count;   /* [edge]: sources that have arrived on an ALL edge */
    flow_input **inputs;   /* [edge][group] */
    uint32_t *left;        /* [stage]: own tasks not yet done; valid below the bound */
} flow_slot;

typedef struct flow_group {
    proto_batch *state;    /* that enters `step`; null: not here */
    proto_batch *next;     /* made already, while other stages of the step run */
    uint64_t step;
    uint32_t left;         /* stages of the step not yet done */
    bool open;             /* the step has begun */
    bool sent;             /* its neighbours have its state */
    proto_batch *arriving; /* a state that is being received, */
    uint64_t arriving_step; /* for this step */
    uint32_t arriving_from;
} flow_group;

typedef struct flow {
    uint32_t ring;         /* slots */
    flow_slot *slots;
    flow_group *groups;
    uint16_t *need;        /* [stage][group]: inputs of a task, its opening counted */
    uint32_t *stages_of;   /* [group] */
    uint64_t low;          /* the lowest step with own tasks to do; <= bound */
    uint64_t final_step;   /* nothing runs from here on */
    flow_input *spare;
    uint32_t running;
    uint32_t loads_left, sinks_left;
    uint8_t *sink_open;    /* [group] */
} flow;

/* A frame that waits for credit or for its acknowledgement. */
typedef struct channel_frame {
    struct channel_frame *next;
    proto_msg msg;
    proto_batch *batch;    /* what msg's payload points into; held */
    uint64_t step;
    uint32_t stage;        /* what it is an input of */
    uint32_t cost;         /* bytes of credit */
    uint64_t put_us;       /* when it began to wait for it */
} channel_frame;

typedef struct channel_queue {
    channel_frame *first, *last;
} channel_queue;

/* A frame that waits for its turn, in its encoded form. */
typedef struct parked_frame {
    struct parked_frame *next;
    uint64_t sequence;
    size_t size;
    uint8_t bytes[];
} parked_frame;

typedef struct channel {
    channel_queue waiting, moving; /* by (step, stage); states that move have their own reserve */
    channel_queue unacked;
    uint64_t next;         /* sequence of the next frame */
    uint64_t sent, moved;  /* bytes sent in this generation: rows, states */
    uint64_t peer_consumed, peer_moved, peer_step;
    uint32_t peer_stage, waiting_count;
    /* What is not acknowledged for `wait_us` is sent again, the first of it; then more and more, up to what was sent
     * at that time, as acknowledgements come. */
    uint64_t progress_us, resent_us; /* when the peer told of more; when something was sent again */
    uint64_t wait_us;      /* doubled when nobody answers, as configured after progress */
    uint64_t again_end;    /* sequence up to which frames are sent again; 0: none is */
    uint64_t again_at;     /* the last one that was */
    uint32_t again_count;  /* so many at a time */
    bool stirred, used;    /* something is to be done; frames or acknowledgements have crossed it */
    bool near;             /* the newest state was put together where its reader finds it */
    /* the receiving half */
    uint64_t received;     /* the last sequence that arrived in order */
    uint64_t consumed, taken; /* bytes given back: rows, states */
    uint64_t taken_told;      /* of the states' */
    uint64_t buffered;     /* bytes of rows that wait for their task */
    uint64_t consumed_told, step_told;
    uint32_t quiet;        /* frames since the last acknowledgement */
    bool tell, gap;        /* an acknowledgement is due; a frame is missing */
    struct parked_frame *ahead; /* arrived before the one that is missing; by sequence */
    uint32_t ahead_count;
    uint64_t frames_sent, frames_resent, frames_early; /* early: put into `ahead` */
    df_spans waits;        /* of frames until they were sent first */
} channel;

/* The snapshot under way. */
typedef struct capture {
    uint64_t attempt;      /* index of its order; 0: none */
    uint64_t step;
    uint32_t count;
    proto_captured *captured; /* [group_count] */
    bool final;            /* nothing runs from its step on */
    bool writing, written, syncing, synced, failed, told;
    bool over;             /* it was decided, and is dropped when nobody writes it any more */
    uint64_t file_size;    /* of the file that the coordinator fetches; 0: it does not */
    uint64_t hash_high, hash_low;
} capture;

/* What is fetched of a snapshot. */
typedef struct carry {
    bool open;
    uint64_t number;       /* of the one that is, or was, under way */
    uint64_t snapshot;
    uint32_t table, groups_size;
    uint8_t groups[PROTO_GROUPS_MAX / 8];
    proto_stream stream;
} carry;

struct proto_worker {
    uint32_t *stirred;     /* [channel_count]: channels at which something is to be done */
    uint32_t stirred_count;
    uint64_t pumped_low;   /* the low-water mark when all channels were looked at */
    uint8_t *gathered;     /* a frame's bytes of a state that lies in several places; null: none has left yet */
    const proto_plan *plan;
    proto_worker_config config;
    proto_worker_env env;
    uint64_t now_us, beat_at_us;
    worker_phase phase;
    uint64_t generation, incarnation;
    uint64_t bound, applied, complete;
    uint64_t pending_bound, pending_history; /* a grant that waits for its history */
    uint64_t tables;        /* orders up to here, but for inputs, were in the install's lists */
    uint32_t window;
    uint64_t *members;      /* by place; 0: vacant */
    uint32_t member_count, self; /* places, vacant ones too */
    proto_owners owners;
    proto_event *events;
    uint32_t event_count, event_room;
    uint64_t install_snapshot, install_step;
    capture capture;
    carry carry;
    uint64_t released;      /* the last attempt whose references were given back */
    const proto_flow_calls *calls;
    flow flow;             /* of the model */
    channel *channels;      /* [member] */
    uint32_t channel_count;
    parked_frame *parked, **parked_last;
    uint32_t parked_count;
    bool status_due;
    uint64_t told_low, told_worked; /* in the last status, */
    uint64_t told_us;               /* which was at that time */
    bool failed;            /* a task has; said until the generation ends */
    proto_failed failure;   /* the smallest */
    uint8_t failure_text[PROTO_TEXT_SIZE_MAX];
    proto_worker_stats stats;
};

/* ---- proto_worker.c ---- */
void worker_send(proto_worker *w, uint64_t to, proto_msg *msg, uint16_t type);
void worker_reject(proto_worker *w, proto_reject reason);
/* An encoded copy; owned by the caller, released with free. */
parked_frame *worker_copy(const proto_msg *msg);
void worker_send_failed(proto_worker *w);
void worker_task_failed(proto_worker *w, const proto_failed *failure);
void worker_send_locked(proto_worker *w, uint32_t group, uint64_t holder);
/* Nothing of what the running generation needs is missing any more. */
void worker_installed(proto_worker *w);
/* What every event ends with: frames, acknowledgements and the status go out. */
void worker_flush(proto_worker *w);

/* ---- proto_apply.c ---- */
void worker_take_order(proto_worker *w, const proto_msg *msg);
void worker_take_grant(proto_worker *w, const proto_msg *msg);

/* ---- proto_flow.c: the model ---- */
flow_slot *flow_slot_of(proto_worker *w, uint64_t step);
void flow_arrive(proto_worker *w, uint32_t edge, uint64_t step, uint32_t src);
/* Takes the batch. */
void flow_adopt(proto_worker *w, uint32_t group, uint64_t step, proto_batch *state);
/* Takes the batch. */
void flow_input_put(proto_worker *w, uint64_t step, uint32_t dst, const proto_input *input);
flow_input *flow_input_find(proto_worker *w, uint64_t step, uint32_t edge, uint32_t dst,
                            uint32_t src, uint32_t member);
/* The lowest stage with own tasks to do at flow.low. */
uint32_t flow_low_stage(const proto_worker *w);
/* Begin whatever step a key group may begin, hand it over, or capture it. */
void flow_try(proto_worker *w, uint32_t group);
void flow_try_all(proto_worker *w);

/* ---- proto_flow_in.c: what arrives at the model, and what it gives to snapshots ---- */
void flow_open(proto_worker *w);
void flow_open_sinks(proto_worker *w);
bool flow_rows_fit(const proto_worker *w, const proto_data *d);
bool flow_mark_fits(const proto_worker *w, const proto_mark *m);
bool flow_take_rows(proto_worker *w, uint32_t member, const proto_data *d);
bool flow_take_state(proto_worker *w, uint32_t member, const proto_state *s);
/* Give back the credit of an input that was read. */
void flow_consumed(proto_worker *w, const proto_input *input);
uint64_t flow_above_mark(const proto_worker *w, uint32_t member);
/* The first action of (group, step). */
void flow_capture_state(proto_worker *w, uint32_t group);
void flow_capture(proto_worker *w);
bool flow_captured(const proto_worker *w);

/* ---- proto_channel.c ---- */
void channel_init(proto_worker *w);
void channel_fini(proto_worker *w);
/* A place was filled or vacated, or is new: its channel begins anew. */
void channel_place(proto_worker *w, uint32_t member);
void channel_send_rows(proto_worker *w, uint32_t member, uint32_t edge, uint64_t step, uint32_t src,
                       uint32_t dst, proto_batch *batch, bool last);
void channel_send_mark(proto_worker *w, uint32_t member, uint32_t edge, uint64_t step,
                       const uint32_t *groups, uint32_t count);
/* Takes the batch. */
void channel_send_state(proto_worker *w, uint32_t member, uint32_t group, uint64_t step,
                        proto_batch *state);
void channel_consumed(proto_worker *w, uint32_t member, uint64_t size);
void channel_receive(proto_worker *w, uint32_t member, const proto_msg *msg);
void channel_receive_ack(proto_worker *w, uint32_t member, const proto_msg *msg);
void channel_resend(proto_worker *w, uint32_t member);
void channel_pump(proto_worker *w);
void channel_tick(proto_worker *w);
/* Fill buffered and above_mark. */
void channel_buffered(const proto_worker *w, proto_worker_stats *stats);

/* ---- proto_capture.c ---- */
void capture_begin(proto_worker *w, const proto_order_record *order);
void capture_advance(proto_worker *w);
void capture_decided(proto_worker *w, uint64_t attempt);
void capture_drop(proto_worker *w);
void capture_tell(proto_worker *w);

/* ---- proto_carry.c ---- */
void worker_take_want(proto_worker *w, const proto_msg *msg);
void worker_take_piece(proto_worker *w, const proto_msg *msg);
/* Ask for what is to be asked for now. */
void carry_advance(proto_worker *w);
void carry_drop(proto_worker *w);

#endif
