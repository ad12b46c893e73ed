/* Recordings of fingerprints are bytes from outside: read one to its end, and compare it with a job's
 * steps. The job has one state of two columns and two key groups, as in the corpus. */
#include "coordinator/coord_verify.h"

#include <stddef.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static df_stream streams[1] = {
    { .name = "birds", .schema = { 2, { { "x", WEIR_F32 }, { "y", WEIR_F32 } } },
      .partition = { .kind = DF_PART_HASH, .key_groups = 2 } },
};
static df_vertex vertices[1] = { { .name = "birds", .role = DF_COMMIT, .out_count = 1 } };
static df_state states[1] = { { .name = "birds" } };
static uint32_t order[1];
static const df_plan plan = {
    .job = { .name = "flock", .seed = 7, .steps = 9 },
    .state_count = 1, .vertex_count = 1, .stream_count = 1,
    .states = states, .vertices = vertices, .streams = streams, .order = order,
    .hash = { 0x0123456789abcdef, 0xfedcba9876543210 },
};

static void read_all(FILE *file)
{
    coord_prints_reader *reader;
    coord_prints_step step;
    df_error err;

    if (coord_prints_open(&reader, file, "r", &err) != DF_OK)
        return;
    while (coord_prints_next(reader, &step, &err) == DF_OK)
        continue;
    coord_prints_free(&reader);
}

static void compare_all(FILE *file)
{
    static const df_hash columns[3] = { { 0x1111111111111111, 0 } }, groups[2];
    df_stream_print print = { .key_groups = 2, .column_count = 3, .columns = columns,
                              .groups = groups };
    df_step_print step = { .stream_count = 1, .streams = &print };
    coord_verify *verify;
    df_error err;

    if (coord_verify_open(&verify, file, "r", &plan, false, &err) != DF_OK)
        return;
    while (step.step < 4 && coord_verify_step(verify, &step, &err) == DF_OK)
        step.step++;
    coord_verify_close(&verify);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");

    if (file != NULL)
        read_all(file);
    file = size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");
    if (file != NULL)
        compare_all(file);
    return 0;
}
