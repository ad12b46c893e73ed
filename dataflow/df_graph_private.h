/* The inside of a graph, shared by df_graph.c (life), df_tick.c and df_sched.c (who runs when), df_task.c (what a task
 * does), df_call.c (what a kind asks for), df_edge.c (what goes from task to task), df_route.c and df_commit.c (rows that
 * change key group), df_print.c (fingerprints).
 *
 * Everything that belongs to a tick lies in a ring of 2 * window + 2 ticks. At most window + 1 ticks
 * are open at a time; a slot is prepared again when its old tick is complete, which is long before
 * anybody counts down for the new one (see df_sched.c). */
#ifndef DF_GRAPH_PRIVATE_H
#define DF_GRAPH_PRIVATE_H

#include "dataflow/df_batch.h"
#include "dataflow/df_deque.h"
#include "dataflow/df_graph.h"
#include "dataflow/df_part.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define NO_TICK UINT64_MAX

/* A tile and its adjacent tiles, each once. */
typedef struct graph_near {
    uint32_t key_group;
    uint32_t slot; /* at which this tile lies from that one: where its rows for us are listed */
} graph_near;

typedef struct graph_space {
    uint32_t *first; /* [tiles + 1] into near */
    graph_near *near;
} graph_space;

/* One key group's batch on an edge, until its last reader is done. */
typedef struct graph_slot {
    df_batch *batch; /* null: its task failed */
    _Atomic uint32_t readers;
} graph_slot;

typedef struct graph_edge_tick {
    _Atomic uint32_t arrive; /* key groups that have not sent (DF_FAN_ALL) */
    _Atomic uint32_t depart; /* own key groups that have not read (DF_FAN_ALL) */
    _Atomic uint32_t unsent; /* own key groups that have not sent (DF_FAN_ALL, in a part) */
    _Atomic uint32_t failed; /* key groups whose task failed */
} graph_edge_tick;

/* What a parcel told that said which rows a key group has (df_rest.c); from the pool. */
typedef struct graph_whole_heard {
    struct graph_whole_heard *older;
    uint64_t step;
    uint32_t rows;
    uint64_t *keys;            /* references */
    const uint32_t *cell_rows;
} graph_whole_heard;

typedef struct graph_edge {
    uint32_t from_groups, to_groups;
    graph_slot *slots;        /* [ring][from_groups] */
    graph_edge_tick *ticks;   /* [ring] */
    uint32_t mask_words;      /* routed and DF_FAN_ALL: who has rows for whom, else 0 */
    _Atomic uint64_t *masks;  /* [ring][to_groups][mask_words] */
    /* In a part: */
    _Atomic uint64_t *arrived; /* [ring][a bit for each of from_groups] (df_awaits.c) */
    uint64_t *wholes;         /* [from_groups]: when the last was sent, 0: never; null: such rows never rest */
    graph_whole_heard **heard; /* [from_groups]: the latest first; the feeder's */
} graph_edge;

/* Who runs the key groups of a stage. */
typedef struct graph_stage {
    uint8_t *own;          /* [key_groups]: run here */
    uint32_t own_count;
    uint32_t member_count; /* members that run any, this one too; 0 unless in a part */
    uint32_t *members;     /* ascending */
} graph_stage;

/* Who owns what from a tick on (df_owners.c). One block of memory; never changed once it is made. */
typedef struct graph_owners {
    struct graph_owners *older;
    uint64_t from;
    uint32_t *units;     /* [key groups of the job]: members; null unless in a part */
    uint64_t *since;     /* [key groups of the job]: from which tick on each has that member */
    graph_stage *stages; /* [stages] */
} graph_owners;

/* A key group of a stage that carries, taken over from another member (df_move.c). */
typedef struct graph_gain {
    uint64_t first; /* the tick of the task that waits for what is carried; NO_TICK: none yet */
    bool open;      /* what is carried, or the task that waits, is still to come */
    bool arrived;
} graph_gain;

/* What a commit made for a tick whose owners are not known yet. */
typedef struct graph_held {
    df_batch *batch; /* null: its task failed */
    bool here;
} graph_held;

/* A state that has come with its key group, checked, not yet anybody's (df_move_take.c). */
typedef struct graph_moved graph_moved;

/* What came for such a tick: from the pool, the bytes behind it. */
typedef struct graph_early {
    struct graph_early *next;
    uint64_t tick;
    uint32_t edge, key_group;
    size_t size;
    graph_moved *moved; /* null: it is the bytes */
} graph_early;

/* Where one stream of one input port comes from. */
typedef struct graph_source {
    uint32_t stream;
    uint32_t edge; /* DF_NONE: made in the same task */
} graph_source;

/* What a vertex keeps about the halo of one key group while its rows do not settle (df_settle.c). */
typedef struct graph_kept {
    _Atomic uint32_t busy;    /* a task looks at it, or it moves */
    bool foreign;             /* another member's kind made it, and this one's has not seen it yet */
    uint64_t settled;         /* the step at which the rows did */
    void *memory;             /* the kind's; null: nothing */
    size_t size;
    const uint32_t *cell_rows[WEIR_HALO_SLOTS]; /* of the batches that it was last found for; references */
} graph_kept;

typedef struct graph_vertex {
    graph_source *sources[WEIR_PORTS_MAX]; /* [stream_count] */
    uint64_t random_name;                  /* hash of the operator's name */
    weir_sink sink;
    bool sink_open;
    char *carried;                         /* [key groups] of carried_size: columns of 8 bytes */
    uint32_t carried_size;
    uint64_t *births;                      /* [key groups] */
    graph_kept *kept[WEIR_PORTS_MAX];      /* [key groups]; null: nothing can be kept */
    uint32_t print;                        /* of its outs[0]; outs follow; DF_NONE: none */
} graph_vertex;

typedef struct graph_tick {
    uint64_t tick;
    _Atomic uint32_t work;      /* tasks left, sinks' not counted */
    _Atomic uint32_t sink_work; /* sinks' tasks left */
    bool print_states;          /* fingerprint what this tick's commits make: it enters step `tick` */
    bool print_streams;         /* fingerprint what operators make: it belongs to step `tick` - 1 */
    bool *vertices, *stages, *edges; /* who is active */
    uint64_t *before;           /* [stages]: of a serial one, the tick it waits for; NO_TICK: none */
    const graph_owners *owners; /* null: not known yet */
} graph_tick;

/* A stream that is fingerprinted. */
typedef struct graph_print {
    uint32_t stream;
    uint32_t columns;  /* with the key */
    uint32_t groups;
    df_hash *hashes;   /* [ring][groups][columns] */
    df_hash *by_column, *by_group; /* scratch of one step */
    _Atomic uint64_t *arrived; /* [ring][a bit for each of groups] (df_awaits.c); null unless in a part */
} graph_print;

/* Written by one thread, read by any. */
typedef struct graph_spans {
    _Atomic uint64_t nanoseconds, buckets[DF_SPANS_BUCKETS];
} graph_spans;

typedef struct graph_vertex_count {
    _Atomic uint64_t rows_in, rows_out[WEIR_PORTS_MAX];
    graph_spans calls;
} graph_vertex_count;

typedef struct graph_scratch {
    char *block; /* from the pool */
    size_t size, used, wanted;
    void *extra; /* list of further blocks of this task */
} graph_scratch;

typedef struct graph_thread {
    _Alignas(128) df_deque deque;
    df_graph *graph;
    uint32_t index;
    df_memory memory;
    graph_scratch scratch;
    df_batch **local;           /* [streams]: made by the running task */
    uint64_t random;            /* of the shuffling scheduler */
    bool held;                  /* what the running task made for the next tick is held back */
    uint32_t left_tasks;        /* run since it last told of what was left, */
    uint64_t left_ns;           /* and how long they took; in a part */
    uint64_t last_ns;           /* the last of them */
    uint64_t clock;             /* nanoseconds when the running task's vertex began; 0: look when the next one does */
    /* Written by this thread only; read by whoever asks for statistics. */
    _Atomic uint64_t tasks, rows, steals, sleeps;
    graph_spans task_spans;     /* sinks' tasks not counted; in a part */
    graph_vertex_count *vertices;
    _Atomic uint64_t *unit_ns;  /* [key_groups]: time of its tasks; null unless in a part */
    pthread_t handle;
} graph_thread;

/* The first error: the smallest (tick, vertex, key group, row), whoever found it first. */
typedef struct graph_failure {
    uint64_t tick;
    uint32_t vertex, key_group, row;
    df_error error;
} graph_failure;

/* What is kept for a snapshot (df_capture.c). */
typedef struct graph_capture {
    df_captured view;            /* its tick: NO_TICK when nothing is being kept */
    uint32_t states_left;        /* own key groups of states whose batch is missing */
    uint8_t **carried_kept;      /* [vertex]: [key_groups] */
    uint64_t held_tick;          /* of the commits whose batches are held, because a snapshot of what */
    df_batch ***held;            /* they make may still be asked for: [state][key_group] */
    const graph_owners *owners;  /* of what is kept; null: nothing is */
    bool whole, marked;
} graph_capture;


/* A task whose vertex failed for a reason that may pass, until it goes on with that vertex (df_retry.c). */
typedef struct graph_parked {
    struct graph_parked *next;
    uint64_t due_ns;
    uint32_t stage, key_group, slot;
    uint32_t at, tries;   /* the vertex's place in the stage; how often it has failed */
    df_batch *local[];    /* [streams]: what the vertices before it have made */
} graph_parked;

struct df_graph {
    const df_plan *plan;
    df_graph_options options;
    df_pool *pool;
    df_pool *sources; /* what is made at tick 0 and does not stay; freed after it if it is idle */
    uint32_t thread_count;
    graph_thread *threads;      /* [thread_count + 1]: the last is the feeder's, which runs no task */
    bool started;
    df_part part;
    bool parted;
    bool alone;                 /* one thread runs every task, and there is no feeder */
    uint64_t first_tick;
    graph_owners *owners;          /* the newest; the older ones behind it. The feeder's */
    _Atomic uint64_t known;        /* ticks below it have their owners; NO_TICK unless in a part */
    graph_held **held;             /* [states][key groups], for held_tick; under the lock */
    uint64_t held_tick;
    bool any_held;
    graph_early *early;            /* the feeder's */
    graph_gain **gains;            /* [stages][key groups]; null where nothing is carried */
    uint64_t **adopted;            /* [states][key groups]: the tick of the last state taken over */
    uint64_t *carried_at;          /* [units]: the tick at which what is carried came last */
    bool carries;                  /* something is carried that can move */
    uint32_t gains_open;
    uint64_t handed;               /* what is carried into ticks up to it has been handed over */
    uint64_t refused;              /* early parcels that were not what they seemed */
    graph_capture capture;
    _Atomic uint64_t capture_tick; /* capture.view.tick, for who only wants to compare */
    uint32_t feeder_ready;         /* tasks that the feeder made ready and woke nobody for */
    char *units;                   /* what each unit holds (df_unit.c) */
    _Atomic uint32_t task_ns;      /* about how long a task takes */
    _Atomic bool left;             /* something was left for other members since that was told */
    _Atomic bool naps;             /* the feeder sleeps until threads have little to do (df_graph_busy) */
    _Atomic uint64_t bound;        /* ticks below it are granted; NO_TICK unless in a part */
    uint32_t ring;
    graph_space *spaces;
    const uint32_t *no_rows;    /* the cell_rows of any tile without rows, from the pool; null: there are no tiles */
    graph_edge *edges;
    _Atomic uint32_t **missing; /* [stages][ring * key groups]: inputs that have not arrived */
    graph_vertex *vertices;
    graph_tick *ticks;          /* [ring] */
    uint32_t print_count;
    graph_print *prints;
    df_stream_print *print_views;
    pthread_mutex_t kept_lock;
    df_batch ***kept;           /* [states][key groups]; null unless options.keep_states */

    /* The frontier: under `lock`. Ticks below `prepared` have a ring slot, ticks below `open` may
     * run, below `worked` all tasks but sinks' are done, below `observed` sinks may run, below `done`
     * everything is done. */
    pthread_mutex_t lock;
    uint64_t prepared, open, worked, observed, target, complete;
    _Atomic uint64_t done;
    bool have_fingerprint;
    uint64_t fingerprint_step;
    df_hash fingerprint;
    df_error step_error;        /* what on_step returned */

    _Atomic uint64_t fail_tick; /* UINT64_MAX: none */
    pthread_mutex_t fail_lock;
    graph_failure failure;
    bool failed;                /* a run has reported it */

    graph_parked *parked;          /* ascending by due_ns; under sleep_lock */
    _Atomic uint64_t parked_due;   /* of the first; NO_TICK: none is parked */
    _Atomic bool finished, stopping;
    _Atomic uint32_t sleepers;
    pthread_mutex_t sleep_lock;
    pthread_cond_t sleep_cond;   /* of the monotonic clock: who sets the wall's must not put anybody to sleep */
    uint64_t wakes;
};

#define DF_PARCEL_SIZE_MAX (1u << 28)

/* ---- df_tick.c ---- */
void graph_prepare(df_graph *graph);
/* Set the ring slots of all ticks below `end` that are not. Under the lock. */
void graph_prepare_up_to(df_graph *graph, uint64_t end);
/* The tick within the window after (direction 1) or before (-1) `tick` at which a stage works next:
 * the pairs that wait for each other in a serial stage. */
uint64_t graph_serial_partner(const df_graph *graph, uint32_t stage, uint64_t tick, int direction);

/* ---- df_sched.c ---- */
/* What follows is for the feeder. A batch has been put on an edge at a ring slot. */
void graph_arrived(df_graph *graph, uint32_t edge, uint32_t slot, uint32_t key_group);
/* An own key group has handed on what it sends on an edge; the last one tells (in a part). Any thread. */
void graph_count_sent(df_graph *graph, uint32_t edge, uint32_t slot);
/* A key group of a serial stage need not wait for what it carries any more. The feeder. */
void graph_carried_arrived(df_graph *graph, uint32_t stage, uint32_t slot, uint32_t key_group);
/* The same before the tick is open, and its opposite: one more thing to wait for. Under the lock. */
void graph_await(df_graph *graph, uint32_t stage, uint32_t slot, uint32_t key_group, bool more);
/* One of the parcels that a tick's work waits for, and no task, has come from another member. */
void graph_work_arrived(df_graph *graph, uint32_t slot);
/* Something was given to part.send or part.sent. Any thread. */
void graph_left(df_graph *graph);
/* Something that the frontier depends on has changed. */
void graph_advance(df_graph *graph);
/* Whether a tick failed and what can run of it has run. Under the lock. */
bool graph_failure_ended(const df_graph *graph);
df_status graph_threads_start(df_graph *graph, df_error *err) DF_MUST_CHECK;
void graph_threads_stop(df_graph *graph);

/* ---- df_task.c ---- */
/* Run one stage for one key group at one tick: read inputs, run the vertices, hand on the results.
 * An error is noted in the graph. `parked`, taken: go on with that task; null: from the start. False: it was
 * parked, and is not complete. */
bool graph_task_run(graph_thread *thread, uint32_t stage, uint32_t key_group, uint32_t slot,
                    graph_parked *parked);
void *graph_scratch_get(graph_thread *thread, size_t size);
/* What was got is no longer needed. */
void graph_scratch_reset(graph_thread *thread);

/* ---- df_call.c ---- */
/* Note an error at (tick, vertex, key group, row). */
void graph_fail(df_graph *graph, uint64_t tick, uint32_t vertex, uint32_t key_group, uint32_t row,
                df_status status, const char *format, ...) DF_PRINTF(7, 8);

/* ---- df_edge.c ---- */
/* Hand a stream's batch (null: its task failed) to an edge at its reader's ring slot. */
void graph_publish(graph_thread *thread, uint32_t edge, uint32_t key_group, uint32_t slot);
/* The same for this part's readers only. */
void graph_publish_here(graph_thread *thread, uint32_t edge, uint32_t key_group, uint32_t slot);
/* Put a payload (taken; null: failed) where its own readers find it. */
void graph_put(df_graph *graph, uint32_t edge, uint32_t key_group, uint32_t slot, df_batch *payload);
/* This key group has read an edge: drop what nobody else will read. */
void graph_release(graph_thread *thread, uint32_t edge, uint32_t key_group, uint32_t slot);
/* Whether something that a key group reads was not made, because its maker failed. */
bool graph_input_failed(const df_graph *graph, uint32_t edge, uint32_t key_group, uint32_t slot);

/* ---- df_owners.c ---- */
bool graph_owners_setup(df_graph *graph);
void graph_owners_fini(df_graph *graph);
/* What is restored enters the first tick at once: no order can come for it. To a member that owns nothing
 * yet one can. */
void graph_owners_begin(df_graph *graph);
const graph_owners *graph_owners_at(const df_graph *graph, uint64_t tick);
/* Give a tick its owners, and what is counted by them; all ticks below `end`. Under the lock. */
void graph_owners_give(df_graph *graph, uint64_t tick);
void graph_owners_assign(df_graph *graph, uint64_t end);
/* Who owns a key group of a stage; `owners` of a part. */
uint32_t graph_owner(const df_graph *graph, const graph_owners *owners, uint32_t stage,
                     uint32_t key_group);
/* Own readers of what a key group sends on an edge, by the owners of its reader's tick. */
uint32_t graph_own_readers(const df_graph *graph, const graph_owners *owners, uint32_t edge, uint32_t key_group);
/* Whether a member reads what a key group sends on an edge. */
bool graph_member_reads(const df_graph *graph, uint32_t edge, uint32_t key_group, uint32_t slot,
                        uint32_t member);
/* Whether this member runs the task that feeds `edge` for its readers at `tick`. */
bool graph_feeds(const df_graph *graph, uint32_t edge, uint32_t key_group, uint64_t tick);

/* ---- df_move.c ---- */
bool graph_move_setup(df_graph *graph, df_arena *arena);
/* A task of `tick` is about to hand on its results: whether those for the next tick have to wait,
 * because its owners are not known. Then they are kept. */
bool graph_hold(graph_thread *thread, uint32_t stage, uint32_t key_group, uint64_t tick);
/* Send the states that a task has made to who owns them at the next tick, if that is another member. */
void graph_hand_over(graph_thread *thread, uint32_t stage, uint32_t key_group, uint64_t tick);
/* More ticks have their owners. The feeder, without the lock. */
void graph_move_known(df_graph *graph);
/* Ticks have been completed: send what is carried into later ones. Under the lock. */
void graph_move_worked(graph_thread *thread);
/* The owners of `tick` are given to it: what moves is waited for. Returns how many parcels. Under the
 * lock. */
uint32_t graph_move_assign(df_graph *graph, uint64_t tick);
/* A parcel for a tick whose owners are not known, kept until they are. */
df_status graph_move_early(df_graph *graph, uint32_t edge, uint64_t tick, uint32_t key_group,
                           const uint8_t *bytes, size_t size, df_error *err) DF_MUST_CHECK;
bool graph_move_awaits(const df_graph *graph, uint64_t tick, uint32_t unit);
df_status graph_move_take(df_graph *graph, uint64_t tick, uint32_t unit, const uint8_t *bytes,
                          size_t size, df_error *err) DF_MUST_CHECK;

/* ---- df_unit.c ---- */
bool graph_unit_setup(df_graph *graph, df_arena *arena);
/* A task has run for so long. */
void graph_unit_ran(graph_thread *thread, uint32_t stage, uint32_t key_group, uint64_t tick,
                    uint64_t nanoseconds);
/* How long the longest of a unit's last tasks took: about what its next one may. */
uint64_t graph_unit_task_ns(const df_graph *graph, uint32_t stage, uint32_t key_group);
/* So many rows of a state are in a key group. */
void graph_unit_holds(df_graph *graph, uint32_t state, uint32_t key_group, uint32_t rows);

/* ---- df_retry.c ---- */
uint64_t graph_now_ns(void);
/* Put the running task aside; false: memory is out. Another thread is woken to wait for it. */
bool graph_park(graph_thread *thread, uint32_t stage, uint32_t key_group, uint32_t slot, uint32_t at,
                uint32_t tries);
/* One that is due; null: none is. It is the caller's. */
graph_parked *graph_unpark(df_graph *graph);
/* Until when a thread may sleep, on sleep_cond's clock. False: for ever. Under sleep_lock. */
bool graph_parked_until(const df_graph *graph, struct timespec *until);
void graph_parked_free(df_graph *graph);

/* ---- df_parcel.c ---- */
/* Send a payload (null: its task failed) to the members that read it; it stays the caller's. */
void graph_send(graph_thread *thread, uint32_t edge, uint32_t key_group, uint32_t slot,
                const df_batch *payload);
void graph_send_print(graph_thread *thread, uint32_t print, uint32_t key_group, uint32_t slot,
                      uint64_t tick);
/* There is no memory for what has come: the tick fails. */
void graph_deliver_no_memory(df_graph *graph, uint32_t edge, uint64_t tick, uint32_t key_group);
/* A task elsewhere failed at a tick: so does this tick, as if it had been here. */
void graph_tick_failed(df_graph *graph, uint64_t tick);
/* How many bytes a state's batch is: its keys and what a snapshot holds of it (df_state.stored). */
size_t graph_batch_size(const weir_schema *stored, uint32_t rows);

/* ---- df_awaits.c ---- */
bool graph_awaits_setup(df_graph *graph, df_arena *arena);
/* A tick is given its slot. Whoever moves `done`, behind that. */
void graph_awaits_prepare(df_graph *graph, const graph_tick *tick);
/* An awaited parcel of an edge, a fingerprint, has come. The feeder. */
void graph_awaits_came(df_graph *graph, uint32_t edge, uint32_t slot, uint32_t key_group);
void graph_awaits_print_came(df_graph *graph, uint32_t print, uint32_t slot, uint32_t key_group);
/* How many fingerprints of other members a tick waits for. */
uint32_t graph_prints_awaited(const df_graph *graph, uint64_t tick);
/* Whether it is a state's, which is made a tick before it is shown. */
bool graph_print_is_state(const df_graph *graph, uint32_t print);

/* ---- df_rest.c ---- */
bool graph_rest_setup(df_graph *graph, uint32_t edge, df_arena *arena);
/* How many ticks ago a halo's readers at `tick` were told which rows these are; 0: now. All that are sent at a tick are
 * alike. Whoever hands the rows on. */
uint32_t graph_rest_age(df_graph *graph, uint32_t edge, uint32_t key_group, uint64_t tick);
/* A batch has come that tells it. It shares its cells with one that told the same. False: out of memory. The feeder. */
bool graph_rest_hear(df_graph *graph, uint32_t edge, df_batch *batch) DF_MUST_CHECK;
/* Give a batch, whose step, key group and row count are set, the keys and cells that were told `age` steps before. False:
 * there are none that fit it. The feeder. */
bool graph_rest_share(const df_graph *graph, uint32_t edge, uint32_t age, df_batch *batch) DF_MUST_CHECK;

/* ---- df_capture.c ---- */
bool graph_capture_setup(df_graph *graph, df_arena *arena);
/* The tick whose commits make what enters `tick`: the one before, but behind the last step nothing
 * advances. */
uint64_t graph_commit_tick(const df_graph *graph, uint64_t tick);
/* A commit has made what enters `tick` + 1. */
void graph_capture_state(graph_thread *thread, uint32_t state, uint32_t key_group, uint64_t tick,
                         df_batch *batch);
/* A task of `tick`, at or behind the snapshot's, is about to change what its vertex carries. */
void graph_capture_carried(df_graph *graph, uint32_t vertex, uint32_t key_group, uint64_t tick);
/* All ticks before the snapshot's are done. Under the graph's lock. */
void graph_capture_rest(df_graph *graph);
/* The bound rises. Under the graph's lock; the feeder. */
void graph_capture_granted(df_graph *graph, uint64_t end);

/* ---- df_facts.c ---- */
/* Whether a batch's keys are strictly ascending. */
bool graph_keys_ascending(const weir_batch *batch);
/* A value of a column of whole numbers. */
uint64_t graph_key_at(const weir_batch *batch, uint32_t column, uint32_t row);
/* See weir_column_runs. Borrowed until the task's end. False: out of memory. */
bool graph_column_runs(graph_thread *thread, const weir_batch *batch, uint32_t column,
                       weir_runs *runs) DF_MUST_CHECK;
/* to[i] is the value of the run that row i is in; values null: the run's number. */
void graph_spread_runs(const weir_runs *runs, const uint32_t *values, uint32_t *to);
/* For each row the number of its run, if that is remembered; else null. Borrowed as long as the batch. */
const uint32_t *graph_run_numbers(graph_thread *thread, const weir_batch *batch, uint32_t column);

/* ---- df_route.c ---- */
/* What travels on an edge that routes rows; takes nothing, returns a batch of its own or null after
 * graph_fail. */
df_batch *graph_route(graph_thread *thread, const df_edge *edge, uint32_t slot, df_batch *batch);

/* ---- df_commit.c ---- */
/* The batch of a state that enters the next step; null after graph_fail. */
df_batch *graph_commit(graph_thread *thread, uint32_t vertex, uint32_t key_group, uint32_t slot);

/* ---- df_settle.c ---- */
bool graph_kept_setup(df_graph *graph, uint32_t vertex, df_arena *arena);
/* Take what a vertex keeps about a key group that leaves this member, for rows that settled then: memory of the
 * pool and its size, or null. */
void *graph_kept_take(graph_thread *thread, uint32_t vertex, uint32_t port, uint32_t key_group,
                      uint64_t settled, size_t *size);
/* Keep what another member kept, a reference, which is taken (*memory becomes null), unless there is something already or
 * nothing can be kept. The feeder. */
void graph_kept_put(df_graph *graph, uint32_t vertex, uint32_t port, uint32_t key_group, uint64_t settled,
                    void **memory, size_t size);
/* Whether every row of a state's batch is as near to where it settled as its skin asks, and inside the
 * space; else the first that is not, and how far it is. */
bool graph_settled_near(const df_plan *plan, uint32_t state, const df_batch *batch, uint32_t *row,
                        double *way);
/* The same for a commit's vertex; false after graph_fail. */
bool graph_check_way(graph_thread *thread, uint32_t vertex, uint32_t slot, const df_batch *batch);

/* Whether an edge brings a state's rows at a tick at which they keep their places. */
static inline bool graph_edge_rests(const df_graph *graph, uint32_t edge, uint32_t slot)
{
    const df_vertex *to = &graph->plan->vertices[graph->plan->edges[edge].vertex];
    uint64_t tick = graph->ticks[slot].tick;

    return to->role == DF_COMMIT && df_state_settled(&graph->plan->states[to->state], tick) != tick;
}

/* ---- df_graph.c ---- */
df_status graph_open_sinks(df_graph *graph, df_error *err) DF_MUST_CHECK;

/* ---- df_print.c ---- */
bool graph_print_setup(df_graph *graph, df_arena *arena);
void graph_print_batch(df_graph *graph, uint32_t print, uint32_t slot, const weir_batch *batch);
/* Combine the hashes of a complete step: of the states that entered it (made a tick before) and of the
 * streams made in it. Fills the graph's fingerprint and returns the view. */
df_step_print graph_print_step(df_graph *graph, uint64_t step);

/* What an error says of rows that the plan has proved to stay in their key group. */
#define GRAPH_NOT_AT_HOME "%llu is not the number of a run here: a kind has changed a column that it passes, " \
                          "or made one that is not what it declared"

/* The first of these keys that is not one of this key group's dense range, or count. */
static inline uint32_t graph_find_stranger(const df_partition *part, uint32_t key_group,
                                           const uint64_t *keys, uint32_t count)
{
    uint64_t begin = df_partition_begin(part, key_group), end = df_partition_begin(part, key_group + 1);
    uint32_t i = 0;

    while (i < count && keys[i] - begin < end - begin)
        i++;
    return i;
}

/* Add to a counter that only this thread writes. */
static inline void graph_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void graph_count_span(graph_spans *spans, uint64_t nanoseconds)
{
    graph_count(&spans->buckets[df_spans_bucket(nanoseconds)], 1);
    graph_count(&spans->nanoseconds, nanoseconds);
}

/* One less is waited for: was it the last? A locked instruction takes as long as twenty others, and a task without
 * work has one for each of its neighbours, there and back: a thread that is alone does without. */
static inline bool graph_last(const df_graph *graph, _Atomic uint32_t *count)
{
    uint32_t left;

    if (!graph->alone)
        return atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel) == 1;
    left = atomic_load_explicit(count, memory_order_relaxed) - 1;
    atomic_store_explicit(count, left, memory_order_relaxed);
    return left == 0;
}

/* What a task has to wait for. */
static inline _Atomic uint32_t *graph_missing_of(const df_graph *graph, uint32_t stage, uint32_t slot,
                                                 uint32_t key_group)
{
    return &graph->missing[stage][(size_t)slot * graph->plan->stages[stage].partition.key_groups + key_group];
}

static inline graph_slot *graph_slot_at(const df_graph *graph, uint32_t edge, uint32_t slot,
                                        uint32_t key_group)
{
    const graph_edge *e = &graph->edges[edge];

    return &e->slots[(size_t)slot * e->from_groups + key_group];
}

/* Where a task's results come from: sources' rows must not fill the pool with buffers of sizes that
 * nobody will ask for again. */
static inline df_memory graph_memory(const graph_thread *thread, uint32_t slot)
{
    bool first = thread->graph->ticks[slot].tick == 0;

    return (df_memory){ .pool = first ? thread->graph->sources : thread->memory.pool,
                        .thread = thread->index };
}

/* What a batch of a tile without rows holds as its cell_rows: all of them share one. */
static inline const uint32_t *graph_no_rows(const df_graph *graph)
{
    return df_pool_ref((void *)(uintptr_t)graph->no_rows);
}

static inline uint32_t graph_ring_slot(const df_graph *graph, uint64_t tick)
{
    return (uint32_t)(tick % graph->ring);
}

#endif
