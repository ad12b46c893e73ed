/* Changes of a running job's workers and of who owns what: what is asked for, how one stands, and what has
 * been. Beside them their JSON: texts that are made belong to the caller, who frees them (null: out of
 * memory), texts that are read are hostile. */
#ifndef COORD_RESCALES_H
#define COORD_RESCALES_H

#include "dataflow/df_error.h"
#include "dataflow/weir/operator.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COORD_RESCALES_KEPT 100u /* of a job's history of them */
#define COORD_RESCALES_FILE "rescales"

typedef struct coord_rescale_ask {
    char what[16];              /* rescale, rebalance, drain-worker, move, abort */
    char worker[WEIR_NAME_MAX]; /* a label: of drain-worker, move */
    uint32_t workers;           /* of rescale: how many there shall be */
    uint32_t first, last;       /* of move: key groups */
    uint64_t budget;            /* bytes that may move at one step; 0: a thirty-second of the state */
    bool dry_run;               /* only say what would be done */
} coord_rescale_ask;

typedef struct coord_rescale_row {
    uint64_t id;                /* 0: nothing was to be done, or a dry run */
    char what[16], phase[64];   /* phase: "" when it has ended */
    char end[16];               /* done, aborted, voided, failed; "" while it runs */
    char why[256];              /* what it was for, or what was decided, in words */
    uint64_t begun_ms;          /* Unix time */
    uint32_t from, to;          /* workers */
    uint32_t key_groups, key_groups_done;
    uint32_t waves, waves_done; /* a wave moves at one step */
    uint64_t bytes;
    double seconds;
    double longest_ms;          /* the longest step meanwhile: since the pace let it begin; without a pace, since the one
                                 * before it was complete everywhere */
    uint64_t late_steps;        /* that took longer than the pace, meanwhile */
} coord_rescale_row;

/* How changes have ended, since the process began. */
#define COORD_RESCALE_KINDS 4u
#define COORD_RESCALE_ENDS  4u

typedef struct coord_rescale_totals {
    uint64_t ended[COORD_RESCALE_KINDS][COORD_RESCALE_ENDS];
    uint64_t key_groups, bytes; /* that have moved to the end */
} coord_rescale_totals;

extern const char *const coord_rescale_kinds[COORD_RESCALE_KINDS]; /* what may be asked, but for abort */
extern const char *const coord_rescale_ends[COORD_RESCALE_ENDS];

/* One more has ended, as its row says. */
void coord_rescale_totals_put(coord_rescale_totals *totals, const coord_rescale_row *row);

char *coord_json_rescale_ask(const coord_rescale_ask *ask);
/* False: it is no such request. */
bool coord_json_rescale_ask_read(coord_rescale_ask *ask, const char *text, size_t size);

/* {"rescale": ROW} */
char *coord_json_rescale(const coord_rescale_row *row);
/* {"running": ROW or null, "rescales": [ROW, ...]}, the newest last. */
char *coord_json_rescales(const coord_rescale_row *running, const coord_rescale_row *rows,
                          uint32_t count);
/* False: it is none, or says an error, which is then in *err. */
bool coord_json_rescale_read(coord_rescale_row *row, const char *text, size_t size, df_error *err);
/* As far as there is room, the newest; *running->id is 0 if none runs. */
bool coord_json_rescales_read(coord_rescale_row *running, coord_rescale_row *rows, uint32_t capacity,
                              uint32_t *count, const char *text, size_t size, df_error *err);
/* What a state folder holds of those that have ended, as coord_json_rescales makes it; none, if nothing was changed. */
df_status coord_rescales_kept(char **text, const char *state, df_error *err) DF_MUST_CHECK;

#endif
