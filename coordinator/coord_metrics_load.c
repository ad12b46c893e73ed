/* What workers tell of their loads: how busy each is, and on a page of their own what its key groups cost and hold. */
#include "coordinator/coord_metrics_private.h"

#include <inttypes.h>
#include <stdio.h>

/* How a number is written. */
typedef enum load_form { LOAD_COUNT, LOAD_REAL, LOAD_NANOSECONDS } load_form;

/* A family of a number of each worker or each key group. */
typedef struct load_family {
    const char *name, *help;
    load_form form;
    bool units;    /* of workers: shown when units were told */
    size_t offset; /* in coord_workers_row or coord_metrics_group */
} load_family;

#define OF(field) offsetof(coord_workers_row, field)
static const load_family worker_families[] = {
    { "weir_worker_busy_ratio", "Of a worker's threads' time, what its process used.", LOAD_REAL, false,
      OF(busy) },
    { "weir_worker_host_load_ratio", "Of its machine's processors' time, what all programs used.",
      LOAD_REAL, false, OF(host_load) },
    { "weir_worker_host_free_bytes", "Memory that is left on its machine.", LOAD_COUNT, false,
      OF(free_bytes) },
    { "weir_worker_process_bytes", "Memory of its process.", LOAD_COUNT, false, OF(process_bytes) },
    { "weir_worker_state_rows", "Rows of the states in its key groups.", LOAD_COUNT, true, OF(rows) },
    { "weir_worker_state_bytes", "Bytes of the states in its key groups.", LOAD_COUNT, true, OF(bytes) },
    { "weir_worker_step_cost_seconds", "What a step of its key groups costs, summed over threads.",
      LOAD_NANOSECONDS, true, OF(cost_ns) },
};
#undef OF

#define OF(field) offsetof(coord_metrics_group, field)
static const load_family group_families[] = {
    { "weir_key_group_rows", "Rows of the states in a key group.", LOAD_COUNT, true, OF(rows) },
    { "weir_key_group_bytes", "Bytes of the states in a key group.", LOAD_COUNT, true, OF(bytes) },
    { "weir_key_group_step_cost_seconds", "What a step of a key group costs.", LOAD_NANOSECONDS, true,
      OF(cost_ns) },
};
#undef OF

static void expose_value(metrics_page *page, const load_family *f, const coord_label *labels,
                         const void *from)
{
    const void *value = (const char *)from + f->offset;

    if (f->form == LOAD_REAL)
        coord_expose_real(&page->out, f->name, labels, *(const double *)value);
    else if (f->form == LOAD_NANOSECONDS)
        coord_expose_nanoseconds(&page->out, f->name, labels, *(const uint64_t *)value);
    else
        coord_expose_count(&page->out, f->name, labels, *(const uint64_t *)value);
}

static void expose_worker_family(metrics_page *page, const load_family *f, const coord_workers_row *rows,
                                 uint32_t row_count)
{
    coord_expose_family(&page->out, f->name, COORD_GAUGE, f->help);
    for (uint32_t i = 0; i < row_count; i++) {
        const coord_workers_row *row = &rows[i];
        const coord_label labels[] = { { "worker", metrics_worker(page, row->id) }, { 0 } };

        if (labels[0].value != NULL && row->told && !(f->units && row->units_age_us == UINT64_MAX))
            expose_value(page, f, labels, row);
    }
}

void metrics_loads(metrics_page *page, const coord_workers_row *rows, uint32_t row_count)
{
    for (size_t i = 0; i < METRICS_COUNT_OF(worker_families); i++)
        expose_worker_family(page, &worker_families[i], rows, row_count);
}

/* ---- key groups ---- */

/* One that nobody has told of, or whose worker is not known any more, is not shown. */
static void expose_group_family(metrics_page *page, const load_family *f,
                                const coord_metrics_group *groups, uint32_t group_count)
{
    coord_expose_family(&page->out, f->name, COORD_GAUGE, f->help);
    for (uint32_t i = 0; i < group_count; i++) {
        char number[16];
        const coord_label labels[] = { { "key_group", number },
                                       { "worker", metrics_worker(page, groups[i].worker) }, { 0 } };

        if (labels[1].value == NULL)
            continue;
        snprintf(number, sizeof number, "%" PRIu32, i);
        expose_value(page, f, labels, &groups[i]);
    }
}

char *coord_metrics_groups_text(const coord_status *status, const coord_metrics_group *groups,
                                uint32_t group_count, size_t *size)
{
    metrics_page page;
    bool ok = metrics_begin(&page, status);

    for (size_t i = 0; ok && i < METRICS_COUNT_OF(group_families); i++)
        expose_group_family(&page, &group_families[i], groups, group_count);
    return metrics_end(&page, ok, size);
}
