/* Policies: [snapshot], [fault_tolerance], [worker.LABEL], [placement] and [scaling]. */
#include "config/cfg_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cfg_node policy_absent = { .type = CFG_TABLE };

/* Read a section that need not be there; null if it is not. */
static const cfg_node *fill_section(cfg_scope *scope, const cfg_node *root, const char *name,
                                    void *given)
{
    const cfg_node *table = cfg_section_table(root, name);
    cfg_target target = { cfg_section_of(name)->options, given };

    scope->noun = "key";
    snprintf(scope->who, sizeof scope->who, "[%s]", name);
    cfg_fill(scope, table != NULL ? table : &policy_absent, &target, 1);
    return table;
}

/* ---- [snapshot] ---- */

/* Snapshots come by time or by steps; to guess which of two was meant would hide a mistake. */
static void check_one_interval(const cfg_scope *scope, const cfg_node *table)
{
    const cfg_node *first = NULL;

    for (const cfg_node *node = table->first; node != NULL; node = node->next) {
        if (strcmp(node->key, "every_seconds") != 0 && strcmp(node->key, "every_steps") != 0)
            continue;
        if (first != NULL)
            cfg_error_key(scope->ctx, node,
                          "%s: %s: stands beside %s; only one of them may be given", scope->who,
                          node->key, first->key);
        first = node;
    }
}

static void read_snapshot(cfg_ctx *ctx, const cfg_node *root)
{
    /* In the order of the option's choices. */
    static const df_compression compressions[] = { DF_COMPRESS_LZ4, DF_COMPRESS_ZSTD,
                                                   DF_COMPRESS_NONE };
    cfg_scope scope = { .ctx = ctx };
    cfg_snapshot given = { 0 };
    const cfg_node *table = fill_section(&scope, root, "snapshot", &given);
    df_policy *policy = &ctx->draft->policy;

    if (table != NULL)
        check_one_interval(&scope, table);
    policy->snapshot = table != NULL;
    policy->snapshot_every_seconds = given.every_seconds;
    policy->snapshot_every_steps = given.every_steps;
    policy->snapshot_retain = given.retain;
    policy->snapshot_compression = compressions[given.compression];
    policy->snapshot_verify = given.verify;
}

/* ---- [fault_tolerance] ---- */

/* Read apart from the table of options, to say of "standby" that it is no mistake of spelling. */
static df_fault_mode read_mode(const cfg_scope *scope, const cfg_node *node)
{
    static const weir_option option = { .type = WEIR_CHOICE, .choices = "snapshot|retry|none" };
    static const df_fault_mode modes[] = { DF_FAULT_SNAPSHOT, DF_FAULT_RETRY, DF_FAULT_NONE };
    uint32_t choice = 0;

    if (node->type == CFG_TEXT && strcmp(node->text, "standby") == 0)
        cfg_error_value(scope->ctx, node,
                        "%s: mode: \"standby\" comes later; this version has snapshot, retry and "
                        "none",
                        scope->who);
    else
        (void)cfg_get_option(scope, node, "mode", &option, &choice);
    return modes[choice];
}

static void read_fault_tolerance(cfg_ctx *ctx, const cfg_node *root)
{
    cfg_scope scope = { .ctx = ctx };
    cfg_fault_tolerance given = { 0 };
    df_policy *policy = &ctx->draft->policy;

    (void)fill_section(&scope, root, "fault_tolerance", &given);
    if (given.mode != NULL)
        policy->fault_mode = read_mode(&scope, given.mode);
    policy->fault_max_restarts = given.max_restarts;
    policy->fault_backoff_seconds = given.backoff_seconds;
    policy->fault_retries = given.retries;
    policy->fault_stall_seconds = given.stall_seconds;
}

/* ---- [worker.LABEL] ---- */

static void read_backend(const cfg_scope *scope, const cfg_node *node, df_text *out)
{
    const char *number;
    char shown[CFG_SHOWN_MAX];
    bool good = false;

    if (node->type == CFG_TEXT && strncmp(node->text, "cuda:", 5) == 0) {
        number = node->text + 5;
        good = strspn(number, "0123456789") == strlen(number) && strlen(number) - 1 < 3;
    } else if (node->type == CFG_TEXT) {
        good = strcmp(node->text, "cpu") == 0;
    }
    if (good)
        *out = (df_text){ node->text, cfg_place(node) };
    else
        cfg_error_value(scope->ctx, node, "%s: backend: expected \"cpu\" or \"cuda:N\", found %s",
                        scope->who, cfg_shown(node, shown));
}

static void read_endpoint(const cfg_scope *scope, const cfg_node *node, df_text *out)
{
    const char *text;

    if (!cfg_get_text(scope, node, "endpoint", &text))
        return;
    if (text[0] == '\0')
        cfg_error_value(scope->ctx, node, "%s: endpoint: an address is not empty", scope->who);
    else if (strlen(text) >= DF_ADDRESS_MAX)
        cfg_error_value(scope->ctx, node, "%s: endpoint: has at most %d bytes", scope->who,
                        DF_ADDRESS_MAX - 1);
    else
        *out = (df_text){ text, cfg_place(node) };
}

static void read_worker(cfg_ctx *ctx, const cfg_node *table, df_draft_worker *worker)
{
    cfg_scope scope = { .ctx = ctx, .noun = "key" };
    cfg_worker given = { 0 };
    cfg_target target = { cfg_section_of("worker")->options, &given };

    snprintf(scope.who, sizeof scope.who, "worker \"%.64s\"", table->key);
    worker->label = (df_text){ table->key, cfg_place(table) };
    cfg_fill(&scope, table, &target, 1);
    worker->threads = given.threads;
    worker->priority = given.priority;
    if (given.backend != NULL)
        read_backend(&scope, given.backend, &worker->backend);
    if (given.endpoint != NULL)
        read_endpoint(&scope, given.endpoint, &worker->endpoint);
}

static void read_workers(cfg_ctx *ctx, const cfg_node *root)
{
    const cfg_node *table = cfg_section_table(root, "worker");
    df_draft *draft = ctx->draft;

    if (table == NULL)
        return;
    if (table->count > DF_WORKERS_MAX) {
        cfg_error_key(ctx, table, "a job has at most %d workers, found %u", DF_WORKERS_MAX,
                      table->count);
        return;
    }
    draft->workers = cfg_alloc(ctx, table->count + 1, sizeof *draft->workers);
    if (draft->workers == NULL)
        return;
    for (const cfg_node *node = table->first; node != NULL; node = node->next)
        if (node->type == CFG_TABLE)
            read_worker(ctx, node, &draft->workers[draft->worker_count++]);
}

/* ---- [placement] ---- */

/* Ten times the version of a device, which has one digit behind the point. */
static uint32_t read_capability(const cfg_scope *scope, const cfg_node *table, double given)
{
    double tenths = round(10 * given);

    if (fabs(10 * given - tenths) > 1e-6)
        cfg_error_value(scope->ctx, cfg_find(table, "min_compute_capability"),
                        "%s: min_compute_capability: expected a version such as 8.0, found %g",
                        scope->who, given);
    return (uint32_t)tenths;
}

static void read_labels(const cfg_scope *scope, const cfg_node *node, df_placement *placement)
{
    df_text *labels = NULL;

    if (!cfg_get_texts(scope, node, "label", &labels, &placement->label_count))
        return;
    placement->labels = labels;
    for (uint32_t i = 0; i < placement->label_count; i++)
        if (labels[i].text[0] == '\0')
            cfg_error_value(scope->ctx, node, "%s: label: a label is not empty", scope->who);
}

static void read_placement(cfg_ctx *ctx, const cfg_node *root)
{
    /* In the order of the option's choices. */
    static const df_placing policies[] = { DF_PLACE_LOCALITY, DF_PLACE_LEAST_LOADED,
                                           DF_PLACE_ROUND_ROBIN };
    cfg_scope scope = { .ctx = ctx };
    cfg_placement given = { 0 };
    const cfg_node *table = fill_section(&scope, root, "placement", &given);
    df_placement *placement = &ctx->draft->policy.placement;

    placement->policy = policies[given.policy];
    placement->automatic = given.automatic;
    placement->min_free_bytes = given.min_free_bytes;
    placement->priority = given.priority;
    placement->sample_seconds = given.sample_seconds;
    if (table != NULL)
        placement->min_compute_capability = read_capability(&scope, table,
                                                            given.min_compute_capability);
    if (given.label != NULL)
        read_labels(&scope, given.label, placement);
}

/* ---- [scaling] ---- */

static void read_scaling(cfg_ctx *ctx, const cfg_node *root)
{
    cfg_scope scope = { .ctx = ctx };
    cfg_scaling given = { 0 };
    const cfg_node *table = fill_section(&scope, root, "scaling", &given);
    df_scaling *scaling = &ctx->draft->policy.scaling;

    scaling->on = table != NULL;
    scaling->min = given.min;
    scaling->max = given.max;
    scaling->target_utilisation = given.target_utilisation;
    scaling->cool_down_seconds = given.cool_down_seconds;
    if (given.max != 0 && given.max < given.min)
        cfg_error_value(ctx, cfg_find(table, "max"), "%s: max: must be at least min, %u, found %u",
                        scope.who, given.min, given.max);
}

/* ---- [replay] ---- */

static void read_replay(cfg_ctx *ctx, const cfg_node *root)
{
    cfg_scope scope = { .ctx = ctx };
    cfg_replay given = { 0 };
    df_policy *policy = &ctx->draft->policy;

    (void)fill_section(&scope, root, "replay", &given);
    policy->replay_record = given.mode == 1;
    policy->replay_streams = policy->replay_record && given.streams;
    policy->replay_keep_all = given.keep == 1;
}

void cfg_read_policies(cfg_ctx *ctx, const cfg_node *root)
{
    read_snapshot(ctx, root);
    read_fault_tolerance(ctx, root);
    read_workers(ctx, root);
    read_placement(ctx, root);
    read_scaling(ctx, root);
    read_replay(ctx, root);
}
