#include "coordinator/coord_status.h"

#include <string.h>

bool coord_status_is_over(const coord_status *status)
{
    static const char *const ends[] = { "done", "drained", "cancelled", "failed" };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(status->phase, ends[i]) == 0)
            return true;
    return false;
}
