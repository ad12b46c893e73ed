/* Source "uniform": rows anywhere in the space, going in any direction. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_philox.h"

#include <string.h>

typedef struct uniform {
    uint64_t rows;
    double speed[2];
    double part;
    /* from the plan */
    const weir_space *space;
    int axes[WEIR_AXES_MAX], velocity[WEIR_AXES_MAX], heading;
} uniform;

static const weir_option uniform_options[] = {
    { .name = "rows", .help = "how many", .type = WEIR_U64, .unit = "1", .range = "0..1e12",
      .offset = offsetof(uniform, rows) },
    { .name = "speed", .help = "least and greatest speed, if the state has velocity columns",
      .type = WEIR_RANGE, .unit = "length/time", .value = "[0, 0]", .range = ">= 0",
      .offset = offsetof(uniform, speed) },
    { .name = "part", .help = "of every axis, from 0: 0.5 is one corner of the space",
      .type = WEIR_F64, .unit = "1", .value = "1", .range = "> 0, <= 1",
      .offset = offsetof(uniform, part) },
    { 0 },
};

/* The column "v" + axis of the state, declared if the state has it; else -1. */
static int uniform_velocity(weir_plan *plan, const char *axis)
{
    char name[WEIR_NAME_MAX + 1] = "v";

    strcat(name, axis);
    if (weir_schema_find(weir_plan_target(plan), name) < 0)
        return -1;
    return weir_plan_add(plan, 0, name, WEIR_F32);
}

static weir_status uniform_plan(weir_plan *plan, void *options)
{
    uniform *self = options;

    self->space = weir_plan_space(plan, 0);
    if (self->space == NULL)
        return weir_plan_error(plan, "", "it fills a space: it must be the \"first\" of a state "
                               "that has one");
    for (uint32_t a = 0; a < self->space->axis_count; a++)
        self->axes[a] = weir_plan_add(plan, 0, self->space->axes[a], WEIR_F32);
    for (uint32_t a = 0; a < self->space->axis_count; a++)
        self->velocity[a] = uniform_velocity(plan, self->space->axes[a]);
    self->heading = weir_schema_find(weir_plan_target(plan), "heading") < 0
                        ? -1 : weir_plan_add(plan, 0, "heading", WEIR_F32);
    weir_plan_rows(plan, self->rows, 1);
    return WEIR_OK;
}

/* A direction with every angle equally likely, in the first `axes` components. */
static void uniform_direction(uint32_t axes, uint32_t a, uint32_t b, float direction[3])
{
    float angle = kern_uniformf(b) * 6.2831853071795865f, ring, height;

    if (axes == 1) {
        direction[0] = (a & 1) != 0 ? 1.0f : -1.0f;
        return;
    }
    height = axes == 3 ? 2.0f * kern_uniformf(a) - 1.0f : 0.0f;
    ring = (float)kern_sqrt((double)(1.0f - height * height));
    direction[0] = ring * kern_cosf(angle);
    direction[1] = ring * kern_sinf(angle);
    direction[2] = height;
}

static void uniform_row(const uniform *self, const weir_task *task, weir_batch *out, uint32_t i)
{
    uint64_t key = task->row_begin + i;
    kern_words place = kern_philox_row(task->random_key, key, (uint32_t)task->step, 0);
    kern_words motion = kern_philox_row(task->random_key, key, (uint32_t)task->step, 1);
    float speed = (float)(self->speed[0] +
                          (self->speed[1] - self->speed[0]) * (double)kern_uniformf(motion.w[2]));
    float direction[3] = { 0 };

    out->keys[i] = key;
    uniform_direction(self->space->axis_count, motion.w[0], motion.w[1], direction);
    for (uint32_t a = 0; a < self->space->axis_count; a++) {
        float size = (float)(self->space->size[a] * self->part);
        float x = kern_uniformf(place.w[a]) * size;

        ((float *)out->columns[self->axes[a]])[i] = x < size ? x : 0.0f;
        if (self->velocity[a] >= 0)
            ((float *)out->columns[self->velocity[a]])[i] = direction[a] * speed;
    }
    if (self->heading >= 0)
        ((float *)out->columns[self->heading])[i] =
            kern_uniformf(motion.w[3]) * 6.2831853071795865f;
}

static weir_status uniform_process(weir_task *task)
{
    const uniform *self = task->options;
    uint32_t count = (uint32_t)(task->row_end - task->row_begin);
    weir_batch *out = weir_output(task, 0, count);

    if (out == NULL)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < count; i++)
        uniform_row(self, task, out, i);
    return WEIR_OK;
}

const weir_operator op_uniform = {
    .api_version = WEIR_API_VERSION,
    .name = "uniform",
    .help = "rows anywhere in the space, in any direction",
    .role = WEIR_SOURCE,
    .outputs = { "out" },
    .options_size = sizeof(uniform),
    .options = uniform_options,
    .plan = uniform_plan,
    .process = uniform_process,
};
