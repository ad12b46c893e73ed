/* Phase "boids": flocking birds, with the rules and constants of FLAME GPU 2's boids example. The
 * physics is in kernels/kern_boids.h. */
#include "kernels/kern_boids.h"
#include "operators/op_halo.h"

#include <string.h>

typedef struct boids {
    float radius, separation_radius, scale, steer, collision, match, wall_distance, wall_steer;
    double speed[2];
    /* from the plan */
    kern_boids_params params;
    op_reach reach;
    int in[6], out[6];
} boids;

static const weir_option boids_options[] = {
    { .name = "radius", .help = "how far a bird sees", .type = WEIR_F32, .unit = "length",
      .range = "> 0", .offset = offsetof(boids, radius) },
    { .name = "separation_radius", .help = "nearer than this it keeps away", .type = WEIR_F32,
      .unit = "length", .value = "0", .range = ">= 0", .offset = offsetof(boids, separation_radius) },
    { .name = "scale", .help = "of all changes of velocity", .type = WEIR_F32, .unit = "1",
      .value = "1", .offset = offsetof(boids, scale) },
    { .name = "steer", .help = "towards the centre of the neighbours", .type = WEIR_F32,
      .unit = "1/time", .value = "0", .offset = offsetof(boids, steer) },
    { .name = "collision", .help = "away from those that are too near", .type = WEIR_F32,
      .unit = "1/time", .value = "0", .offset = offsetof(boids, collision) },
    { .name = "match", .help = "towards the mean velocity of the neighbours", .type = WEIR_F32,
      .unit = "1", .value = "0", .offset = offsetof(boids, match) },
    { .name = "speed", .help = "least and greatest", .type = WEIR_RANGE, .unit = "length/time",
      .range = ">= 0", .offset = offsetof(boids, speed) },
    { .name = "wall_distance", .help = "nearer to a closed edge than this it turns away",
      .type = WEIR_F32, .unit = "length", .value = "0", .range = ">= 0",
      .offset = offsetof(boids, wall_distance) },
    { .name = "wall_steer", .help = "how strongly it does", .type = WEIR_F32,
      .unit = "length/time", .value = "0", .offset = offsetof(boids, wall_steer) },
    { 0 },
};

static void boids_fill_params(boids *self, const weir_space *space, double dt)
{
    self->params = (kern_boids_params){
        .radius = self->radius,
        .separation_radius = self->separation_radius,
        .scale = self->scale,
        .steer = self->steer,
        .collision = self->collision,
        .match = self->match,
        .speed_min = (float)self->speed[0],
        .speed_max = (float)self->speed[1],
        .wall_distance = self->wall_distance,
        .wall_steer = self->wall_steer,
        .dt = (float)dt,
    };
    for (uint32_t a = 0; a < space->axis_count; a++) {
        self->params.size[a] = (float)space->size[a];
        self->params.edge[a] = space->periodic[a] ? KERN_EDGE_PERIODIC : KERN_EDGE_CLOSED;
    }
}

static weir_status boids_plan(weir_plan *plan, void *options)
{
    boids *self = options;
    const weir_space *space = weir_plan_space(plan, 0);
    bool ok = true;

    if (space == NULL)
        return weir_plan_error(plan, "", "birds need a space to fly in");
    if (self->separation_radius > self->radius)
        return weir_plan_error(plan, "separation_radius", "it is %g, at most the radius, %g, is seen",
                               (double)self->separation_radius, (double)self->radius);
    weir_plan_radius(plan, 0, (double)self->radius);
    self->reach = op_halo_reach(plan, 0, (double)self->radius);
    weir_plan_pass(plan, 0, 0);
    for (uint32_t a = 0; a < 3; a++) {
        char velocity[WEIR_NAME_MAX + 1] = "v";

        self->in[a] = self->in[3 + a] = self->out[a] = self->out[3 + a] = -1;
        if (a >= space->axis_count)
            continue;
        strcat(velocity, space->axes[a]);
        self->in[a] = weir_plan_column(plan, 0, space->axes[a], WEIR_F32);
        self->in[3 + a] = weir_plan_column(plan, 0, velocity, WEIR_F32);
        ok = ok && self->in[a] >= 0 && self->in[3 + a] >= 0;
        if (!ok)
            continue;
        self->out[a] = weir_plan_add(plan, 0, space->axes[a], WEIR_F32);
        self->out[3 + a] = weir_plan_add(plan, 0, velocity, WEIR_F32);
    }
    boids_fill_params(self, space, weir_plan_job(plan)->dt);
    return ok ? WEIR_OK : WEIR_FAILED;
}

static weir_status boids_process(weir_task *task)
{
    const boids *self = task->options;
    weir_batch *out = weir_output_like(task, 0, 0);
    const kern_near *near = NULL;
    float *columns[6];
    kern_halo halo;
    void *scratch;

    if (out == NULL)
        return WEIR_FAILED;
    if (out->row_count == 0) /* nobody here looks around */
        return WEIR_OK;
    if (op_halo_fill(&halo, task, 0, self->in, 6) != WEIR_OK)
        return WEIR_FAILED;
    if (self->reach.settled > 0)
        near = op_halo_near(task, 0, &halo, self->reach);
    scratch = weir_scratch(task, near != NULL ? kern_boids_near_scratch_size(near)
                                              : kern_boids_scratch_size(&halo));
    if (scratch == NULL)
        return WEIR_FAILED;
    for (uint32_t c = 0; c < 6; c++)
        columns[c] = self->out[c] < 0 ? NULL : out->columns[self->out[c]];
    if (near != NULL)
        kern_boids_near(&self->params, &halo, near, columns, scratch);
    else
        kern_boids(&self->params, &halo, columns, scratch);
    return WEIR_OK;
}

const weir_operator op_boids = {
    .api_version = WEIR_API_VERSION,
    .name = "boids",
    .help = "birds that flock: cohesion, alignment, separation, walls",
    .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_HALO, "position and velocity v* of each axis (f32)" } },
    .outputs = { "out" },
    .options_size = sizeof(boids),
    .options = boids_options,
    .plan = boids_plan,
    .process = boids_process,
};
