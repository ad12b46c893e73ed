/* Phase "integrate": Newton's second law, velocity Verlet (Swope, Andersen, Berens, Wilson 1982) with
 * one force per step.
 *
 * The force of a step is known only after its positions, so the state carries the velocity of half a
 * step before: v(s - 1/2). A step makes two streams from it and the force f(s):
 *
 *     now    x(s),                            v(s)       = v(s - 1/2) + f(s) dt / 2m
 *     next   x(s + 1) = x(s) + v(s + 1/2) dt, v(s + 1/2) = v(s - 1/2) + f(s) dt / m
 *
 * At step 0 the state holds v(0) itself, as its source made it, and the first kick is a half one. */
#include "dataflow/weir/operator.h"

#include <string.h>

typedef struct integrate {
    uint32_t scheme;
    double mass;
    /* from the plan */
    const weir_space *space;
    int x[WEIR_AXES_MAX], v[WEIR_AXES_MAX], f[WEIR_AXES_MAX];
    int now_v[WEIR_AXES_MAX], next_x[WEIR_AXES_MAX], next_v[WEIR_AXES_MAX];
} integrate;

static const weir_option integrate_options[] = {
    { .name = "scheme", .help = "how", .type = WEIR_CHOICE, .value = "\"velocity_verlet\"",
      .choices = "velocity_verlet", .offset = offsetof(integrate, scheme) },
    { .name = "mass", .help = "of every row", .type = WEIR_F64, .unit = "mass", .value = "1",
      .range = "> 0", .offset = offsetof(integrate, mass) },
    { 0 },
};

static int integrate_column(weir_plan *plan, const char *prefix, const char *axis)
{
    char name[WEIR_NAME_MAX + 1];

    strcpy(name, prefix);
    strcat(name, axis);
    return weir_plan_column(plan, 0, name, WEIR_F32);
}

static weir_status integrate_plan(weir_plan *plan, void *options)
{
    integrate *self = options;
    bool ok = true;

    self->space = weir_plan_space(plan, 0);
    if (self->space == NULL)
        return weir_plan_error(plan, "", "its rows need a space to move in");
    weir_plan_pass(plan, 0, 0);
    weir_plan_pass(plan, 1, 0);
    for (uint32_t a = 0; a < self->space->axis_count; a++) {
        const char *axis = self->space->axes[a];
        self->x[a] = integrate_column(plan, "", axis);
        self->v[a] = integrate_column(plan, "v", axis);
        self->f[a] = integrate_column(plan, "f", axis);
        ok = ok && self->x[a] >= 0 && self->v[a] >= 0 && self->f[a] >= 0;
        if (!ok)
            continue;
        self->now_v[a] = weir_plan_add(plan, 0, weir_plan_input(plan, 0)->columns[self->v[a]].name,
                                       WEIR_F32);
        self->next_x[a] = weir_plan_add(plan, 1, axis, WEIR_F32);
        self->next_v[a] = weir_plan_add(plan, 1, weir_plan_input(plan, 0)->columns[self->v[a]].name,
                                        WEIR_F32);
    }
    return ok ? WEIR_OK : WEIR_FAILED;
}

static void integrate_now(uint32_t count, const float *restrict v, const float *restrict f, float half,
                          float *restrict now)
{
    for (uint32_t i = 0; i < count; i++)
        now[i] = v[i] + f[i] * half;
}

static void integrate_next(uint32_t count, const float *restrict x, const float *restrict v,
                           const float *restrict f, float kick, float dt, float *restrict next_x,
                           float *restrict next_v)
{
    for (uint32_t i = 0; i < count; i++) {
        next_v[i] = v[i] + f[i] * kick;
        next_x[i] = x[i] + next_v[i] * dt;
    }
}

/* Into [0, size), for rows that went less than one size out. */
static void integrate_wrap(uint32_t count, float size, float *restrict x)
{
    for (uint32_t i = 0; i < count; i++) {
        float y = x[i];
        y = y < 0 ? y + size : y;
        y = y >= size ? y - size : y;
        x[i] = y < 0 ? 0 : y;
    }
}

static weir_status integrate_process(weir_task *task)
{
    const integrate *self = task->options;
    const weir_batch *in = task->inputs[0].batches[0];
    weir_batch *now = weir_output_like(task, 0, 0), *next = weir_output_like(task, 1, 0);
    float dt = (float)task->job->dt, kick = (float)(task->job->dt / self->mass);
    float half = task->step == 0 ? 0.0f : kick / 2;

    if (now == NULL || next == NULL)
        return WEIR_FAILED;
    if (task->step == 0)
        kick = kick / 2;
    for (uint32_t a = 0; a < self->space->axis_count; a++) {
        const float *x = in->columns[self->x[a]], *v = in->columns[self->v[a]];
        const float *f = in->columns[self->f[a]];

        integrate_now(in->row_count, v, f, half, now->columns[self->now_v[a]]);
        integrate_next(in->row_count, x, v, f, kick, dt, next->columns[self->next_x[a]],
                       next->columns[self->next_v[a]]);
        if (self->space->periodic[a])
            integrate_wrap(in->row_count, (float)self->space->size[a],
                           next->columns[self->next_x[a]]);
    }
    return WEIR_OK;
}

const weir_operator op_integrate = {
    .api_version = WEIR_API_VERSION,
    .name = "integrate",
    .help = "move rows by the force on them",
    .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "position, velocity v*, force f* of each axis (f32)" } },
    .outputs = { "now", "next" },
    .options_size = sizeof(integrate),
    .options = integrate_options,
    .plan = integrate_plan,
    .process = integrate_process,
};
