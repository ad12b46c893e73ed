/* The records of a coordinator's log are bytes from outside: a row of them, each a byte of type, two
 * of size, and the bytes. What is read and said again is the same, and a state machine takes it. */
#include "coordinator/coord_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_again(const proto_record *record, const snap_record *from)
{
    uint8_t *again;
    size_t size;
    df_writer w;

    df_writer_init_growing(&w, COORD_RECORD_SIZE_MAX);
    coord_record_put(&w, record);
    again = df_writer_take(&w, &size);
    if (again == NULL || size != from->size || memcmp(again, from->bytes, size) != 0)
        abort();
    free(again);
}

static proto_coord *machine(uint32_t groups)
{
    proto_coord_config config = { .job = 1 };
    proto_coord_env env = { 0 };
    static proto_plan plan;

    plan = (proto_plan){ .step_count = 100, .group_count = groups };
    return proto_coord_new(&plan, &config, &env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    coord_record_reader reader = { 0 };
    proto_coord *coord = NULL;
    df_status s = DF_OK;

    while (size >= 3 && (s == DF_OK || s == DF_END)) {
        snap_record from = { .type = data[0], .size = (uint32_t)(data[1] | data[2] << 8) };
        proto_record record;
        df_error err;

        data += 3;
        size -= 3;
        from.size = from.size < size ? from.size : (uint32_t)size;
        from.bytes = data;
        data += from.size;
        size -= from.size;
        s = coord_record_get(&reader, &from, &record, &err);
        if (s == DF_END && coord == NULL)
            coord = machine(reader.job.group_count);
        if (s != DF_OK)
            continue;
        say_again(&record, &from);
        proto_coord_recover(coord, &record);
    }
    proto_coord_free(&coord);
    return 0;
}
