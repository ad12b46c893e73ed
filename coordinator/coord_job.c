#include "coordinator/coord_job.h"

#include "config/cfg.h"
#include "coordinator/coord_kinds.h"
#include "operators/op_list.h"
#include "snapshot/snap_hash.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

df_status coord_job_load(df_plan **out, const char *path, const coord_texts *sets,
                         df_report *report)
{
    cfg_options options = { .kinds = &op_kinds, .sets = sets->items, .set_count = sets->count,
                            .load = coord_kind_load };
    df_draft *draft = NULL;
    df_status s;

    *out = NULL;
    df_report_init(report, path);
    s = cfg_load(&draft, path, &options, report);
    return s == DF_OK ? df_plan_new(out, &draft, report) : s;
}

/* Cut `lines` (changed) into texts; false: too many. */
static bool cut_lines(coord_texts *texts, char *lines)
{
    char *rest = lines, *line;

    texts->count = 0;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0')
            continue;
        if (texts->count == COORD_TEXTS_MAX)
            return false;
        texts->items[texts->count++] = line;
    }
    return true;
}

df_status coord_job_read(df_plan **out, const char *path, const char *text, size_t size,
                         const char *sets, df_report *report)
{
    char *lines = strdup(sets), *folder = strdup(path);
    coord_texts texts;
    df_draft *draft = NULL;
    df_status s = DF_ENOMEM;

    *out = NULL;
    df_report_init(report, path);
    if (lines != NULL && folder != NULL && cut_lines(&texts, lines)) {
        cfg_options options = { .kinds = &op_kinds, .sets = texts.items, .set_count = texts.count,
                                .load = coord_kind_load };

        s = cfg_read(&draft, path, dirname(folder), text, size, &options, report);
        if (s == DF_OK)
            s = df_plan_new(out, &draft, report);
    }
    free(lines);
    free(folder);
    return s;
}

void coord_job_files(const df_plan *plan, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < plan->vertex_count; i++) {
        const df_vertex *v = &plan->vertices[i];
        const weir_option *o = v->kind == NULL ? NULL : v->kind->options;

        for (; o != NULL && o->name != NULL; o++) {
            const char *const *file = (const void *)((const char *)v->options + o->offset);

            if (o->type == WEIR_FILE_OUT && *file != NULL && used < size)
                used += (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? "" : "  ",
                                         *file);
        }
    }
}

/* ---- what it reads ---- */

#define JOB_BLOCK_SIZE (256u << 10)

static df_status input_hash(const char *path, uint8_t *block, df_hash *hash, df_error *err)
{
    FILE *file = fopen(path, "re");
    df_status s = DF_OK;
    size_t got;

    if (file == NULL)
        return df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    while ((got = fread(block, 1, JOB_BLOCK_SIZE, file)) > 0)
        *hash = snap_hash_chain(*hash, block, got);
    if (ferror(file))
        s = df_fail(err, DF_EIO, "%s: it cannot be read", path);
    fclose(file);
    return s;
}

static df_status vertex_inputs(const df_vertex *v, uint8_t *block, df_hash *hash, bool *any, df_error *err)
{
    const weir_option *o = v->kind == NULL ? NULL : v->kind->options;
    const char *object = v->kind == NULL ? NULL : coord_kind_file(v->kind);
    df_status s = DF_OK;

    if (object != NULL) {
        *any = true;
        *hash = snap_hash_chain(*hash, "", 0);
        s = input_hash(object, block, hash, err);
    }
    for (; s == DF_OK && o != NULL && o->name != NULL; o++) {
        const char *const *file = (const void *)((const char *)v->options + o->offset);

        if (o->type != WEIR_FILE_IN || *file == NULL)
            continue;
        *any = true;
        *hash = snap_hash_chain(*hash, "", 0); /* a file ends here, another one begins */
        s = input_hash(*file, block, hash, err);
    }
    return s;
}

df_status coord_job_inputs(const df_plan *plan, char hash[COORD_INPUTS_TEXT], df_error *err)
{
    uint8_t *block = malloc(JOB_BLOCK_SIZE);
    df_hash h = { 0 };
    bool any = false;
    df_status s = block == NULL ? df_fail(err, DF_ENOMEM, "out of memory") : DF_OK;

    for (uint32_t i = 0; s == DF_OK && i < plan->vertex_count; i++)
        s = vertex_inputs(&plan->vertices[i], block, &h, &any, err);
    hash[0] = '\0';
    if (s == DF_OK && any)
        snprintf(hash, COORD_INPUTS_TEXT, "%016" PRIx64 "%016" PRIx64, h.high, h.low);
    free(block);
    return s;
}

/* ---- what it writes ---- */

static df_place output_place(const df_draft_operator *draft, const char *key)
{
    for (uint32_t i = 0; i < draft->key_count; i++)
        if (strcmp(draft->keys[i].path, key) == 0)
            return draft->keys[i].place;
    return draft->name.place;
}

/* What is there already where the file, or a folder for it, is to be. */
static void output_check(const df_draft_operator *draft, const char *key, const char *directory, const char *file,
                         df_report *report)
{
    const char *what = draft->sink ? "sink" : "operator", *name = draft->name.text;
    char path[2 * PATH_MAX];
    struct stat about;
    size_t base = strlen(directory) + 1;

    if (snprintf(path, sizeof path, "%s/%s", directory, file) >= (int)sizeof path)
        return; /* who opens it says so */
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        (void)df_report_add(report, output_place(draft, key), "%s \"%s\": %s: %.200s is a folder", what, name, key, path);
    for (char *slash = path + base; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode))
            (void)df_report_add(report, output_place(draft, key), "%s \"%s\": %s: %.200s is no folder", what, name, key,
                                path);
        *slash = '/';
    }
}

df_status coord_job_outputs(const df_plan *plan, const char *directory, df_report *report)
{
    const df_draft *draft = plan->draft;

    df_report_init(report, draft->file);
    for (uint32_t i = 0; i < draft->operator_count; i++) {
        const df_draft_operator *op = &draft->operators[i];

        for (const weir_option *o = op->kind->options; o != NULL && o->name != NULL; o++) {
            const char *const *file = (const void *)((const char *)op->options + o->offset);

            if (o->type == WEIR_FILE_OUT && *file != NULL)
                output_check(op, o->name, directory, *file, report);
        }
    }
    return report->count == 0 ? DF_OK : DF_EINVAL;
}

/* ---- what it asks for ---- */

df_status coord_job_devices(const df_plan *plan, df_report *report)
{
    const df_draft *draft = plan->draft;

    df_report_init(report, draft->file);
    for (uint32_t i = 0; i < draft->worker_count; i++) {
        const df_draft_worker *w = &draft->workers[i];

        if (w->backend.text != NULL && strncmp(w->backend.text, "cuda:", 5) == 0)
            (void)df_report_add(report, w->backend.place, "worker \"%.64s\": backend = \"%s\": this build has no "
                                "CUDA back end", w->label.text, w->backend.text);
    }
    return report->count == 0 ? DF_OK : DF_ENOTSUP;
}
