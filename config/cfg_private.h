/* What the files that make a draft share: errors with their places (cfg_error.c), values
 * (cfg_value.c), params (cfg_param.c), option tables (cfg_option.c), the sections of a job file
 * (cfg_section.c) and the parts of a draft, a file each. Private to config/. */
#ifndef CFG_PRIVATE_H
#define CFG_PRIVATE_H

#include "config/cfg.h"
#include "config/cfg_expr.h"
#include "config/cfg_toml.h"
#include "dataflow/df_limits.h"

#define CFG_PARAMS_MAX 256
#define CFG_WHO_MAX (WEIR_NAME_MAX + 32)
#define CFG_PATH_MAX 4096 /* bytes of a file's path, the final zero included */
#define CFG_SET_MAX 4096  /* bytes of one --set */
#define CFG_WHY_MAX 256

/* ---- the reader's state ---- */

typedef enum cfg_param_state {
    CFG_PARAM_NEW = 0,
    CFG_PARAM_BUSY, /* its expression is being evaluated */
    CFG_PARAM_KNOWN,
    CFG_PARAM_FAILED, /* and reported */
} cfg_param_state;

typedef struct cfg_param {
    const char *name;
    const cfg_node *node;
    double value;
    cfg_param_state state;
    struct cfg_param *asker; /* while busy: the param whose expression asks for this one */
} cfg_param;

typedef struct cfg_params {
    uint32_t count;
    cfg_param *list;    /* by name */
    const char **names; /* the same */
    cfg_param *busy;    /* the innermost one that is being evaluated */
} cfg_params;

typedef struct cfg_ctx {
    df_arena *arena;
    df_report *report;
    const cfg_options *options;
    const char *directory; /* of the job file */
    df_draft *draft;
    cfg_params params;
    bool no_memory;
} cfg_ctx;

/* Zeroed memory of the draft; null: there is none, which is noted. */
void *cfg_alloc(cfg_ctx *ctx, size_t count, size_t size);
const char *cfg_copy(cfg_ctx *ctx, const char *text);

/* ---- errors ---- */

/* Where a value is read, for errors: "operator \"fly\"", whose keys are called parameters. */
typedef struct cfg_scope {
    cfg_ctx *ctx;
    char who[CFG_WHO_MAX];
    const char *noun; /* "parameter" or "key" */
    bool any_key;     /* unknown keys are no errors: the kind is not known */
} cfg_scope;

/* Report an error at a key, at a value, or `offset` bytes into a text. What a --set gave has no
 * place; its errors begin with the --set instead. All return false. */
bool cfg_error_key(cfg_ctx *ctx, const cfg_node *node, const char *format, ...) DF_PRINTF(3, 4);
bool cfg_error_value(cfg_ctx *ctx, const cfg_node *node, const char *format, ...) DF_PRINTF(3, 4);
bool cfg_error_inside(cfg_ctx *ctx, const cfg_node *node, size_t offset, const char *format, ...)
    DF_PRINTF(4, 5);

/* Where a later step is to look for a key's errors: nowhere, if a --set gave its value. */
df_place cfg_place(const cfg_node *node);

#define CFG_SHOWN_MAX 64
/* What a value is, in words: `"fly"`, `12`, `a list`. Returns `shown`. */
const char *cfg_shown(const cfg_node *node, char shown[CFG_SHOWN_MAX]);

#define CFG_HINT_MAX (WEIR_NAME_MAX + 24)
/* ` (did you mean "radius"?)`, or nothing. Returns `hint`. */
const char *cfg_hint(const cfg_ctx *ctx, char hint[CFG_HINT_MAX], const char *name,
                     const char *const *names, size_t count);

/* ---- values: all report and return false when the value is not what it must be ---- */

/* The value of a table's key; null: not there. */
cfg_node *cfg_find(const cfg_node *table, const char *key);

typedef struct cfg_number {
    double real;
    bool exact;    /* a whole number that was written as one: its digits count, not `real` */
    bool negative; /* the sign of `size`, if exact */
    uint64_t size;
} cfg_number;

/* A number, or a text that is an expression over the params. Finite. */
bool cfg_get_number(const cfg_scope *scope, const cfg_node *node, const char *key, cfg_number *out);
/* The number as `type`, which it must fit without loss (floating point: rounded). */
bool cfg_store_number(const cfg_scope *scope, const cfg_node *node, const char *key,
                      const cfg_number *number, weir_type type, void *field);
/* Whether the number is in a range as option tables write it: "> 0", ">= 1", "0..1", and several
 * with commas between. Null: no bounds. */
bool cfg_check_range(const cfg_scope *scope, const cfg_node *node, const char *key,
                     const char *range, const cfg_number *number);
bool cfg_in_range(const char *range, double value);
bool cfg_get_text(const cfg_scope *scope, const cfg_node *node, const char *key, const char **out);

typedef enum cfg_name_kind {
    CFG_NAME_THING,  /* letters, digits, "_" and "-"; first a letter or "_" */
    CFG_NAME_COLUMN, /* the same without "-": it can stand in an expression */
} cfg_name_kind;

/* Whether a name has the right form; if not, `why` says what a right one is. */
bool cfg_name_good(const char *name, cfg_name_kind kind, const char **why);
/* The same, reported at a node's key. */
bool cfg_check_name(const cfg_scope *scope, const cfg_node *node, const char *what,
                    cfg_name_kind kind);
/* A text, or a list of at least one text. */
bool cfg_get_texts(const cfg_scope *scope, const cfg_node *node, const char *key, df_text **out,
                   uint32_t *count);
/* A column's name, or a text or a list of them, all different. */
bool cfg_get_column(const cfg_scope *scope, const cfg_node *node, const char *key,
                    const char **out);
bool cfg_get_columns(const cfg_scope *scope, const cfg_node *node, const char *key,
                     weir_names *out);

/* ---- params ---- */

void cfg_read_params(cfg_ctx *ctx, const cfg_node *root);
/* For cfg_expr: the names are the params. */
cfg_expr_names cfg_param_names(cfg_ctx *ctx);

/* ---- option tables ---- */

/* Option types of the reader's own sections, beside weir_option_type. */
enum {
    CFG_OPTION_NODE = 64, /* const cfg_node *: read by its own code; `choices`: what it is */
    CFG_OPTION_BYTES,     /* uint64_t: a number, or "2GiB" */
    CFG_OPTION_PACE,      /* double: a number above 0, or "unlimited", 0 */
};

typedef struct cfg_target {
    const weir_option *options; /* ends with a null name; null: none */
    void *base;                 /* the struct that the offsets are of */
} cfg_target;

/* Fill the targets' fields from a table: every key must be an option of one target; what is absent
 * gets its default. All errors are reported. False: there were some. */
bool cfg_fill(const cfg_scope *scope, const cfg_node *table, const cfg_target *targets,
              uint32_t target_count);
/* Whether a kind's descriptor can be worked with; if not, `why` says so. */
bool cfg_kind_good(const weir_operator *kind, char why[CFG_WHY_MAX]);
/* The kind that a value names. Null: reported. */
const weir_operator *cfg_find_kind(const cfg_scope *scope, const cfg_node *node, bool sink);
/* A path of the job, relative to the job file. Null: out of memory, which is noted. */
const char *cfg_join_path(cfg_ctx *ctx, const char *path);
/* One value by one option, which is reported as `key`. */
bool cfg_get_option(const cfg_scope *scope, const cfg_node *node, const char *key,
                    const weir_option *option, void *base);

/* ---- sections ---- */

typedef struct cfg_section {
    const char *name;
    bool named; /* [name.NAME]; else [name] */
    const char *help;
    const weir_option *options; /* null: its keys are free ([param]) */
    bool policy;                /* changes no result; a --set may name what the file does not */
} cfg_section;

typedef struct cfg_job {
    const char *name;
    uint64_t seed, steps;
    double dt, time_start;
    const char *time_unit;
} cfg_job;

typedef struct cfg_run {
    uint32_t key_groups, window;
    double pace;
} cfg_run;

typedef struct cfg_space {
    weir_names axes;
    const cfg_node *size, *edges;
} cfg_space;

typedef enum cfg_moves { CFG_MOVES_NEAR, CFG_MOVES_ANYWHERE } cfg_moves;

typedef struct cfg_state {
    const cfg_node *space, *columns, *first, *next;
    uint32_t moves; /* cfg_moves */
    uint64_t settle_every;
    double skin;
} cfg_state;

typedef enum cfg_at { CFG_AT_STEP, CFG_AT_END } cfg_at;

typedef struct cfg_operator {
    const cfg_node *kind, *in;
    uint64_t every_steps;
    uint32_t at; /* cfg_at */
} cfg_operator;

typedef struct cfg_snapshot {
    double every_seconds;
    uint64_t every_steps;
    uint32_t retain, compression; /* compression: its place in the list of choices */
    bool verify;
} cfg_snapshot;

typedef struct cfg_fault_tolerance {
    const cfg_node *mode;
    uint32_t max_restarts, retries;
    double backoff_seconds, stall_seconds;
} cfg_fault_tolerance;

typedef struct cfg_replay {
    uint32_t mode, keep; /* their places in the lists of choices */
    bool streams;
} cfg_replay;

typedef struct cfg_worker {
    const cfg_node *backend, *endpoint;
    uint32_t threads, priority;
} cfg_worker;

typedef struct cfg_placement {
    const cfg_node *label;
    uint64_t min_free_bytes;
    double min_compute_capability, sample_seconds;
    uint32_t policy, priority; /* policy: its place in the list of choices */
    bool automatic;
} cfg_placement;

typedef struct cfg_scaling {
    double target_utilisation, cool_down_seconds;
    uint32_t min, max; /* max 0: absent */
} cfg_scaling;

const cfg_section *cfg_sections(uint32_t *count);
/* A section by its name; null: there is none. */
const cfg_section *cfg_section_of(const char *name);
/* As cfg_hint, with the names of the sections. */
const char *cfg_section_hint(const cfg_ctx *ctx, char hint[CFG_HINT_MAX], const char *name);
/* The table of a section; null: absent, or no table, which cfg_check_sections reports. */
const cfg_node *cfg_section_table(const cfg_node *root, const char *name);
/* Unknown sections, and keys where a section must be. */
void cfg_check_sections(cfg_ctx *ctx, const cfg_node *root);

/* A section of the manual, to `out` (FILE *). */
void cfg_print_section(void *out, const cfg_section *section);

/* ---- files ---- */

/* One byte more than a file may have, so that a longer one is seen. */
#define CFG_FILE_SIZE ((size_t)DF_JOB_SIZE_MAX + 1)
/* A file into text[CFG_FILE_SIZE]; what is wrong is reported. */
df_status cfg_read_file(const char *path, char *text, size_t *size, df_report *report) DF_MUST_CHECK;

/* ---- the parts of a draft ---- */

void cfg_read_spaces(cfg_ctx *ctx, const cfg_node *root);
void cfg_read_states(cfg_ctx *ctx, const cfg_node *root);
void cfg_read_operators(cfg_ctx *ctx, const cfg_node *root);
/* [snapshot], [fault_tolerance] and the workers; of the policies that nothing reads yet, names and
 * types are checked. */
void cfg_read_policies(cfg_ctx *ctx, const cfg_node *root);

/* Put the values of the options' --set arguments into the tree. */
void cfg_apply_sets(cfg_ctx *ctx, cfg_node *root);
/* A value as an option table or a --set writes it: TOML, or else the text itself. Its errors will
 * name the --set, if there is one, and else stand at `place`. Null: out of memory, which is noted.
 */
cfg_node *cfg_parse_value(cfg_ctx *ctx, const char *text, const char *set, df_place place);

#endif
