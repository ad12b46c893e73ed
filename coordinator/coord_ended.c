#include "coordinator/coord_ended.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_state.h"

#include <stdlib.h>

df_status coord_ended_read(coord_status *status, char **text, const char *state, df_error *err)
{
    char *read;
    size_t size;
    df_status s = coord_state_read(state, "ended", &read, &size, err);

    if (s == DF_OK && !coord_json_status_read(status, read, size, err))
        s = DF_ECORRUPT;
    if (s == DF_OK && !coord_status_is_over(status))
        s = df_fail(err, DF_ECORRUPT, "it tells no end");
    if (text != NULL) {
        *text = s == DF_OK ? read : NULL;
        read = s == DF_OK ? NULL : read;
    }
    free(read);
    return s;
}
