/* From a job file's text to a draft: a checklist. Everything is read even after an error, so that a
 * person sees all errors at once. */
#include "config/cfg_private.h"

#include <stdio.h>
#include <string.h>

static const df_place draft_no_place = { 0, 0 };

/* ---- [job] and [run] ---- */

/* The file's name without its folder and ".toml". Null: out of memory. */
static const char *file_stem(cfg_ctx *ctx, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *stem = df_arena_text(ctx->arena, slash != NULL ? slash + 1 : path);
    size_t len = stem != NULL ? strlen(stem) : 0;

    if (stem == NULL)
        ctx->no_memory = true;
    if (len > 5 && strcmp(stem + len - 5, ".toml") == 0)
        stem[len - 5] = '\0';
    return stem;
}

static void job_name(const cfg_scope *scope, const cfg_node *table, const char *given,
                     const char *path_shown)
{
    const cfg_node *node = cfg_find(table, "name");
    weir_job *job = &scope->ctx->draft->job;
    const char *name = given != NULL ? given : file_stem(scope->ctx, path_shown), *why;

    if (name == NULL || (node != NULL && given == NULL))
        return; /* no memory, or no text: it is noted */
    if (cfg_name_good(name, CFG_NAME_THING, &why))
        snprintf(job->name, sizeof job->name, "%s", name);
    else if (node != NULL)
        cfg_error_value(scope->ctx, node, "%s: name: \"%.64s\": %s", scope->who, name, why);
    else
        cfg_error_key(scope->ctx, table,
                      "%s: key \"name\" is missing, and the file's own name, "
                      "\"%.64s\", cannot serve: %s",
                      scope->who, name, why);
}

static void read_job(cfg_ctx *ctx, const cfg_node *root, const char *path_shown)
{
    const cfg_node *table = cfg_section_table(root, "job");
    cfg_scope scope = { .ctx = ctx, .who = "[job]", .noun = "key" };
    cfg_job given = { 0 };
    cfg_target target = { cfg_section_of("job")->options, &given };
    weir_job *job = &ctx->draft->job;

    if (table == NULL) {
        if (cfg_find(root, "job") == NULL)
            df_report_add(ctx->report, draft_no_place,
                          "[job] is missing: it says at least how "
                          "many \"steps\" to run");
        return;
    }
    cfg_fill(&scope, table, &target, 1);
    job_name(&scope, table, given.name, path_shown);
    job->seed = given.seed;
    job->steps = given.steps;
    job->dt = given.dt;
    job->time_start = given.time_start;
    if (given.time_unit == NULL)
        return;
    if (strlen(given.time_unit) >= sizeof job->time_unit)
        cfg_error_value(ctx, cfg_find(table, "time_unit"),
                        "[job]: time_unit: has at most %zu bytes", sizeof job->time_unit - 1);
    else
        snprintf(job->time_unit, sizeof job->time_unit, "%s", given.time_unit);
}

static void read_run(cfg_ctx *ctx, const cfg_node *root)
{
    static const cfg_node absent = { .type = CFG_TABLE };
    const cfg_node *table = cfg_section_table(root, "run");
    cfg_scope scope = { .ctx = ctx, .who = "[run]", .noun = "key" };
    cfg_run given = { 0 };
    cfg_target target = { cfg_section_of("run")->options, &given };

    cfg_fill(&scope, table != NULL ? table : &absent, &target, 1);
    ctx->draft->key_groups = given.key_groups;
    ctx->draft->window = given.window;
    ctx->draft->pace = given.pace;
}

/* ---- the checklist ---- */

static df_status read_tree(cfg_ctx *ctx, const char *text, size_t size, cfg_node **root)
{
    cfg_fault fault = { { 0, 0 }, "" };
    df_status status;

    *root = NULL;
    if (size > DF_JOB_SIZE_MAX) {
        df_report_add(ctx->report, draft_no_place, "a job file has at most %u bytes",
                      DF_JOB_SIZE_MAX);
        return DF_ELIMIT;
    }
    status = cfg_toml_parse(root, ctx->arena, text, size, &fault);
    if (status == DF_EINVAL || status == DF_ELIMIT)
        df_report_add(ctx->report, fault.place, "%s", fault.text);
    return status;
}

static df_status read_draft(cfg_ctx *ctx, const char *path_shown, const char *text, size_t size)
{
    cfg_node *root;
    uint32_t errors = ctx->report->count;
    df_status status = read_tree(ctx, text, size, &root);

    if (status != DF_OK)
        return status;
    cfg_apply_sets(ctx, root);
    cfg_check_sections(ctx, root);
    cfg_read_params(ctx, root);
    read_job(ctx, root, path_shown);
    read_run(ctx, root);
    cfg_read_spaces(ctx, root);
    cfg_read_states(ctx, root);
    cfg_read_operators(ctx, root);
    cfg_read_policies(ctx, root);
    if (ctx->no_memory)
        return DF_ENOMEM;
    return ctx->report->count > errors ? DF_EINVAL : DF_OK;
}

df_status cfg_read(df_draft **out, const char *path_shown, const char *directory, const char *text,
                   size_t size, const cfg_options *options, df_report *report)
{
    cfg_ctx ctx = { .arena = df_arena_new(), .report = report, .options = options };
    df_status status = DF_ENOMEM;

    *out = NULL;
    if (ctx.arena == NULL)
        goto out;
    ctx.draft = cfg_alloc(&ctx, 1, sizeof *ctx.draft);
    ctx.directory = cfg_copy(&ctx, directory);
    if (ctx.no_memory)
        goto out;
    ctx.draft->arena = ctx.arena;
    ctx.draft->file = cfg_copy(&ctx, path_shown);
    ctx.draft->job.directory = ctx.directory;
    status = read_draft(&ctx, path_shown, text, size);
    if (status == DF_OK) {
        *out = ctx.draft;
        ctx.arena = NULL;
    }
out:
    if (status == DF_ENOMEM)
        df_report_add(report, draft_no_place, "out of memory");
    df_arena_free(&ctx.arena);
    return status;
}

void cfg_draft_free(df_draft **draft)
{
    df_arena *arena;

    if (*draft == NULL)
        return;
    arena = (*draft)->arena; /* holds the draft, too */
    *draft = NULL;
    df_arena_free(&arena);
}
