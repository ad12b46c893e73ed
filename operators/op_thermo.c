/* Aggregate "thermo": what a molecular-dynamics log shows, per row and in reduced units (Boltzmann's
 * constant 1), with d N - d degrees of freedom as LAMMPS counts them:
 *
 *   temperature  sum m v^2 / (d N - d)        kinetic  sum m v^2 / 2 / N
 *   potential    sum of potential / N         total    kinetic + potential
 *   pressure     (sum m v^2 + sum of virial) / (d V)
 *
 * Order: sums are in f64, row i of a key group in lane i mod 16, key groups in the fixed tree. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_reduce.h"

#include <string.h>

enum { THERMO_ROWS, THERMO_SQUARES, THERMO_POTENTIAL, THERMO_VIRIAL, THERMO_WORDS };

typedef struct thermo {
    double mass;
    /* from the plan */
    uint32_t axis_count;
    double volume;
    int velocity[WEIR_AXES_MAX], potential, virial;
} thermo;

static const weir_option thermo_options[] = {
    { .name = "mass", .help = "of every row", .type = WEIR_F64, .unit = "mass", .value = "1",
      .range = "> 0", .offset = offsetof(thermo, mass) },
    { 0 },
};

static weir_status thermo_plan(weir_plan *plan, void *options)
{
    thermo *self = options;
    const weir_space *space = weir_plan_space(plan, 0);
    bool ok = true;

    if (space == NULL)
        return weir_plan_error(plan, "", "a pressure needs a space");
    self->axis_count = space->axis_count;
    self->volume = 1;
    for (uint32_t a = 0; a < space->axis_count; a++) {
        char name[WEIR_NAME_MAX + 1] = "v";
        strcat(name, space->axes[a]);
        self->velocity[a] = weir_plan_column(plan, 0, name, WEIR_F32);
        ok = ok && self->velocity[a] >= 0;
        self->volume *= space->size[a];
    }
    self->potential = weir_plan_column(plan, 0, "potential", WEIR_F32);
    self->virial = weir_plan_column(plan, 0, "virial", WEIR_F32);
    weir_plan_partial(plan, "rows", WEIR_F64);
    weir_plan_partial(plan, "squares", WEIR_F64);
    weir_plan_partial(plan, "potential", WEIR_F64);
    weir_plan_partial(plan, "virial", WEIR_F64);
    weir_plan_add(plan, 0, "temperature", WEIR_F64);
    weir_plan_add(plan, 0, "potential", WEIR_F64);
    weir_plan_add(plan, 0, "kinetic", WEIR_F64);
    weir_plan_add(plan, 0, "total", WEIR_F64);
    weir_plan_add(plan, 0, "pressure", WEIR_F64);
    return ok && self->potential >= 0 && self->virial >= 0 ? WEIR_OK : WEIR_FAILED;
}

static void thermo_square(const float *restrict v, uint32_t count, double *restrict squares)
{
    for (uint32_t i = 0; i < count; i++)
        squares[i] = (double)v[i] * (double)v[i];
}

static weir_status thermo_combine(weir_task *task)
{
    const thermo *self = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *out = weir_output(task, 0, in->row_count > 0);
    double *squares = weir_scratch(task, (in->row_count + 1) * sizeof *squares), sum = 0;

    if (out == NULL || squares == NULL)
        return WEIR_FAILED;
    if (in->row_count == 0)
        return WEIR_OK;
    for (uint32_t a = 0; a < self->axis_count; a++) {
        thermo_square(in->columns[self->velocity[a]], in->row_count, squares);
        sum += kern_column_sum(squares, KERN_F64, in->row_count).real;
    }
    out->keys[0] = 0;
    *(double *)out->columns[THERMO_ROWS] = in->row_count;
    *(double *)out->columns[THERMO_SQUARES] = sum;
    *(double *)out->columns[THERMO_POTENTIAL] =
        kern_column_sum(in->columns[self->potential], KERN_F32, in->row_count).real;
    *(double *)out->columns[THERMO_VIRIAL] =
        kern_column_sum(in->columns[self->virial], KERN_F32, in->row_count).real;
    return WEIR_OK;
}

static void thermo_add(void *left, const void *right, void *user)
{
    double *a = left;
    const double *b = right;

    (void)user;
    for (int i = 0; i < THERMO_WORDS; i++)
        a[i] += b[i];
}

static weir_status thermo_process(weir_task *task)
{
    const thermo *self = task->options;
    const weir_input *in = &task->inputs[0];
    double values[KERN_TREE_DEPTH][THERMO_WORDS], d = self->axis_count, n, mv2;
    const double *sum;
    weir_batch *out;
    kern_tree tree;

    kern_tree_init(&tree, values, sizeof values[0], thermo_add, NULL);
    for (uint32_t b = 0; b < in->batch_count; b++)
        if (in->batches[b]->row_count > 0) {
            double row[THERMO_WORDS];
            for (int i = 0; i < THERMO_WORDS; i++)
                row[i] = *(const double *)in->batches[b]->columns[i];
            kern_tree_put(&tree, in->batches[b]->key_group, row);
        }
    sum = kern_tree_end(&tree);
    out = weir_output(task, 0, sum != NULL && sum[THERMO_ROWS] > 1);
    if (out == NULL)
        return WEIR_FAILED;
    if (out->row_count == 0)
        return WEIR_OK;
    n = sum[THERMO_ROWS];
    mv2 = self->mass * sum[THERMO_SQUARES];
    out->keys[0] = 0;
    *(double *)out->columns[0] = mv2 / (d * n - d);
    *(double *)out->columns[1] = sum[THERMO_POTENTIAL] / n;
    *(double *)out->columns[2] = mv2 / 2 / n;
    *(double *)out->columns[3] = mv2 / 2 / n + sum[THERMO_POTENTIAL] / n;
    *(double *)out->columns[4] = (mv2 + sum[THERMO_VIRIAL]) / (d * self->volume);
    return WEIR_OK;
}

const weir_operator op_thermo = {
    .api_version = WEIR_API_VERSION,
    .name = "thermo",
    .help = "temperature, potential, kinetic and total energy per row, pressure",
    .role = WEIR_AGGREGATE,
    .inputs = { { "in", WEIR_GATHER, "velocity v* of each axis, potential, virial (f32)" } },
    .outputs = { "out" },
    .options_size = sizeof(thermo),
    .options = thermo_options,
    .plan = thermo_plan,
    .combine = thermo_combine,
    .process = thermo_process,
};
