/* What a worker tells of its load is bytes from outside, and so are the files of its machine. What is
 * accepted is the same when it is told again, and can be shown. */
#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_metrics.h"
#include "coordinator/coord_usage.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell_again(const coord_load *load, const uint8_t *data, size_t size)
{
    df_writer w;

    df_writer_init_growing(&w, size + 1);
    coord_load_encode(&w, load);
    if (!df_writer_ok(&w) || w.size != size || memcmp(w.data, data, size) != 0)
        abort();
    df_writer_fini(&w);
}

static void show(const coord_load *load)
{
    static FILE *nowhere;
    coord_workers_row row = { .told = true, .threads = load->threads };
    char *text;
    df_error err;

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    memcpy(row.host, load->host, sizeof row.host);
    memcpy(row.backend, load->backend, sizeof row.backend);
    row.free_bytes = load->free_bytes;
    row.units_age_us = load->unit_count == 0 ? UINT64_MAX : 0;
    row.rows = load->unit_count == 0 ? 0 : load->units[0].rows;
    text = coord_json_workers("job", "nothing moves", &row, 1);
    if (text == NULL || !coord_json_workers_print(nowhere, text, strlen(text), &err))
        abort();
    free(text);
}

/* On the page of key groups each is told of three times. */
static void show_groups(const coord_load *load)
{
    static const coord_status status = { .worker_count = 1, .workers = { { .id = 7 } } };
    static coord_metrics_group groups[PROTO_GROUPS_MAX];
    size_t size, samples = 0;
    char *text;

    memset(groups, 0, sizeof groups);
    for (uint32_t i = 0; i < load->unit_count; i++) {
        const coord_load_unit *u = &load->units[i];

        groups[u->unit] = (coord_metrics_group){ 7, u->cost_ns, u->rows, u->bytes };
    }
    text = coord_metrics_groups_text(&status, groups, PROTO_GROUPS_MAX, &size);
    for (size_t i = 0; text != NULL && i < size; i++)
        samples += text[i] == '\n' && i + 1 < size && text[i + 1] == 'w';
    if (samples != 3 * (size_t)load->unit_count)
        abort();
    free(text);
}

static void read_files(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    uint64_t a, b;

    memcpy(text, data, size);
    text[size] = '\0';
    (void)coord_usage_stat(text, &a, &b);
    (void)coord_usage_meminfo(text, &a, &b);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    coord_load load;
    df_error err;

    if (coord_load_decode(&load, data, size, &err) == DF_OK) {
        tell_again(&load, data, size);
        show(&load);
        show_groups(&load);
    }
    coord_load_fini(&load);
    read_files(data, size);
    return 0;
}
