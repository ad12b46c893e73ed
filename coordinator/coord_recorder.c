#include "coordinator/coord_recorder.h"

#include <stddef.h>

void coord_recorder_end(coord_recorder *r)
{
    df_error err;

    coord_verify_close(&r->verify);
    coord_trail_close(&r->trail);
    if (coord_prints_close(&r->writer, &err) != DF_OK)
        fprintf(stderr, "weir: %s\n", err.text);
}

static df_status begin_verify(coord_recorder *r, uint64_t step, df_error *err)
{
    FILE *file = coord_prints_file(r->against, err);
    df_status s = file == NULL ? DF_EIO
                               : coord_verify_open(&r->verify, file, r->against_name, r->plan, r->streams,
                                                   err);

    return s == DF_OK ? coord_verify_seek(r->verify, step, err) : s;
}

df_status coord_recorder_begin(coord_recorder *r, uint64_t step, df_error *err)
{
    const coord_trail_options trail = { .state = r->state, .plan = r->plan, .streams = r->streams };
    df_status s = DF_OK;

    coord_recorder_end(r);
    if (r->against[0] != '\0')
        s = begin_verify(r, step, err);
    if (s == DF_OK && r->fingerprints[0] != '\0')
        s = step == 0 ? coord_prints_create(&r->writer, r->fingerprints, r->plan, r->streams, err)
                      : coord_prints_resume(&r->writer, r->fingerprints, r->plan, r->streams, step, err);
    if (s == DF_OK && r->state != NULL)
        s = coord_trail_open(&r->trail, &trail, step, err);
    return s;
}

df_status coord_recorder_step(coord_recorder *r, const df_step_print *print, df_error *err)
{
    df_status s = DF_OK;

    if (r->verify != NULL)
        s = coord_verify_step(r->verify, print, err);
    if (s == DF_OK && r->writer != NULL)
        s = coord_prints_put(r->writer, print, err);
    if (s == DF_OK && r->trail != NULL)
        s = coord_trail_step(r->trail, print, err);
    return s;
}

void coord_recorder_sync(coord_recorder *r)
{
    if (r->trail != NULL)
        coord_trail_sync(r->trail);
}
