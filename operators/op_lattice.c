/* Source "lattice": a crystal that fills the space, with velocities of an exact temperature and no
 * total momentum.
 *
 * The velocities are Gaussian; then the mean is taken out and they are scaled, which needs all rows
 * at once: the source asks to be called once. Mass 1 and Boltzmann's constant 1 (reduced units);
 * d * N - d degrees of freedom, as LAMMPS counts them. */
#include "dataflow/weir/operator.h"
#include "kernels/kern_philox.h"

#include <string.h>

typedef struct lattice {
    uint32_t kind, cells;
    double temperature;
    /* from the plan */
    const weir_space *space;
    int axes[WEIR_AXES_MAX], velocity[WEIR_AXES_MAX];
} lattice;

static const weir_option lattice_options[] = {
    { .name = "lattice", .help = "face-centred, body-centred or simple cubic", .type = WEIR_CHOICE,
      .value = "\"fcc\"", .choices = "fcc|bcc|sc", .offset = offsetof(lattice, kind) },
    { .name = "cells", .help = "lattice cells per edge", .type = WEIR_U32, .unit = "1",
      .range = "1..2000", .offset = offsetof(lattice, cells) },
    { .name = "temperature", .help = "of the velocities, exactly", .type = WEIR_F64,
      .unit = "energy", .value = "0", .range = ">= 0", .offset = offsetof(lattice, temperature) },
    { 0 },
};

/* The atoms of a cell, in halves of its edge. */
static const struct {
    uint32_t count;
    uint8_t at[4][3];
} lattice_basis[] = {
    { 4, { { 0, 0, 0 }, { 1, 1, 0 }, { 1, 0, 1 }, { 0, 1, 1 } } },
    { 2, { { 0, 0, 0 }, { 1, 1, 1 } } },
    { 1, { { 0, 0, 0 } } },
};

static weir_status lattice_plan(weir_plan *plan, void *options)
{
    lattice *self = options;
    uint64_t n = self->cells, rows;
    char name[WEIR_NAME_MAX + 1];

    self->space = weir_plan_space(plan, 0);
    if (self->space == NULL || self->space->axis_count != 3)
        return weir_plan_error(plan, "", "it fills a space with three axes: it must be the "
                               "\"first\" of a state that has one");
    for (uint32_t a = 0; a < 3; a++)
        self->axes[a] = weir_plan_add(plan, 0, self->space->axes[a], WEIR_F32);
    for (uint32_t a = 0; a < 3; a++) {
        strcpy(name, "v");
        strcat(name, self->space->axes[a]);
        self->velocity[a] = weir_plan_add(plan, 0, name, WEIR_F32);
    }
    rows = n * n * n * lattice_basis[self->kind].count;
    if (rows > UINT32_MAX)
        return weir_plan_error(plan, "cells", "%llu atoms, at most %u can be made",
                               (unsigned long long)rows, UINT32_MAX);
    weir_plan_rows(plan, rows, rows);
    return WEIR_OK;
}

static void lattice_places(const lattice *self, weir_batch *out)
{
    uint32_t n = self->cells, basis = lattice_basis[self->kind].count;

    for (uint32_t i = 0; i < out->row_count; i++) {
        const uint8_t *at = lattice_basis[self->kind].at[i % basis];
        uint32_t cell = i / basis, of[3] = { cell % n, cell / n % n, cell / n / n };

        out->keys[i] = i;
        for (uint32_t a = 0; a < 3; a++)
            ((float *)out->columns[self->axes[a]])[i] =
                (float)((of[a] + 0.5 * at[a]) * (self->space->size[a] / n));
    }
}

/* Row i's Gaussian velocity, before the mean is taken out. */
static void lattice_draw(const weir_task *task, uint64_t key, double v[3])
{
    kern_words w = kern_philox_row(task->random_key, key, (uint32_t)task->step, 0);
    kern_normalsf xy = kern_normalf(w.w[0], w.w[1]), z = kern_normalf(w.w[2], w.w[3]);

    v[0] = (double)xy.first;
    v[1] = (double)xy.second;
    v[2] = (double)z.first;
}

static void lattice_velocities(const lattice *self, const weir_task *task, weir_batch *out)
{
    double mean[3] = { 0 }, energy = 0, scale, v[3], n = out->row_count;

    for (uint32_t i = 0; i < out->row_count; i++) {
        lattice_draw(task, i, v);
        for (uint32_t a = 0; a < 3; a++)
            mean[a] += v[a];
    }
    for (uint32_t a = 0; a < 3; a++)
        mean[a] /= n;
    for (uint32_t i = 0; i < out->row_count; i++) {
        lattice_draw(task, i, v);
        for (uint32_t a = 0; a < 3; a++)
            energy += (v[a] - mean[a]) * (v[a] - mean[a]);
    }
    scale = energy > 0 ? kern_sqrt(self->temperature * (3 * n - 3) / energy) : 0;
    for (uint32_t i = 0; i < out->row_count; i++) {
        lattice_draw(task, i, v);
        for (uint32_t a = 0; a < 3; a++)
            ((float *)out->columns[self->velocity[a]])[i] = (float)((v[a] - mean[a]) * scale);
    }
}

static weir_status lattice_process(weir_task *task)
{
    const lattice *self = task->options;
    weir_batch *out = weir_output(task, 0, (uint32_t)(task->row_end - task->row_begin));

    if (out == NULL)
        return WEIR_FAILED;
    lattice_places(self, out);
    lattice_velocities(self, task, out);
    return WEIR_OK;
}

const weir_operator op_lattice = {
    .api_version = WEIR_API_VERSION,
    .name = "lattice",
    .help = "a crystal that fills the space, at a temperature",
    .role = WEIR_SOURCE,
    .outputs = { "out" },
    .options_size = sizeof(lattice),
    .options = lattice_options,
    .plan = lattice_plan,
    .process = lattice_process,
};
