/* Phase "lennard_jones": the force on each row, its potential and its virial, by the 12-6 potential of
 * kernels/kern_lj.h. */
#include "kernels/kern_lj.h"
#include "operators/op_halo.h"

#include <string.h>

typedef struct lennard_jones {
    float epsilon, sigma, cutoff;
    bool shift;
    /* from the plan */
    kern_lj_params params;
    int in[3], out[5];
} lennard_jones;

static const weir_option lennard_jones_options[] = {
    { .name = "epsilon", .help = "depth of the potential", .type = WEIR_F32, .unit = "energy",
      .value = "1", .range = ">= 0", .offset = offsetof(lennard_jones, epsilon) },
    { .name = "sigma", .help = "distance at which it is 0", .type = WEIR_F32, .unit = "length",
      .value = "1", .range = "> 0", .offset = offsetof(lennard_jones, sigma) },
    { .name = "cutoff", .help = "farther rows do not act", .type = WEIR_F32, .unit = "length",
      .range = "> 0", .offset = offsetof(lennard_jones, cutoff) },
    { .name = "shift", .help = "move the potential to 0 at the cutoff: the total energy is conserved",
      .type = WEIR_BOOL, .value = "false", .offset = offsetof(lennard_jones, shift) },
    { 0 },
};

static float lennard_jones_level(const lennard_jones *self)
{
    double square = (double)self->sigma / (double)self->cutoff * ((double)self->sigma / (double)self->cutoff);
    double six = square * square * square;

    return (float)(2 * (six * six - six));
}

static weir_status lennard_jones_plan(weir_plan *plan, void *options)
{
    lennard_jones *self = options;
    const weir_space *space = weir_plan_space(plan, 0);
    bool ok = true;

    if (space == NULL)
        return weir_plan_error(plan, "", "its rows need a space to be near each other in");
    self->params = (kern_lj_params){ self->epsilon, self->sigma, self->cutoff,
                                     self->shift ? lennard_jones_level(self) : 0 };
    weir_plan_radius(plan, 0, (double)self->cutoff);
    weir_plan_pass(plan, 0, 0);
    for (uint32_t a = 0; a < 3; a++) {
        char force[WEIR_NAME_MAX + 1] = "f";

        self->in[a] = self->out[a] = -1;
        if (a >= space->axis_count)
            continue;
        self->in[a] = weir_plan_column(plan, 0, space->axes[a], WEIR_F32);
        ok = ok && self->in[a] >= 0;
        strcat(force, space->axes[a]);
        self->out[a] = weir_plan_add(plan, 0, force, WEIR_F32);
    }
    self->out[3] = weir_plan_add(plan, 0, "potential", WEIR_F32);
    self->out[4] = weir_plan_add(plan, 0, "virial", WEIR_F32);
    return ok ? WEIR_OK : WEIR_FAILED;
}

static weir_status lennard_jones_process(weir_task *task)
{
    const lennard_jones *self = task->options;
    weir_batch *out = weir_output_like(task, 0, 0);
    float *columns[5];
    kern_halo halo;
    void *scratch;

    if (out == NULL)
        return WEIR_FAILED;
    if (out->row_count == 0) /* nothing here is pushed */
        return WEIR_OK;
    if (op_halo_fill(&halo, task, 0, self->in, 3) != WEIR_OK)
        return WEIR_FAILED;
    scratch = weir_scratch(task, kern_lj_scratch_size(&halo));
    if (scratch == NULL)
        return WEIR_FAILED;
    for (uint32_t c = 0; c < 5; c++)
        columns[c] = self->out[c] < 0 ? NULL : out->columns[self->out[c]];
    kern_lj(&self->params, &halo, columns, scratch);
    return WEIR_OK;
}

const weir_operator op_lennard_jones = {
    .api_version = WEIR_API_VERSION,
    .name = "lennard_jones",
    .help = "force, potential and virial of the 12-6 potential",
    .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_HALO, "position of each axis (f32)" } },
    .outputs = { "out" },
    .options_size = sizeof(lennard_jones),
    .options = lennard_jones_options,
    .plan = lennard_jones_plan,
    .process = lennard_jones_process,
};
