/* A flow's insides, shared by coord_flow.c (what the worker asks), coord_flow_send.c (what leaves),
 * coord_flow_take.c (what comes), coord_flow_disk.c (loading, writing) and coord_flow_counts.c (what is counted). */
#ifndef COORD_FLOW_PRIVATE_H
#define COORD_FLOW_PRIVATE_H

#include "coordinator/coord_flow.h"
#include "coordinator/coord_part_file.h"
#include "coordinator/coord_piece.h"
#include "coordinator/coord_remote.h"
#include "coordinator/proto_worker_private.h"

#include <pthread.h>
#include <stdatomic.h>

#define FLOW_RING 128u /* ticks; more than a window's worth may never be under way */
_Static_assert(FLOW_RING > PROTO_WINDOW_MAX + 2, "every tick under way has a place");

/* What a thread of the graph has left: a parcel, or (bytes null, sent) the end of an edge's tick. */
typedef struct flow_note {
    df_parcel parcel;
    bool sent;
} flow_note;

typedef struct flow_notes {
    flow_note *list;
    size_t count, room;
} flow_notes;

#define FLOW_BEHIND_US 1000000u /* without a step for so long, it is said what is waited for */

/* A state of which some is here, where it stays. */
typedef struct flow_arrival {
    df_arrival *arrival; /* null: none */
    uint64_t step;
    uint32_t group;
} flow_arrival;

#define FLOW_ARRIVAL_MAX (16u << 20) /* of a larger state memory is only got as its bytes come (coord_piece.h) */

/* A thread that does one thing; its end is polled. */
typedef struct flow_job {
    pthread_t thread;
    bool running;
    _Atomic bool ended, stop;
    df_status status;
    df_error error;
    double begin, seconds; /* when it began; how long it took, valid when it has ended */
} flow_job;

struct coord_flow {
    coord_flow_options options;
    /* of the generation */
    df_graph *graph;
    df_part part;
    uint32_t *owners;
    weir_mark *marks;
    uint64_t generation, snapshot, final_tick;
    df_progress seen;
    uint64_t moved_us;    /* when it got on last, or had nothing to do */
    bool failure_told, failure_ended;
    uint64_t *bytes;      /* [places][FLOW_RING]: that arrived for a tick, by the member's place */
    uint32_t places;
    coord_pieces pieces;  /* parcels of which some are missing */
    flow_arrival *arrivals; /* [places] */
    flow_notes empty;     /* key groups that send nothing, until their edge's tick ends */
    /* what the graph's threads leave */
    pthread_mutex_t lock;
    flow_notes notes;     /* under the lock */
    flow_notes taken;
    /* disk */
    flow_job load, write;
    uint32_t load_failures;
    snap_manifest *base;  /* the newest committed snapshot, as far as it is known here */
    coord_part_job part_job;
    coord_part_result result;
    uint64_t attempt;     /* whose part is or was written; 0: none */
    df_status sync_status;
    uint64_t file_size;   /* of its part, if the coordinator is to fetch it; 0: it is not */
    df_hash file_hash;
    pthread_mutex_t print_lock;
    bool have_print;
    df_hash print;
    df_unit_cost *units;  /* [key_groups]: as they were when they were told last, in this generation */
    uint64_t *unit_costs; /* [key_groups]: nanoseconds of a step, also of earlier generations */
    df_unit_cost *units_now; /* scratch */
    uint64_t units_tasks_ns, units_had_ns; /* then: df_graph_had */
    coord_counts past;    /* of earlier generations, and of loading and writing; by vertex */
};

static inline coord_flow *flow_of(const proto_worker *w)
{
    return w->env.flow_user;
}

/* ---- coord_flow_send.c ---- */
void flow_notes_fini(flow_notes *notes);
/* The graph's calls; user is the flow. */
void flow_note_parcel(void *user, const df_parcel *parcel);
void flow_note_sent(void *user, uint32_t edge, uint64_t tick);
void flow_note_wake(void *user);
/* Send what lies in the outbox. Returns whether there was anything. */
bool flow_send_notes(coord_flow *f, proto_worker *w);

/* ---- coord_flow_take.c ---- */
/* A parcel, or a piece of one; false: it is refused. */
bool flow_take(coord_flow *f, uint32_t member, const proto_data *d);
/* Nothing is under way from a member any more. */
void flow_take_drop(coord_flow *f, uint32_t member);

/* ---- coord_flow_disk.c ---- */
void flow_load_begin(coord_flow *f);
/* Wait for the thread, if it runs. */
void flow_load_stop(coord_flow *f);
void flow_load_poll(coord_flow *f, proto_worker *w, uint64_t now_us);
void flow_write_stop(coord_flow *f);
/* Remove the file of a part that lies on this worker's own disk. The thread does not run. */
void flow_part_drop(coord_flow *f);
void flow_write_poll(coord_flow *f, proto_worker *w, uint64_t now_us);

/* ---- coord_flow_counts.c ---- */
bool flow_counts_init(coord_flow *f); /* false: out of memory */
/* A generation begins; ends, its graph and its channels being there still. */
void flow_counts_begin(coord_flow *f, const proto_worker *w);
void flow_counts_end(coord_flow *f, const proto_worker *w);

/* ---- coord_flow_units.c ---- */
bool flow_units_init(coord_flow *f); /* false: out of memory */
void flow_units_fini(coord_flow *f);
/* A generation begins: its graph counts from 0. */
void flow_units_begin(coord_flow *f);

#endif
