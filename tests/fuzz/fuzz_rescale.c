/* What a client asks of a running job's workers and owners, and what is told of it. Each text is read by
 * every reader; what one accepts is the same when it is told again. */
#include "coordinator/coord_rescales.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* A text with a zero byte in an escape cannot be told again whole: it ends there, as a text of ours. */
static void take_ask(const char *text, size_t size)
{
    coord_rescale_ask ask, again;
    char *told;

    if (!coord_json_rescale_ask_read(&ask, text, size))
        return;
    require(strlen(ask.what) < sizeof ask.what && strlen(ask.worker) < sizeof ask.worker);
    told = coord_json_rescale_ask(&ask);
    require(told != NULL && coord_json_rescale_ask_read(&again, told, strlen(told)));
    require(strcmp(ask.what, again.what) == 0 && strcmp(ask.worker, again.worker) == 0);
    require(ask.workers == again.workers && ask.first == again.first && ask.last == again.last &&
            ask.budget == again.budget && ask.dry_run == again.dry_run);
    free(told);
}

/* Words that were cut in the middle of a character have no text any more. */
static void tell(const coord_rescale_row *row)
{
    coord_rescale_row again;
    char *told = coord_json_rescale(row);

    if (told != NULL)
        require(coord_json_rescale_read(&again, told, strlen(told), NULL) && again.id == row->id &&
                strcmp(again.why, row->why) == 0);
    free(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    coord_rescale_row row, rows[3];
    coord_rescale_totals totals = { 0 };
    uint32_t count;
    char *text = malloc(size == 0 ? 1 : size); /* its own memory, so that a step beyond the end is seen */

    require(text != NULL);
    if (size > 0)
        memcpy(text, bytes, size);
    take_ask(text, size);
    if (coord_json_rescale_read(&row, text, size, NULL)) {
        tell(&row);
        coord_rescale_totals_put(&totals, &row);
    }
    if (coord_json_rescales_read(&row, rows, 3, &count, text, size, NULL)) {
        require(count <= 3);
        for (uint32_t i = 0; i < count; i++)
            tell(&rows[i]);
    }
    free(text);
    return 0;
}
