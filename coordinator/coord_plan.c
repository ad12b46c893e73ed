#include "coordinator/coord_plan.h"

#include "coordinator/coord_order.h"

#include <stdlib.h>

/* The plan and its tables, one allocation, behind the public part. */
typedef struct coord_plan {
    proto_plan plan; /* first */
    proto_stage stages[PROTO_STAGES_MAX];
    proto_edge edges[PROTO_EDGES_MAX];
    uint32_t order[PROTO_GROUPS_MAX];
    uint64_t weights[PROTO_GROUPS_MAX];
    uint32_t faces[PROTO_GROUPS_MAX][PROTO_FACES];
} coord_plan;

static void describe_stages(coord_plan *c, const df_plan *plan)
{
    uint32_t sinks = 0;

    for (uint32_t i = 0; i < plan->stage_count; i++) {
        c->stages[i] = (proto_stage){ .group_first = 0, .group_count = plan->key_groups };
        if (plan->stages[i].sink)
            c->stages[i] = (proto_stage){ .group_first = plan->key_groups + sinks++,
                                          .group_count = 1, .sink = true };
    }
    c->plan.group_count = plan->key_groups + sinks;
}

static void describe_edges(coord_plan *c, const df_plan *plan)
{
    for (uint32_t i = 0; i < plan->edge_count; i++)
        c->edges[i] = (proto_edge){
            .from = plan->edges[i].from,
            .to = plan->edges[i].to,
            .exchange = plan->edges[i].fan == DF_FAN_SAME  ? PROTO_FORWARD
                        : plan->edges[i].fan == DF_FAN_ALL ? PROTO_ALL
                                                           : PROTO_HALO,
        };
    for (uint32_t i = plan->edge_count; i < c->plan.edge_count; i++)
        c->edges[i] = (proto_edge){ .from = 0, .to = plan->stage_count, .exchange = PROTO_FORWARD };
}

df_status coord_plan_make(proto_plan **out, const df_plan *plan, df_error *err)
{
    uint32_t edges = plan->edge_count + plan->stream_count;
    coord_plan *c;

    *out = NULL;
    if (plan->stage_count > PROTO_STAGES_MAX || edges > PROTO_EDGES_MAX)
        return df_fail(err, DF_ELIMIT, "%u stages and %u edges: on several workers at most %u and %u "
                       "are possible", plan->stage_count, edges, PROTO_STAGES_MAX, PROTO_EDGES_MAX);
    if (plan->key_groups > PROTO_GROUPS_MAX - PROTO_STAGES_MAX)
        return df_fail(err, DF_ELIMIT, "%u key groups: on several workers at most %u are possible",
                       plan->key_groups, PROTO_GROUPS_MAX - PROTO_STAGES_MAX);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return df_fail(err, DF_ENOMEM, "plan: out of memory");
    c->plan = (proto_plan){ .step_count = plan->job.steps + 2, .stage_count = plan->stage_count,
                            .edge_count = edges, .stages = c->stages, .edges = c->edges };
    describe_stages(c, plan);
    describe_edges(c, plan);
    if (coord_order_units(plan, c->order, c->weights)) {
        c->plan.order = c->order;
        c->plan.weights = c->weights;
    }
    if (coord_order_faces(plan, c->faces))
        c->plan.faces = (const uint32_t (*)[PROTO_FACES])c->faces;
    *out = &c->plan;
    return DF_OK;
}

void coord_plan_free(proto_plan **plan)
{
    free(*plan);
    *plan = NULL;
}
