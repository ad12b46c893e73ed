/* A part of a job: what a graph is told, and tells, when the job runs in several processes.
 *
 * Every process has a graph of the same plan and runs the tasks of the key groups that its member
 * owns. What a task makes for readers elsewhere leaves as parcels, bytes that df_graph_deliver takes
 * in the other process; what is read here and there goes both ways. Ownership is a function of the
 * *unit*: key group k of n belongs to the owner of unit k * units / n, where the units are the plan's
 * key_groups. So streams of one partition have one owner, and neighbouring tiles mostly do. Owners may
 * change at any tick that is not granted yet (df_graph_owners); what has to move then goes as parcels, too.
 *
 * A graph with a part does not run by df_graph_run: it is filled (restored, or from tick 0), started,
 * granted, halted. The functions below are called by one thread, the *feeder*, unless they say more. */
#ifndef DF_PART_H
#define DF_PART_H

#include "dataflow/df_batch.h"
#include "dataflow/df_graph.h"

#define DF_PARCEL_MOVE UINT32_MAX

/* Bytes on their way to another member. */
typedef struct df_parcel {
    uint32_t edge;      /* of the plan; or its edge_count + the number of a fingerprinted stream; or
                         * DF_PARCEL_MOVE: of what moves to a new owner, key_group being the unit */
    uint32_t member;    /* to whom */
    uint32_t key_group; /* from which */
    uint64_t tick;      /* at which it is read */
    uint32_t stage;     /* that reads it */
    uint32_t rows;
    uint32_t size;
    uint8_t *bytes;     /* null if size is 0: no rows; else given back by df_parcel_release */
    bool spread;        /* bytes only say where the parcel's lie: df_spread_copy, and df_spread_release */
} df_parcel;

struct df_part {
    uint32_t member, member_count;
    const uint32_t *owners;     /* [units]: the member that owns a unit at first; copied */
    uint32_t sink_member;       /* runs the sinks and gathers the fingerprints */
    uint64_t first_tick;        /* 0: from the sources; else what enters it is restored */
    const weir_mark *marks;     /* [vertex_count]: where sinks go on; null: they begin anew */
    void *user;
    /* Any of the graph's threads. Takes the parcel's bytes. Must not block. After some of these calls,
     * or when a thread has nothing to do, wake is called; what the feeder itself has caused, it knows. Parcels
     * without rows need a word only, for several together; those of an edge from all to all when it has `sent`. */
    void (*send)(void *user, const df_parcel *parcel);
    /* All own key groups of `edge` that feed it at `tick` have sent, and were counted. Any thread. */
    void (*sent)(void *user, uint32_t edge, uint64_t tick);
    /* Ask df_graph_progress, and fetch what was sent: something has changed. Any thread. Must not
     * block. */
    void (*wake)(void *user);
};

/* Who owns key group `key_group` of `stage` at first. */
uint32_t df_part_owner(const df_plan *plan, const df_part *part, uint32_t stage, uint32_t key_group);
void df_parcel_release(df_graph *graph, uint8_t *bytes);
/* Copy `size` of the parcel's bytes from `offset` on: no more than it has. Any thread, until it is released. */
void df_spread_copy(const uint8_t *spread, uint32_t offset, uint8_t *to, uint32_t size);
void df_spread_release(df_graph *graph, uint8_t *spread);

/* ---- before it starts ---- */

/* A batch of a key group of a state that enters first_tick, made with df_graph_memory. Takes it. */
df_status df_graph_restore(df_graph *graph, uint32_t state, uint32_t key_group, df_batch *batch,
                           df_error *err) DF_MUST_CHECK;
/* What an operator carries (columns of 8 bytes, one after the other), and its birth counter. */
df_status df_graph_restore_carried(df_graph *graph, uint32_t vertex, uint32_t key_group,
                                   const void *bytes, size_t size, df_error *err) DF_MUST_CHECK;
df_status df_graph_restore_births(df_graph *graph, uint32_t vertex, uint32_t key_group,
                                  uint64_t count, df_error *err) DF_MUST_CHECK;
/* The feeder's means to make batches. */
df_memory df_graph_memory(df_graph *graph);
/* Check a restored spatial batch's order and make its cell_rows. */
df_status df_graph_index_cells(df_graph *graph, uint32_t state, df_batch *batch, df_error *err)
    DF_MUST_CHECK;

/* Where the sinks stand now, which they begin from: marks[vertex_count], zeroed by the caller. */
df_status df_graph_marks(df_graph *graph, weir_mark *marks, df_error *err) DF_MUST_CHECK;

/* ---- running ---- */

df_status df_graph_start(df_graph *graph, df_error *err) DF_MUST_CHECK;
/* Tasks that run are finished, threads end. */
void df_graph_halt(df_graph *graph);
/* Run what the calls above and below made ready, or wake threads that do. To be called after some of
 * them, before the feeder sleeps. */
void df_graph_help(df_graph *graph);
/* Whether threads have enough to do for a while, so that what arrives meanwhile need not be taken in at once. If so,
 * wake is called before they run out of it. To be asked each time before the feeder sleeps. */
bool df_graph_busy(df_graph *graph);
/* From `tick` on each units[i][0] belongs to member units[i][1]; the sinks stay. To be called before the
 * bound passes the tick, in the order of ticks, alike at all members. A unit may change once in window + 1
 * ticks. Changes behind the job's last step are none. DF_EINVAL: not such a change. */
df_status df_graph_owners(df_graph *graph, uint64_t tick, const uint32_t (*units)[2], uint32_t count,
                          df_error *err) DF_MUST_CHECK;
/* There are so many members from now on; not fewer than own anything. */
void df_graph_members(df_graph *graph, uint32_t member_count);
/* Ticks below `end` may start. */
void df_graph_grant(df_graph *graph, uint64_t end);
/* Ticks below `end` are computed by all members: sinks may show them. */
void df_graph_complete(df_graph *graph, uint64_t end);
/* Whether a parcel (size 0: a key group that sends nothing) is one that is awaited here, or, for a tick
 * that is not granted yet, may be: it is kept until that is known. */
bool df_graph_awaits(const df_graph *graph, uint32_t edge, uint64_t tick, uint32_t key_group);
/* Take in a parcel's bytes, hostile ones too: DF_ECORRUPT changes nothing. DF_ENOMEM: its tick has failed, as it would
 * if the parcel could not have been made. `size` 0: nothing is sent. What one member sends
 * from a key group on an edge is to be delivered in the order in which it was sent. */
df_status df_graph_deliver(df_graph *graph, uint32_t edge, uint64_t tick, uint32_t key_group,
                           const uint8_t *bytes, size_t size, df_error *err) DF_MUST_CHECK;

/* The same for a state that moves whose bytes come piece by piece: each goes at once to where it stays, so nothing is put
 * together first. All memory that it takes is got when its first bytes have come, but for what kinds keep; without it the
 * tick fails, as above. */
typedef struct df_arrival df_arrival;

/* `first` are the first ones of `size`. *out null and DF_OK: they do not say that it is a state; it is to be put together and
 * delivered. Else *out is the caller's, until it is ended or dropped. */
df_status df_arrival_begin(df_graph *graph, uint64_t tick, uint32_t key_group, size_t size, const uint8_t *first,
                           size_t first_size, df_arrival **out, df_error *err) DF_MUST_CHECK;
/* The next ones, from `offset` on: where those before ended. After a failure it is to be dropped. */
df_status df_arrival_put(df_graph *graph, df_arrival *arrival, size_t offset, const uint8_t *bytes, size_t size,
                         df_error *err) DF_MUST_CHECK;
bool df_arrival_whole(const df_arrival *arrival);
/* All have come. Takes it; like df_graph_deliver. */
df_status df_arrival_end(df_graph *graph, df_arrival **arrival, df_error *err) DF_MUST_CHECK;
/* Null is allowed. */
void df_arrival_drop(df_graph *graph, df_arrival **arrival);

typedef struct df_progress {
    uint64_t worked;   /* ticks below it are computed here */
    uint64_t done;     /* ... and shown by this member's sinks */
    bool captured;     /* see df_graph_captured */
    uint64_t refused;  /* parcels that came early and turned out not to be awaited, or damaged */
    bool failed;
    bool ended;        /* a task failed here or elsewhere, and what of its tick can run has run */
    bool fatal;        /* the job's own error, which every other run would have, too */
    uint64_t fail_tick;
    uint32_t fail_vertex, fail_key_group, fail_row;
    df_error error;    /* of the smallest failure so far */
} df_progress;

void df_graph_progress(df_graph *graph, df_progress *progress);

/* ---- measuring ---- */

/* What a unit costs and holds here. What was another member's the whole time is 0; what has become
 * another's holds what it did then. */
typedef struct df_unit_cost {
    uint64_t tick;        /* of its newest task */
    uint64_t nanoseconds; /* of all its tasks, sinks' not counted; only grows */
    uint64_t rows, bytes; /* of its states, as they enter the next step */
} df_unit_cost;

/* units[key_groups]. Any thread. */
void df_graph_unit_costs(const df_graph *graph, df_unit_cost *units);
/* How long the tasks of the graph's threads took by the clock, and how long the threads have had a processor;
 * 0 before the start. What the feeder has run is in neither. The feeder. */
void df_graph_had(const df_graph *graph, uint64_t *tasks_ns, uint64_t *had_ns);
/* What the lowest unfinished tick waits for, for people. */
typedef struct df_waits {
    uint64_t tick;
    bool remote;                /* for another member's key group; else for own tasks */
    uint32_t edge;              /* of the plan; its reader is the first stage that waits */
    uint32_t key_group, member; /* whose rows have not come */
} df_waits;

void df_graph_waits(const df_graph *graph, df_waits *waits);

/* ---- snapshots ---- */

/* What enters a tick: references, and copies of what is small. Each piece is kept by one member: by the
 * owner of the tick before, which made it. */
typedef struct df_captured {
    uint64_t tick;
    const uint8_t **own;    /* [vertex]: [key_groups]: kept here */
    df_batch ***states;     /* [state][key_group]; null where another member keeps it */
    char **carried;         /* [vertex]: [key_groups] of carried_size; null: nothing is carried */
    uint64_t **births;      /* [vertex]: [key_groups]; null: no births */
    weir_mark *marks;       /* [vertex]: of sinks; size 0: none */
} df_captured;

/* Keep what enters `tick`. To be called before the grant passes it, when nothing is kept. */
void df_graph_capture(df_graph *graph, uint64_t tick);
/* Everything is kept, and the sinks wait for df_graph_capture_marks. Null: not yet. */
const df_captured *df_graph_captured(df_graph *graph);
/* Ask the sinks where they stand, and let them go on. Any thread, once per capture. */
df_status df_graph_capture_marks(df_graph *graph, df_error *err) DF_MUST_CHECK;
/* Make what the sinks wrote durable. Any thread. */
df_status df_graph_sync_sinks(df_graph *graph, df_error *err) DF_MUST_CHECK;
/* Give the references back, also of a capture that is not complete. */
void df_graph_capture_drop(df_graph *graph);

#endif
