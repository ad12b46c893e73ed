#include "config/cfg_service.h"

#include "config/cfg_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CFG_SERVICE_WORKERS_MAX == 60 && CFG_SERVICE_JOBS_MAX == 1000 &&
                   CFG_SERVICE_ENDED_MAX == 100000 && DF_THREADS_MAX == 256,
               "the ranges below name the limits");

typedef struct service_given {
    const cfg_node *directory, *bind, *keys, *metrics;
    bool insecure;
} service_given;

/* clang-format off */

static const weir_option service_options[] = {
    { "directory", "of the jobs: NAME/ holds a job's files, NAME/state its log and snapshots; relative "
      "to the current folder", CFG_OPTION_NODE, NULL, "runs", NULL, "text",
      offsetof(service_given, directory) },
    { "bind", "tcp://HOST:PORT, where clients and workers of other hosts reach it; if absent, it is "
      "for this host and user alone", CFG_OPTION_NODE, NULL, "", NULL, "text",
      offsetof(service_given, bind) },
    { "keys", "folder of keys, for bind; if absent, ~/.config/weir/keys", CFG_OPTION_NODE, NULL, "",
      NULL, "text", offsetof(service_given, keys) },
    { "insecure", "bind without keys: who reaches the port may do everything", WEIR_BOOL, NULL, "false",
      NULL, NULL, offsetof(service_given, insecure) },
    { "metrics", "show numbers at http://ADDRESS/metrics; PORT alone is on 127.0.0.1",
      CFG_OPTION_NODE, NULL, "", NULL, "text", offsetof(service_given, metrics) },
    { 0 },
};

static const weir_option workers_options[] = {
    { "count", "workers that the service itself keeps on this host, in the pool", WEIR_U32, NULL, "1",
      "0..60", NULL, offsetof(cfg_service, workers) },
    { "threads", "of a worker that does not bring its own number; if absent, this host's processors "
      "over count", WEIR_U32, NULL, "", "1..256", NULL, offsetof(cfg_service, threads) },
    { 0 },
};

static const weir_option limits_options[] = {
    { "jobs", "that have not ended; another one is refused", WEIR_U32, NULL, "64", "1..1000", NULL,
      offsetof(cfg_service, jobs_max) },
    { "ended", "jobs that are listed after their end; the oldest one is forgotten then", WEIR_U32, NULL,
      "1000", "1..100000", NULL, offsetof(cfg_service, ended_max) },
    { 0 },
};

static const cfg_section sections[] = {
    { "service", false, "Where it is, and who reaches it.", service_options, false },
    { "workers", false, "The pool's workers on this host; others join.", workers_options, false },
    { "limits", false, "What it takes on.", limits_options, false },
};

/* clang-format on */

#define SECTION_COUNT (sizeof sections / sizeof *sections)

void cfg_print_service(void *out)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        cfg_print_section(out, &sections[i]);
}

/* ---- reading ---- */

static bool section_is_known(const char *name)
{
    bool known = false;

    for (size_t i = 0; i < SECTION_COUNT; i++)
        known |= strcmp(sections[i].name, name) == 0;
    return known;
}

static void check_sections(cfg_ctx *ctx, const cfg_node *root)
{
    const char *names[SECTION_COUNT];
    char hint[CFG_HINT_MAX];

    for (size_t i = 0; i < SECTION_COUNT; i++)
        names[i] = sections[i].name;
    for (const cfg_node *node = root->first; node != NULL; node = node->next) {
        bool known = section_is_known(node->key);

        if (known && node->type != CFG_TABLE)
            cfg_error_key(ctx, node, "\"%s\" must be a section: write [%s]", node->key, node->key);
        else if (!known && node->type == CFG_TABLE)
            cfg_error_key(ctx, node, "unknown section \"%.64s\"%s", node->key,
                          cfg_hint(ctx, hint, node->key, names, SECTION_COUNT));
        else if (!known)
            cfg_error_key(ctx, node, "\"%.64s\" stands in no section, such as [service]", node->key);
    }
}

static void fill_section(cfg_ctx *ctx, const cfg_node *root, const cfg_section *section, void *given)
{
    static const cfg_node absent = { .type = CFG_TABLE };
    const cfg_node *table = cfg_section_table(root, section->name);
    cfg_scope scope = { .ctx = ctx, .noun = "key" };
    cfg_target target = { section->options, given };

    snprintf(scope.who, sizeof scope.who, "[%s]", section->name);
    cfg_fill(&scope, table != NULL ? table : &absent, &target, 1);
}

/* A text with its place, of less than `most` bytes; one that is absent stays null. */
static void take_text(const cfg_scope *scope, const cfg_node *node, const char *key, size_t most,
                      df_text *out)
{
    const char *text;

    if (node == NULL || !cfg_get_text(scope, node, key, &text))
        return;
    if (text[0] == '\0')
        cfg_error_value(scope->ctx, node, "%s: %s: is empty", scope->who, key);
    else if (strlen(text) >= most)
        cfg_error_value(scope->ctx, node, "%s: %s: has at most %zu bytes", scope->who, key, most - 1);
    else
        *out = (df_text){ text, node->place };
}

/* "tcp://HOST:PORT"; PORT may be *. */
static bool is_address(const char *text)
{
    static const char tcp[] = "tcp://";
    const char *colon = strrchr(text, ':');
    const char *port = colon == NULL ? "" : colon + 1;
    size_t digits = strspn(port, "0123456789");

    if (strncmp(text, tcp, strlen(tcp)) != 0 || colon < text + strlen(tcp) + 1)
        return false;
    return strcmp(port, "*") == 0 || (digits > 0 && digits <= 5 && port[digits] == '\0');
}

static void check_reach(const cfg_scope *scope, const service_given *given, const cfg_service *s)
{
    if (s->bind.text != NULL && !is_address(s->bind.text))
        cfg_error_value(scope->ctx, given->bind, "%s: bind: \"%.100s\": expected \"tcp://HOST:PORT\"",
                        scope->who, s->bind.text);
    if (given->keys != NULL && given->bind == NULL)
        cfg_error_key(scope->ctx, given->keys, "%s: keys: go with bind: a local socket needs none",
                      scope->who);
    else if (given->keys != NULL && given->insecure)
        cfg_error_key(scope->ctx, given->keys, "%s: keys: stand beside insecure = true, which is without",
                      scope->who);
}

static df_status read_tree(cfg_ctx *ctx, cfg_service *s, const cfg_node *root)
{
    service_given given = { 0 };
    cfg_scope scope = { .ctx = ctx, .who = "[service]", .noun = "key" };
    uint32_t errors = ctx->report->count;

    check_sections(ctx, root);
    fill_section(ctx, root, &sections[0], &given);
    fill_section(ctx, root, &sections[1], s);
    fill_section(ctx, root, &sections[2], s);
    take_text(&scope, given.directory, "directory", CFG_PATH_MAX, &s->directory);
    take_text(&scope, given.bind, "bind", DF_ADDRESS_MAX, &s->bind);
    take_text(&scope, given.keys, "keys", CFG_PATH_MAX, &s->keys);
    take_text(&scope, given.metrics, "metrics", DF_ADDRESS_MAX, &s->metrics);
    s->insecure = given.insecure;
    check_reach(&scope, &given, s);
    if (given.insecure && given.bind == NULL)
        df_report_add(ctx->report, cfg_find(cfg_section_table(root, "service"), "insecure")->key_place,
                      "[service]: insecure: goes with bind: a local socket is for its user alone");
    if (ctx->no_memory)
        return DF_ENOMEM;
    return ctx->report->count > errors ? DF_EINVAL : DF_OK;
}

df_status cfg_service_read(cfg_service *out, const char *text, size_t size, df_report *report)
{
    static const cfg_options options = { 0 };
    cfg_ctx ctx = { .arena = df_arena_new(), .report = report, .options = &options, .directory = "." };
    cfg_fault fault = { { 0, 0 }, "" };
    df_status status = DF_ENOMEM;
    cfg_node *root = NULL;

    *out = (cfg_service){ .arena = ctx.arena };
    if (ctx.arena != NULL && size > DF_JOB_SIZE_MAX) {
        df_report_add(report, fault.place, "a configuration has at most %u bytes", DF_JOB_SIZE_MAX);
        status = DF_ELIMIT;
    } else if (ctx.arena != NULL) {
        status = cfg_toml_parse(&root, ctx.arena, text, size, &fault);
        if (status == DF_EINVAL || status == DF_ELIMIT)
            df_report_add(report, fault.place, "%s", fault.text);
    }
    if (status == DF_OK)
        status = read_tree(&ctx, out, root);
    if (status == DF_ENOMEM)
        df_report_add(report, (df_place){ 0, 0 }, "out of memory");
    if (status != DF_OK)
        cfg_service_fini(out);
    return status;
}

df_status cfg_service_load(cfg_service *out, const char *path, df_report *report)
{
    char *text = malloc(CFG_FILE_SIZE);
    df_status status = DF_ENOMEM;
    size_t size;

    *out = (cfg_service){ 0 };
    if (text == NULL)
        df_report_add(report, (df_place){ 0, 0 }, "out of memory");
    else
        status = cfg_read_file(path, text, &size, report);
    if (status == DF_OK)
        status = cfg_service_read(out, text, size, report);
    free(text);
    return status;
}

void cfg_service_fini(cfg_service *service)
{
    df_arena_free(&service->arena);
    *service = (cfg_service){ 0 };
}
