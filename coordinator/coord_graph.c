/* weir graph JOB */
#include "coordinator/coord_job.h"
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"

typedef struct graph_options {
    coord_texts set;
    bool dot, text, json;
} graph_options;

static const coord_option graph_table[] = {
    { .name = "text", .help = "a drawing in text (the default)", .type = COORD_FLAG,
      .offset = offsetof(graph_options, text) },
    { .name = "dot", .help = "Graphviz: weir graph JOB --dot | dot -Tsvg", .type = COORD_FLAG,
      .offset = offsetof(graph_options, dot) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(graph_options, json) },
    { .name = "set", .value = "K=V", .help = "override a [param], or a key by its path",
      .type = COORD_TEXTS, .offset = offsetof(graph_options, set) },
    { 0 },
};

static int graph_run(const coord_args *args, const void *options)
{
    const graph_options *o = options;
    df_report report;
    df_plan *plan = NULL;
    df_status s;
    int code = COORD_DONE;

    if (o->dot + o->text + o->json > 1) {
        fputs("weir graph: --text, --dot and --json exclude each other\n", stderr);
        return COORD_USAGE;
    }
    s = coord_job_load(&plan, args->items[0], &o->set, &report);
    if (s != DF_OK) {
        df_report_print(&report, stderr);
        return s == DF_ENOMEM ? COORD_FAILED : COORD_USAGE;
    }
    if (o->dot)
        df_plan_print_dot(plan, stdout);
    else if (!o->json)
        df_plan_print_text(plan, stdout);
    else if (!coord_json_graph(stdout, plan))
        code = COORD_FAILED;
    df_plan_free(&plan);
    return code;
}

const coord_verb coord_verb_graph = {
    .name = "graph",
    .arguments = "JOB",
    .help = "draw a job's operators, states and streams",
    .options = graph_table,
    .options_size = sizeof(graph_options),
    .argument_min = 1,
    .argument_max = 1,
    .run = graph_run,
};
