#include "coordinator/coord_plan.h"

#include <stdlib.h>

/* One stage for all that is no sink, one for each sink: that is what a coordinator needs to know. */
typedef struct coord_plan {
    proto_plan plan;
    proto_stage stages[1 + DF_OPERATORS_MAX];
} coord_plan;

static bool vertex_is_sink(const df_vertex *v)
{
    return v->kind != NULL && v->out_count == 0;
}

df_status coord_plan_make(proto_plan **out, const df_plan *plan, df_error *err)
{
    coord_plan *p = calloc(1, sizeof *p);
    uint32_t sinks = 0;

    *out = NULL;
    if (p == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < plan->vertex_count; i++)
        if (vertex_is_sink(&plan->vertices[i])) {
            p->stages[1 + sinks] = (proto_stage){ plan->key_groups + sinks, 1, true, true, true };
            sinks++;
        }
    p->stages[0] = (proto_stage){ 0, plan->key_groups, true, true, false };
    p->plan = (proto_plan){ .step_count = plan->job.steps + 2, .group_count = plan->key_groups + sinks,
                            .stage_count = 1 + sinks, .stages = p->stages };
    if (p->plan.group_count > PROTO_GROUPS_MAX) {
        free(p);
        return df_fail(err, DF_ELIMIT, "%u key groups and %u sinks; with workers the limit is %u together",
                       plan->key_groups, sinks, PROTO_GROUPS_MAX);
    }
    *out = &p->plan;
    return DF_OK;
}

void coord_plan_free(proto_plan **plan)
{
    free(*plan); /* the first member of what was made */
    *plan = NULL;
}
