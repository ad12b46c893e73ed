/* What a worker counts is bytes from outside. What is accepted is the same when it is told again, and
 * can be shown. */
#include "coordinator/coord_metrics.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell_again(const coord_counts *c, const uint8_t *data, size_t size)
{
    df_writer w;

    df_writer_init_growing(&w, size + 1);
    coord_counts_encode(&w, c);
    if (!df_writer_ok(&w) || w.size != size || memcmp(w.data, data, size) != 0)
        abort();
    df_writer_fini(&w);
}

static void show(const coord_counts *c)
{
    static coord_status status = { .worker_count = 1 };
    static const coord_histogram none, phases[COORD_SNAPSHOT_PHASES];
    static const coord_rescale_totals totals;
    coord_metrics metrics = { .status = &status, .snapshots = &none, .phases = phases,
                              .rescales = &totals, .counts = &c };
    size_t size;
    char *text;

    if (c->peer_count > 0)
        status.workers[0].id = c->peers[0].id;
    text = coord_metrics_text(&metrics, &size);
    if (text == NULL || memchr(text, 0, size) != NULL)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    coord_counts c;
    df_error err;

    if (coord_counts_decode(&c, data, size, &err) == DF_OK) {
        tell_again(&c, data, size);
        show(&c);
    }
    coord_counts_fini(&c);
    return 0;
}
