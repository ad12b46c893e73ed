/* libFuzzer target: the job-file reader. Any bytes must be read or refused; a refusal has errors,
 * each at a place that the text has; a draft keeps what df_draft.h and df_limits.h promise. A line
 * "#set NAME=VALUE" of the text is a --set, too.
 *
 *   make CC=clang OPT=-O1 SAN=fuzzer-no-link,address,undefined LEVELS=v3 fuzzers
 *   build/.../tests/fuzz/fuzz_job -max_len=65536 tests/fuzz/corpus/job */
#include "config/cfg.h"
#include "dataflow/df_limits.h"
#include "tests/support/cfg_arena.h"
#include "tests/support/cfg_kinds.h"

#include <math.h>
#include <stdio.h>

#define SETS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static const weir_operator *load(void *user, const char *path, const char *symbol, char error[256])
{
    (void)user;
    if (strstr(path, "none") == NULL && symbol[0] != '\0')
        return &kind_probe;
    snprintf(error, 256, "%.200s: none", path);
    return NULL;
}

/* ---- the report ---- */

static void check_place(const char *text, size_t size, df_place place)
{
    const char *at = text, *end = text + size, *newline;

    if (place.line == 0)
        return;
    for (uint32_t line = 1; line < place.line; line++) {
        newline = memchr(at, '\n', (size_t)(end - at));
        require(newline != NULL || line + 1 == place.line); /* the end may be a line of its own */
        at = newline == NULL ? end : newline + 1;
    }
    newline = memchr(at, '\n', (size_t)(end - at));
    /* Behind the last byte, or behind the mark that begins the file. */
    require(place.column >= 1 && place.column <= (size_t)((newline ? newline : end) - at) + 2);
}

static void check_report(const df_report *report, const char *text, size_t size)
{
    for (uint32_t i = 0; i < report->count && i < DF_REPORT_MAX; i++) {
        const df_report_entry *e = &report->entries[i];
        require(e->text[0] != '\0');
        for (const char *c = e->text; *c != '\0'; c++)
            require((unsigned char)*c >= 0x20 && *c != 0x7f);
        check_place(text, size, e->place);
    }
}

/* ---- the draft ---- */

static void check_name(const char *name)
{
    size_t len = strlen(name);

    require(len > 0 && len < WEIR_NAME_MAX);
    require(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            len);
}

static void check_space(const df_draft_space *space)
{
    check_name(space->name.text);
    require(space->axis_count >= 1 && space->axis_count <= WEIR_AXES_MAX);
    for (uint32_t i = 0; i < space->axis_count; i++) {
        check_name(space->axes[i]);
        require((float)space->size[i] > 0 && isfinite((float)space->size[i]));
    }
}

static void check_state(const df_draft_state *state)
{
    check_name(state->name.text);
    require(state->schema.column_count >= 1 && state->schema.column_count <= WEIR_COLUMNS_MAX);
    for (uint32_t i = 0; i < state->schema.column_count; i++) {
        check_name(state->schema.columns[i].name);
        require(weir_type_size(state->schema.columns[i].type) > 0);
        require(weir_schema_find(&state->schema, state->schema.columns[i].name) == (int)i);
    }
    for (uint32_t i = 0; i < state->next_count; i++)
        require(state->next[i].text != NULL);
}

static void check_probe(const kinds_probe *probe)
{
    require(isfinite(probe->number) && isfinite(probe->single));
    require(probe->small >= 0 && probe->small <= 1);
    require(probe->count >= 1 && probe->count < 100);
    require(probe->choice <= 2);
    require(probe->range[0] <= probe->range[1]);
    require(probe->text != NULL && probe->columns.count >= 1);
    for (uint32_t i = 0; i < probe->set.count; i++) {
        check_name(probe->set.items[i].name);
        require(probe->set.items[i].text != NULL);
    }
}

static void check_operator(const df_draft_operator *op)
{
    check_name(op->name.text);
    require(op->kind != NULL && op->options != NULL);
    require(op->every_steps >= 1 && op->input_count <= WEIR_PORTS_MAX);
    for (uint32_t i = 0; i < op->input_count; i++) {
        require(op->inputs[i].stream_count >= 1);
        for (uint32_t k = 0; k < op->inputs[i].stream_count; k++)
            require(op->inputs[i].streams[k].text != NULL);
    }
    for (uint32_t i = 0; i < op->key_count; i++)
        require(op->keys[i].path != NULL);
    if (op->kind == &kind_probe)
        check_probe(op->options);
}

static void check_policy(const df_policy *p)
{
    require(p->snapshot_every_seconds > 0 && p->snapshot_every_seconds <= 1e9);
    require(p->snapshot_retain >= 2 && p->snapshot_compression <= DF_COMPRESS_ZSTD);
    require(p->fault_mode <= DF_FAULT_NONE && p->fault_retries >= 1 && p->fault_retries <= 100);
    require(p->fault_backoff_seconds >= 0 && p->fault_backoff_seconds <= 3600);
}

static void check_worker(const df_draft_worker *w)
{
    check_name(w->label.text);
    require(w->backend.text != NULL && w->threads <= DF_THREADS_MAX);
    require(w->endpoint.text == NULL || strlen(w->endpoint.text) < DF_ADDRESS_MAX);
}

static void check_draft(const df_draft *draft)
{
    check_name(draft->job.name);
    require(draft->job.steps <= DF_STEPS_MAX && draft->job.dt > 0);
    require(isfinite(draft->job.dt) && isfinite(draft->job.time_start));
    require(draft->key_groups >= 1 && draft->key_groups <= DF_KEY_GROUPS_MAX);
    require(draft->window >= 1 && draft->window <= DF_WINDOW_MAX);
    require(draft->pace >= 0 && isfinite(draft->pace));
    require(draft->space_count <= DF_SPACES_MAX && draft->state_count <= DF_STATES_MAX);
    require(draft->operator_count <= DF_OPERATORS_MAX);
    for (uint32_t i = 0; i < draft->space_count; i++)
        check_space(&draft->spaces[i]);
    for (uint32_t i = 0; i < draft->state_count; i++)
        check_state(&draft->states[i]);
    for (uint32_t i = 0; i < draft->operator_count; i++)
        check_operator(&draft->operators[i]);
    check_policy(&draft->policy);
    require(draft->worker_count <= DF_WORKERS_MAX);
    for (uint32_t i = 0; i < draft->worker_count; i++)
        check_worker(&draft->workers[i]);
}

/* ---- the target ---- */

static uint32_t find_sets(const char *text, size_t size, char *sets[SETS_MAX])
{
    uint32_t count = 0;

    for (const char *at = text, *end = text + size; at < end && count < SETS_MAX;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        if (len > 5 && memcmp(at, "#set ", 5) == 0)
            sets[count++] = strndup(at + 5, len - 5);
        at += len + 1;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static df_report report;
    char *text = malloc(size + 1); /* of the right size, so that a read beyond it is seen */
    char *sets[SETS_MAX] = { NULL };
    cfg_options options = { .kinds = &test_kinds, .sets = (const char *const *)sets, .load = load };
    df_draft *draft = (df_draft *)&report;
    df_status status;

    require(text != NULL);
    memcpy(text, bytes, size);
    options.set_count = find_sets(text, size, sets);
    df_report_init(&report, "fuzz.toml");
    status = cfg_read(&draft, "fuzz.toml", "fuzz", text, size, &options, &report);
    require((status == DF_OK) == (report.count == 0));
    require((status == DF_OK) == (draft != NULL));
    require(status == DF_OK || status == DF_EINVAL || status == DF_ELIMIT);
    check_report(&report, text, size);
    if (draft != NULL)
        check_draft(draft);
    cfg_draft_free(&draft);
    for (uint32_t i = 0; i < SETS_MAX; i++)
        free(sets[i]);
    free(text);
    return 0;
}
