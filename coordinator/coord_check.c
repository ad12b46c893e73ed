/* weir check JOB */
#include "coordinator/coord_job.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>

typedef struct check_options {
    coord_texts set;
    bool json;
} check_options;

static const coord_option check_table[] = {
    { .name = "set", .value = "K=V", .help = "override a [param], or a key by its path",
      .type = COORD_TEXTS, .offset = offsetof(check_options, set) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(check_options, json) },
    { 0 },
};

static void check_print(const df_plan *p, const char *path)
{
    uint32_t sinks = 0;

    for (uint32_t i = 0; i < p->vertex_count; i++)
        sinks += p->vertices[i].kind != NULL && p->vertices[i].kind->role == WEIR_SINK;
    printf("%s: ok\n", path);
    printf("job %s  seed %" PRIu64 "  steps %" PRIu64 "  plan %016" PRIx64 "%016" PRIx64 "\n",
           p->job.name, p->job.seed, p->job.steps, p->hash[0], p->hash[1]);
    printf("%u state%s, %u operator%s, %u sink%s in %u stages; window %u\n\n", p->state_count,
           p->state_count == 1 ? "" : "s", p->vertex_count - p->state_count - sinks,
           p->vertex_count - p->state_count - sinks == 1 ? "" : "s", sinks, sinks == 1 ? "" : "s",
           p->stage_count, p->window);
    df_plan_print_layout(p, stdout);
}

static void check_warn(const df_report *warnings)
{
    fflush(stdout);
    fputs("warning: weir run refuses this job here:\n", stderr);
    df_report_print(warnings, stderr);
}

static int check_run(const coord_args *args, const void *options)
{
    const check_options *o = options;
    df_report report, warnings;
    df_plan *plan = NULL;
    df_status s = coord_job_load(&plan, args->items[0], &o->set, &report);
    int code = s == DF_OK ? COORD_DONE : s == DF_ENOMEM ? COORD_FAILED : COORD_USAGE;

    bool runs = s == DF_OK && coord_job_devices(plan, &warnings) == DF_OK;

    if (o->json && !coord_json_check(stdout, plan, &report, s == DF_OK ? &warnings : NULL))
        code = COORD_FAILED;
    if (!o->json && s == DF_OK)
        check_print(plan, args->items[0]);
    if (!o->json && s == DF_OK && !runs)
        check_warn(&warnings);
    if (!o->json && s != DF_OK)
        df_report_print(&report, stderr);
    df_plan_free(&plan);
    return code;
}

const coord_verb coord_verb_check = {
    .name = "check",
    .arguments = "JOB",
    .help = "check a job file; show its tiling",
    .more = "Exits 0 if the job is right, 2 if it is wrong, with every error placed. A device that it asks for\n"
            "and cannot have here is a warning: the job may be for another machine. weir run refuses it.\n",
    .options = check_table,
    .options_size = sizeof(check_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = check_run,
};
