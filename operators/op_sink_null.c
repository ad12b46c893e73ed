/* null: reads nothing, keeps nothing. What feeds it still runs, so it is the end of a benchmark. */
#include "dataflow/weir/operator.h"

typedef struct null_options {
    uint8_t none; /* no options; a struct may not be empty */
} null_options;

static const weir_option null_option_list[] = { { 0 } };

static weir_status null_plan(weir_plan *plan, void *options)
{
    (void)plan;
    (void)options;
    return WEIR_OK;
}

static weir_status null_process(weir_task *task)
{
    (void)task;
    return WEIR_OK;
}

const weir_operator op_null = {
    .api_version = WEIR_API_VERSION,
    .name = "null",
    .help = "drop every row, promise nothing: for measuring",
    .role = WEIR_SINK,
    .inputs = { { "in", WEIR_GATHER, "any stream" } },
    .options_size = sizeof(null_options),
    .options = null_option_list,
    .plan = null_plan,
    .process = null_process,
};
