/* What the files of placement share: the inputs with workers in the order of their ids, so that no answer
 * depends on the order in which they were listed. */
#ifndef COORD_PLACE_PRIVATE_H
#define COORD_PLACE_PRIVATE_H

#include "coordinator/coord_place.h"

/* A worker here is its rank: its place in the order of the ids. */
typedef struct place_worker {
    const coord_place_worker *given;
    uint32_t place;    /* in the list that was given */
    uint32_t count;    /* units that it has */
    uint32_t first;    /* the first of them; COORD_PLACE_NONE: none */
    bool stays, takes; /* may keep units; may be given some */
    bool gains;        /* shall have more than it has */
    double was, load;  /* weight that it had, that it has */
    double share;      /* what it should have; 0 unless it stays */
    double goal;       /* what it shall have */
    double height;     /* what the policy compares: the load, or a sampled one */
    uint64_t room;     /* bytes that it may still be given */
} place_worker;

/* A heap of workers: the least key first, then the smallest rank. */
typedef struct place_key {
    double key;
    uint32_t worker;
} place_key;

typedef struct place_heap {
    place_key *items; /* [worker_count] */
    uint32_t count;
} place_heap;

typedef struct place {
    const coord_place_input *in;
    df_placing policy;
    uint32_t worker_count, unit_count;
    place_worker *workers; /* [worker_count], ascending by id */
    uint32_t *owner;       /* [unit_count]: ranks; what they are now, then what they shall be */
    uint32_t *before;      /* [unit_count]: ranks */
    double *weight;        /* [unit_count] */
    double total, quantum; /* of all weights; their mean */
    uint32_t *list;        /* [unit_count]: scratch */
    uint32_t *next;        /* [unit_count + 1]: scratch */
    uint32_t *spot;        /* [unit_count]: scratch */
    place_key *heap;       /* [worker_count]: scratch */
    place_key *heap_other; /* [worker_count]: scratch */
    uint32_t *ranks;       /* [worker_count]: scratch */
    uint32_t *start;       /* [worker_count]: scratch */
} place;

/* How much a unit counts. */
typedef struct place_scale {
    double by_cost, by_rows, least; /* weight = cost * by_cost, or rows * by_rows, or least if more */
} place_scale;

place_scale place_scale_of(const coord_place_unit *units, uint32_t count);
double place_weight(const place_scale *scale, const coord_place_unit *unit);

/* On success *out is owned by the caller. */
df_status place_new(place **out, const coord_place_input *input, df_error *err) DF_MUST_CHECK;
void place_free(place **p);
/* Unit to worker, with all that is counted by it; `to` may be COORD_PLACE_NONE. */
void place_give(place *p, uint32_t unit, uint32_t to);
/* Whether a worker may be given a unit: it takes some, and has the memory. Its own it may have back. */
bool place_may_take(const place *p, uint32_t unit, uint32_t worker);
/* The heaviest first, then by number; they ascend by number before. Uses p->next. */
void place_sort(place *p, uint32_t *units, uint32_t count);

/* ---- coord_place_filter.c ---- */
/* Set who stays, who takes, and what room there is. */
void place_judge(place *p);
/* "12.5 GiB". Returns `text`. */
const char *place_bytes_text(uint64_t bytes, char text[32]);
bool place_sample_is_fresh(const place *p, uint32_t worker);
/* No worker takes a unit that has to go somewhere: why not, of each. */
df_status place_nobody(const place *p, uint32_t unit, df_error *err);

/* ---- coord_place_fit.c ---- */
df_status place_fit(place *p, df_error *err) DF_MUST_CHECK;

/* The units of each worker in p->list, ascending, those of worker r from start[r]. */
void place_list_units(place *p, uint32_t *start);

/* ---- coord_place_balance.c ---- */
void place_balance(place *p);
/* The most weight over share that a worker has. */
double place_busiest(const place *p);

/* ---- coord_place.c: heaps ---- */
void place_heap_push(place_heap *heap, uint32_t worker, double key);
/* The first one's key is another now. */
void place_heap_sink(place_heap *heap, double key);
void place_heap_pop(place_heap *heap);

#endif
