/* The sections of a job file and their keys: one table, by which the reader checks and fills, and
 * which the manual is printed from. */
#include "config/cfg_private.h"

#include <stdio.h>
#include <string.h>

_Static_assert(DF_STEPS_MAX == 1099511627776ull && DF_KEY_GROUPS_MAX == 65536 &&
                   DF_WINDOW_MAX == 64 && DF_THREADS_MAX == 256,
               "the ranges below name the limits");

/* clang-format off */

static const weir_option job_options[] = {
    { "name", "names the job and its folder, runs/NAME; if absent, the file's name without .toml",
      WEIR_TEXT, NULL, "", NULL, NULL, offsetof(cfg_job, name) },
    { "seed", "what all random numbers come from, with the operator's name, the step and the row",
      WEIR_U64, NULL, "1", NULL, NULL, offsetof(cfg_job, seed) },
    { "steps", "the last step; the first is 0", WEIR_U64, NULL, NULL, "0..1099511627776", NULL,
      offsetof(cfg_job, steps) },
    { "dt", "simulated time per step", WEIR_F64, "time_unit", "1", "> 0", NULL,
      offsetof(cfg_job, dt) },
    { "time_unit", "what time is counted in, for people", WEIR_TEXT, NULL, "", NULL, NULL,
      offsetof(cfg_job, time_unit) },
    { "time_start", "the time at step 0", WEIR_F64, "time_unit", "0", NULL, NULL,
      offsetof(cfg_job, time_start) },
    { 0 },
};

static const weir_option space_options[] = {
    { "axes", "names of the axes, one to three; a state in the space has a column (f32) for each",
      WEIR_COLUMNS, NULL, NULL, NULL, NULL, offsetof(cfg_space, axes) },
    { "size", "coordinates run from 0 to size; one number for all axes, or a list", CFG_OPTION_NODE,
      "length", NULL, "> 0", "number, or a list of them", offsetof(cfg_space, size) },
    { "edges", "what is beyond the ends of an axis: a wall, or the other end", CFG_OPTION_NODE,
      NULL, "closed", NULL, "`closed` or `periodic`, or a list of them",
      offsetof(cfg_space, edges) },
    { 0 },
};

static const weir_option state_options[] = {
    { "space", "the space that its rows are in; if absent, rows are spread by their key",
      CFG_OPTION_NODE, NULL, "", NULL, "text", offsetof(cfg_state, space) },
    { "columns", "columns.TYPE = [names], TYPE one of f32 f64 i32 i64 u32 u64 u8", CFG_OPTION_NODE,
      NULL, NULL, NULL, "table of lists of texts", offsetof(cfg_state, columns) },
    { "first", "the stream that holds its rows at step 0", CFG_OPTION_NODE, NULL, NULL, NULL,
      "text", offsetof(cfg_state, first) },
    { "next", "the stream that holds its rows at the next step; a list is a union",
      CFG_OPTION_NODE, NULL, NULL, NULL, "text, or a list of them", offsetof(cfg_state, next) },
    { "moves", "how far a row may move in one step: into a tile beside its own, or anywhere "
      "(which makes every step wait for all key groups)", WEIR_CHOICE, NULL, "near", NULL,
      "near|anywhere", offsetof(cfg_state, moves) },
    { "settle_every", "rows change place, tile and order only at steps that are multiples of it, so "
      "that who may be near whom is found only then; with 1, at every step", WEIR_U64, NULL, "1",
      ">= 1", NULL, offsetof(cfg_state, settle_every) },
    { "skin", "how much farther than a radius is looked when rows settle: a row moves at most half "
      "of it until they settle again. Not used if they settle at every step", WEIR_F64, "length",
      "0", ">= 0", NULL, offsetof(cfg_state, skin) },
    { 0 },
};

static const weir_option operator_options[] = {
    { "kind", "what it does: see weir operators; \"./file.so:symbol\" is a kind of your own",
      CFG_OPTION_NODE, NULL, NULL, NULL, "text", offsetof(cfg_operator, kind) },
    { "in", "the streams it reads, a list is a union; in.PORT where the kind has several inputs",
      CFG_OPTION_NODE, NULL, "", NULL, "text, or a list of them", offsetof(cfg_operator, in) },
    { "every_steps", "runs at steps that are multiples of it", WEIR_U64, NULL, "1", ">= 1", NULL,
      offsetof(cfg_operator, every_steps) },
    { "at", "runs at every such step, or at the last step only", WEIR_CHOICE, NULL, "step", NULL,
      "step|end", offsetof(cfg_operator, at) },
    { 0 },
};

static const weir_option run_options[] = {
    { "key_groups", "the greatest parallelism; part of the job's identity", WEIR_U32, NULL, "256",
      "1..65536", NULL, offsetof(cfg_run, key_groups) },
    { "window", "steps that a key group may be ahead of another", WEIR_U32, NULL, "8", "1..64",
      NULL, offsetof(cfg_run, window) },
    { "pace", "steps per second of wall time", CFG_OPTION_PACE, NULL, "unlimited", "> 0", NULL,
      offsetof(cfg_run, pace) },
    { 0 },
};

static const weir_option snapshot_options[] = {
    { "every_seconds", "wall time between snapshots", WEIR_F64, "s", "60", "> 0, <= 1e9", NULL,
      offsetof(cfg_snapshot, every_seconds) },
    { "every_steps", "steps between snapshots, instead of seconds", WEIR_U64, NULL, "", ">= 1",
      NULL, offsetof(cfg_snapshot, every_steps) },
    { "retain", "how many are kept; older ones are removed after a new one is complete", WEIR_U32,
      NULL, "3", ">= 2", NULL, offsetof(cfg_snapshot, retain) },
    { "compression", "of the columns", WEIR_CHOICE, NULL, "lz4", NULL, "lz4|zstd|none",
      offsetof(cfg_snapshot, compression) },
    { "verify", "read back and compare what was written, before the snapshot counts", WEIR_BOOL,
      NULL, "false", NULL, NULL, offsetof(cfg_snapshot, verify) },
    { 0 },
};

static const weir_option fault_options[] = {
    { "mode", "what follows a failure: all return to the last snapshot; or a task that failed for a "
      "reason that may pass is run again in its place, and a lost worker's on others, from the last "
      "snapshot; or the job fails", CFG_OPTION_NODE, NULL,
      "snapshot", NULL, "`snapshot`, `retry` or `none`", offsetof(cfg_fault_tolerance, mode) },
    { "max_restarts", "returns to one snapshot before the job fails", WEIR_U32, NULL, "10", NULL,
      NULL, offsetof(cfg_fault_tolerance, max_restarts) },
    { "backoff_seconds", "what is waited before such a return (but the first), and before a task is run "
      "again; doubled each time", WEIR_F64, "s", "0.1", "0..3600",
      NULL, offsetof(cfg_fault_tolerance, backoff_seconds) },
    { "retries", "how often a task is run again with mode = \"retry\", before the job fails", WEIR_U32, NULL, "3",
      "1..100", NULL, offsetof(cfg_fault_tolerance, retries) },
    { "stall_seconds", "a job in which no step is done for so long, although it could, begins anew from the last "
      "snapshot; 0: never", WEIR_F64, "s", "300", "0..86400", NULL,
      offsetof(cfg_fault_tolerance, stall_seconds) },
    { 0 },
};

static const weir_option replay_options[] = {
    { "mode", "whether a run with workers records the fingerprint of every step beside its state, for weir replay",
      WEIR_CHOICE, NULL, "off", NULL, "off|record", offsetof(cfg_replay, mode) },
    { "streams", "what every operator makes is recorded, too: then a replay that differs names the operator",
      WEIR_BOOL, NULL, "false", NULL, NULL, offsetof(cfg_replay, streams) },
    { "keep", "how long: as long as a snapshot is kept from which the steps can be run again, or for ever",
      WEIR_CHOICE, NULL, "snapshots", NULL, "snapshots|all", offsetof(cfg_replay, keep) },
    { 0 },
};

static const weir_option placement_options[] = {
    { "policy", "which worker a key group goes to", WEIR_CHOICE, NULL, "locality", NULL,
      "locality|least-loaded|round-robin", offsetof(cfg_placement, policy) },
    { "auto", "key groups are moved without being asked, when a worker has much more to do than the "
      "others", WEIR_BOOL, NULL, "false", NULL, NULL, offsetof(cfg_placement, automatic) },
    { "min_free_bytes", "memory that stays free where key groups are put", CFG_OPTION_BYTES, NULL,
      "0", NULL, NULL, offsetof(cfg_placement, min_free_bytes) },
    { "min_compute_capability", "only workers with such a CUDA device, or a newer one, are used",
      WEIR_F64, NULL, "0", "0..99.9", NULL, offsetof(cfg_placement, min_compute_capability) },
    { "label", "only workers with such a label are used; \"fast*\" is all that begin with fast",
      CFG_OPTION_NODE, NULL, "", NULL, "text, or a list of them", offsetof(cfg_placement, label) },
    { "priority", "only workers with at least this one are used", WEIR_U32, NULL, "0", NULL, NULL,
      offsetof(cfg_placement, priority) },
    { "sample_seconds", "how often a worker tells its load and free memory", WEIR_F64, "s", "0.25",
      "0.01..60", NULL, offsetof(cfg_placement, sample_seconds) },
    { 0 },
};

static const weir_option worker_options[] = {
    { "backend", "what it computes on: cpu, or cuda:N", CFG_OPTION_NODE, NULL, "cpu", NULL, "text",
      offsetof(cfg_worker, backend) },
    { "threads", "how many threads; if absent, one per core", WEIR_U32, NULL, "", "1..256", NULL,
      offsetof(cfg_worker, threads) },
    { "endpoint", "the address at which other workers reach it; if absent, it chooses one",
      CFG_OPTION_NODE, NULL, "", NULL, "text", offsetof(cfg_worker, endpoint) },
    { "priority", "among spare workers a greater one is used first", WEIR_U32, NULL, "0", NULL,
      NULL, offsetof(cfg_worker, priority) },
    { 0 },
};

static const weir_option scaling_options[] = {
    { "min", "workers that are always there", WEIR_U32, NULL, "1", "1..1000", NULL,
      offsetof(cfg_scaling, min) },
    { "max", "workers at most; if absent, one per processor of the coordinator's machine", WEIR_U32,
      NULL, "", "1..1000", NULL, offsetof(cfg_scaling, max) },
    { "target_utilisation", "how busy the workers' threads should be: 1 is all of the time", WEIR_F64,
      NULL, "0.7", "> 0, <= 1", NULL, offsetof(cfg_scaling, target_utilisation) },
    { "cool_down_seconds", "what is waited after a change before the next one", WEIR_F64, "s", "30",
      "0..86400", NULL, offsetof(cfg_scaling, cool_down_seconds) },
    { 0 },
};

static const cfg_section sections[] = {
    { "job", false, "What is run, and for how long.", job_options, false },
    { "param", false, "Names for numbers, used in expressions.", NULL, false },
    { "space", true, "Where rows can be.", space_options, false },
    { "state", true, "A table that is carried from step to step.", state_options, false },
    { "operator", true,
      "Makes streams of streams and states. A kind has its own keys beside these.",
      operator_options, false },
    { "sink", true, "Takes a stream out of the job. A kind has its own keys beside these.",
      operator_options, false },
    { "run", false, "How the steps are run.", run_options, false },
    { "snapshot", false, "When the state is saved.", snapshot_options, true },
    { "fault_tolerance", false, "What is done about failures.", fault_options, true },
    { "replay", false, "Recording a run, so that it can be run again and compared.", replay_options, true },
    { "placement", false, "Which worker owns what.", placement_options, true },
    { "worker", true, "One worker, by its label.", worker_options, true },
    { "scaling", false, "The coordinator adds and removes workers on its machine, or of its service's pool, by itself.",
      scaling_options, true },
};

/* clang-format on */

#define SECTION_COUNT ((uint32_t)(sizeof sections / sizeof *sections))

const cfg_section *cfg_sections(uint32_t *count)
{
    *count = SECTION_COUNT;
    return sections;
}

const cfg_section *cfg_section_of(const char *name)
{
    for (uint32_t i = 0; i < SECTION_COUNT; i++)
        if (strcmp(sections[i].name, name) == 0)
            return &sections[i];
    return NULL;
}

const cfg_node *cfg_section_table(const cfg_node *root, const char *name)
{
    const cfg_node *node = cfg_find(root, name);

    return node != NULL && node->type == CFG_TABLE ? node : NULL;
}

/* ---- what is where it must be ---- */

const char *cfg_section_hint(const cfg_ctx *ctx, char hint[CFG_HINT_MAX], const char *name)
{
    const char *names[SECTION_COUNT];

    for (uint32_t i = 0; i < SECTION_COUNT; i++)
        names[i] = sections[i].name;
    return cfg_hint(ctx, hint, name, names, SECTION_COUNT);
}

static void check_unknown(cfg_ctx *ctx, const cfg_node *node)
{
    char hint[CFG_HINT_MAX];

    if (node->type == CFG_TABLE)
        cfg_error_key(ctx, node, "unknown section \"%.64s\"%s", node->key,
                      cfg_section_hint(ctx, hint, node->key));
    else
        cfg_error_key(ctx, node, "\"%.64s\" stands in no section, such as [job]", node->key);
}

static void check_named(cfg_ctx *ctx, const cfg_node *table)
{
    cfg_scope scope = { .ctx = ctx };

    snprintf(scope.who, sizeof scope.who, "[%s]", table->key);
    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        if (node->type != CFG_TABLE)
            cfg_error_key(ctx, node, "[%s]: \"%.64s\" must be a section: write [%s.NAME]",
                          table->key, node->key, table->key);
        else
            cfg_check_name(&scope, node, "the name", CFG_NAME_THING);
}

void cfg_check_sections(cfg_ctx *ctx, const cfg_node *root)
{
    for (const cfg_node *node = root->first; node != NULL; node = node->next) {
        const cfg_section *section = cfg_section_of(node->key);
        if (section == NULL)
            check_unknown(ctx, node);
        else if (node->type != CFG_TABLE)
            cfg_error_key(ctx, node, "\"%s\" must be a section: write [%s%s]", node->key, node->key,
                          section->named ? ".NAME" : "");
        else if (section->named)
            check_named(ctx, node);
    }
}
