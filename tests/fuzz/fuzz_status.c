/* How a job stands, as a client hears it from a coordinator, and a coordinator reads from the state of one that has
 * ended. What is accepted is the same when it is told again. */
#include "coordinator/coord_json_cluster.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Words that were cut in the middle of a character have no text any more, nor has what they stand in. */
static void same_row(const coord_rescale_row *row, const coord_rescale_row *again)
{
    if (again->what[0] == '\0')
        return;
    require(strcmp(row->what, again->what) == 0 && strcmp(row->why, again->why) == 0);
    require(row->id == again->id && row->key_groups == again->key_groups && row->bytes == again->bytes);
}

static void tell(const coord_status *s, coord_status *again)
{
    char *told = coord_json_status(s);

    if (told == NULL || !coord_json_status_read(again, told, strlen(told), NULL)) {
        free(told);
        return;
    }
    require(strcmp(s->job, again->job) == 0 && strcmp(s->phase, again->phase) == 0);
    require(s->number == again->number && s->begun == again->begun && s->steps == again->steps);
    require(!s->begun || s->step == again->step);
    require(s->snapshot == again->snapshot && s->rescales == again->rescales);
    require(s->worker_count >= again->worker_count);
    same_row(&s->rescale, &again->rescale);
    same_row(&s->rescaled, &again->rescaled);
    free(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static coord_status status, again;
    char *text = malloc(size == 0 ? 1 : size); /* its own memory, so that a step beyond the end is seen */

    require(text != NULL);
    if (size > 0)
        memcpy(text, bytes, size);
    if (coord_json_status_read(&status, text, size, NULL)) {
        require(status.worker_count <= PROTO_WORKERS_MAX);
        require(strlen(status.error) < sizeof status.error);
        (void)coord_status_is_over(&status);
        tell(&status, &again);
    }
    free(text);
    return 0;
}
