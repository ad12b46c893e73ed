/* What workers tell of their loads: how busy each is, and on a page of their own what its key groups cost and hold. */
#include "coordinator/coord_metrics_private.h"

#define OF(field) offsetof(coord_workers_row, field)
static const metrics_family worker_families[] = {
    { "weir_worker_busy_ratio", "Of a worker's threads' time, what its process used.", COORD_GAUGE,
      METRICS_REAL, OF(busy) },
    { "weir_worker_host_load_ratio", "Of its machine's processors' time, what all programs used.",
      COORD_GAUGE, METRICS_REAL, OF(host_load) },
    { "weir_worker_host_free_bytes", "Memory that is left on its machine.", COORD_GAUGE, METRICS_NUMBER,
      OF(free_bytes) },
    { "weir_worker_process_bytes", "Memory of its process.", COORD_GAUGE, METRICS_NUMBER, OF(process_bytes) },
};
/* Shown when a worker has told what its key groups hold. */
static const metrics_family holding_families[] = {
    { "weir_worker_state_rows", "Rows of the states in its key groups.", COORD_GAUGE, METRICS_NUMBER, OF(rows) },
    { "weir_worker_state_bytes", "Bytes of the states in its key groups.", COORD_GAUGE, METRICS_NUMBER,
      OF(bytes) },
    { "weir_worker_step_cost_seconds", "What a step of its key groups costs, summed over threads.",
      COORD_GAUGE, METRICS_NANOSECONDS, OF(cost_ns) },
};
#undef OF

#define OF(field) offsetof(coord_metrics_group, field)
static const metrics_family group_families[] = {
    { "weir_key_group_rows", "Rows of the states in a key group.", COORD_GAUGE, METRICS_NUMBER, OF(rows) },
    { "weir_key_group_bytes", "Bytes of the states in a key group.", COORD_GAUGE, METRICS_NUMBER, OF(bytes) },
    { "weir_key_group_step_cost_seconds", "What a step of a key group costs.", COORD_GAUGE,
      METRICS_NANOSECONDS, OF(cost_ns) },
};
#undef OF

static void expose_worker_family(metrics_page *page, const metrics_family *f, bool holding,
                                 const coord_workers_row *rows, uint32_t row_count)
{
    coord_expose_family(&page->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < row_count; i++) {
        const coord_workers_row *row = &rows[i];
        const coord_label labels[] = { { "worker", metrics_worker(page, row->id) }, { 0 } };

        if (labels[0].value != NULL && row->told && !(holding && row->units_age_us == UINT64_MAX))
            metrics_sample(page, f, labels, row);
    }
}

void metrics_loads(metrics_page *page, const coord_workers_row *rows, uint32_t row_count)
{
    for (size_t i = 0; i < METRICS_COUNT_OF(worker_families); i++)
        expose_worker_family(page, &worker_families[i], false, rows, row_count);
    for (size_t i = 0; i < METRICS_COUNT_OF(holding_families); i++)
        expose_worker_family(page, &holding_families[i], true, rows, row_count);
}

/* ---- key groups ---- */

/* One that nobody has told of, or whose worker is not known any more, is not shown. */
static void expose_group_family(metrics_page *page, const metrics_family *f,
                                const coord_metrics_group *groups, uint32_t group_count)
{
    coord_expose_family(&page->out, f->name, f->type, f->help);
    for (uint32_t i = 0; i < group_count; i++) {
        char number[COORD_DIGITS];
        const coord_label labels[] = { { "key_group", coord_expose_digits(number, i) },
                                       { "worker", metrics_worker(page, groups[i].worker) }, { 0 } };

        if (labels[1].value == NULL)
            continue;
        metrics_sample(page, f, labels, &groups[i]);
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
