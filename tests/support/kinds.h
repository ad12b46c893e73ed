/* Operator kinds for tests of the engine: small, over integers and positions in sixteenths, so that every
 * result is exact. Most fold what they read in an order-sensitive way, so that a row out of its order
 * changes the result. tests/support/reference.c computes the same on plain arrays.
 *
 * Every stream of these kinds has the columns a:i32 g:u32 tag:u32 h:u32, a state of a space its axes
 * before them, and a state may have b:u8 c:f64 d:i64 e:u64, which are functions of a. */
#ifndef SUPPORT_KINDS_H
#define SUPPORT_KINDS_H

#include "dataflow/weir/operator.h"

typedef struct kind_row {
    uint64_t key;
    double at[WEIR_AXES_MAX];
    uint32_t a, g, tag, h;
} kind_row;

typedef struct kind_columns {
    int at[WEIR_AXES_MAX], a, g, tag, h, b, c, d, e;
} kind_columns;

/* A row that a sink saw. */
typedef struct kind_record {
    uint64_t step;
    uint32_t key_group;
    kind_row row;
} kind_record;

typedef struct kind_log {
    uint32_t count, max;
    kind_record *rows;
    uint32_t calls;      /* of the sink's process */
    uint64_t last_step;
    bool disordered;     /* a step or a key group came late, or a derived column is wrong */
    bool open;
} kind_log;

enum { KIND_PLACE = 0, KIND_CORNER, KIND_OWN_KEYS,
       KIND_RUNS /* g is the number of the run, and declared so */ }; /* p[1] of kind_make */
enum { KIND_TELEPORT = 0xffff, KIND_KEEP_G = 0xfffe /* passes g; no space */ }; /* p[0] of kind_drift */
enum { KIND_GROUPS_MAX = 128 };                           /* g is below this */

typedef struct kind_options {
    /* make: rows, mode, run, salt.  see: the radius in sixteenths.  drift: reach in sixteenths, one in
     * how many dies (0: none), one in how many gives birth (0: none), salt.  fail: step, tag modulus. */
    uint32_t p[4];
    kind_log *log;       /* record: borrowed */
    /* from the plan */
    kind_columns in, other, out, out_odd;
    int partial[3], seen;
    const weir_space *space;
} kind_options;

/* In the order of kind_list. */
typedef enum kind_id {
    KIND_MAKE = 0, /* source */
    KIND_SEE,      /* halo: fold the neighbours within the radius by (cell offset, key) */
    KIND_DRIFT,    /* forward: move, die, give birth */
    KIND_SPLIT,    /* forward: outputs even and odd, by tag */
    KIND_TALLY,    /* key_by g, with combine: g, sum of a, fold of tags, count */
    KIND_TOTAL,    /* gather, no combine */
    KIND_SUM,      /* gather, with combine */
    KIND_ASK,      /* forward and lookup by g */
    KIND_HEAR,     /* forward and broadcast */
    KIND_COUNT,    /* forward: adds the rows that this key group has seen before */
    KIND_FAIL,     /* forward: passes rows; fails at a step for tags of a residue */
    KIND_RECORD,   /* sink */
    KIND_IDS,
} kind_id;

extern const weir_operator *const kind_list[KIND_IDS];

/* How often KIND_SEE has found what it keeps where rows lie elsewhere, and of those, what another worker made. */
extern _Atomic uint64_t kind_kept_moved, kind_kept_foreign;

/* Shared with the reference: pure functions of their arguments. */
uint32_t kind_hash(uint32_t tag, uint64_t step, uint32_t salt);
uint32_t kind_fold(uint32_t hash, uint32_t value);
/* The row that kind_make makes for `key`. */
kind_row kind_made(const kind_options *o, uint32_t axis_count, const double *size,
                   const bool *periodic, uint64_t key);
/* What kind_drift makes of a row; false: it dies. *child: it has one, with this tag. */
bool kind_drifted(const kind_options *o, uint32_t axis_count, const double *size,
                  const bool *periodic, uint64_t step, kind_row *row, bool *child, uint32_t *tag);

/* Read and write a row by columns; a missing column (-1) reads as 0 and is not written. */
void kind_find(const weir_schema *schema, const weir_space *space, kind_columns *columns);
kind_row kind_get(const weir_batch *batch, const kind_columns *columns, uint32_t row);
bool kind_derived_ok(const weir_batch *batch, const kind_columns *columns, uint32_t row);

void kind_log_fini(kind_log *log);

#endif
