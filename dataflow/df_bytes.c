#include "dataflow/df_bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define WRITER_SIZE_FIRST 256

/* ---- writing ---- */

void df_writer_init(df_writer *writer, void *memory, size_t capacity)
{
    *writer = (df_writer){ .data = memory, .capacity = capacity };
}

void df_writer_init_growing(df_writer *writer, size_t size_max)
{
    assert(size_max > 0);
    *writer = (df_writer){ .size_max = size_max };
}

void df_writer_fini(df_writer *writer)
{
    if (writer->size_max != 0)
        free(writer->data);
    *writer = (df_writer){ 0 };
}

bool df_writer_ok(const df_writer *writer)
{
    return !writer->failed;
}

uint8_t *df_writer_take(df_writer *writer, size_t *size)
{
    uint8_t *data = writer->data;

    assert(writer->size_max != 0);
    *size = 0;
    if (writer->failed) {
        free(data);
        data = NULL;
    } else {
        *size = writer->size;
    }
    *writer = (df_writer){ .size_max = writer->size_max };
    return data;
}

/* Whether there is room for `size` bytes more, after growing if need be. */
static bool writer_reserve(df_writer *w, size_t size)
{
    size_t capacity = w->capacity;
    uint8_t *data;

    if (size <= w->capacity - w->size)
        return true;
    if (w->size_max == 0 || size > w->size_max - w->size)
        return false;
    capacity = capacity < WRITER_SIZE_FIRST ? WRITER_SIZE_FIRST : capacity;
    while (capacity < w->size + size)
        capacity = capacity > w->size_max / 2 ? w->size_max : 2 * capacity;
    data = realloc(w->data, capacity);
    if (data == NULL)
        return false;
    w->data = data;
    w->capacity = capacity;
    return true;
}

void *df_put_space(df_writer *writer, size_t size)
{
    void *space;

    if (writer->failed || !writer_reserve(writer, size)) {
        writer->failed = true;
        return NULL;
    }
    space = writer->data + writer->size;
    writer->size += size;
    return space;
}

void df_put_bytes(df_writer *writer, const void *bytes, size_t size)
{
    void *space = size == 0 ? NULL : df_put_space(writer, size);

    if (space != NULL)
        memcpy(space, bytes, size);
}

void df_put_blob(df_writer *writer, const void *bytes, size_t size)
{
    if (size > UINT32_MAX)
        writer->failed = true;
    df_put_u32(writer, (uint32_t)size);
    df_put_bytes(writer, bytes, size);
}

void df_put_text(df_writer *writer, const char *text)
{
    df_put_blob(writer, text, strlen(text));
}

/* ---- reading ---- */

void df_cursor_init(df_cursor *cursor, const void *bytes, size_t size)
{
    *cursor = (df_cursor){ .data = bytes, .size = size };
}

size_t df_get_left(const df_cursor *cursor)
{
    assert(cursor->offset <= cursor->size);
    return cursor->failed ? 0 : cursor->size - cursor->offset;
}

void df_get_refuse(df_cursor *cursor)
{
    cursor->failed = true;
}

bool df_get_end(const df_cursor *cursor)
{
    return !cursor->failed && cursor->offset == cursor->size;
}

const uint8_t *df_get_bytes(df_cursor *cursor, size_t size)
{
    static const uint8_t nothing[1];
    const uint8_t *bytes;

    if (cursor->failed || size > cursor->size - cursor->offset) {
        cursor->failed = true;
        return NULL;
    }
    bytes = cursor->data == NULL ? nothing : cursor->data + cursor->offset;
    cursor->offset += size;
    return bytes;
}

const uint8_t *df_get_blob(df_cursor *cursor, size_t size_max, size_t *size)
{
    uint32_t length = df_get_u32(cursor);
    const uint8_t *bytes = NULL;

    if (length > size_max)
        cursor->failed = true;
    else
        bytes = df_get_bytes(cursor, length);
    *size = bytes == NULL ? 0 : length;
    return bytes;
}

void df_get_text(df_cursor *cursor, char *text, size_t capacity)
{
    size_t size;
    const uint8_t *bytes = df_get_blob(cursor, capacity - 1, &size);

    assert(capacity > 0);
    if (bytes != NULL && memchr(bytes, 0, size) != NULL) {
        cursor->failed = true;
        size = 0;
    }
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
}

void df_get_name(df_cursor *cursor, char *text, size_t capacity)
{
    df_get_text(cursor, text, capacity);
    if (text[0] == '\0')
        df_get_refuse(cursor);
    for (size_t i = 0; text[i] != '\0'; i++)
        if (text[i] < ' ' || text[i] > '~')
            df_get_refuse(cursor);
}

uint32_t df_get_count(df_cursor *cursor, uint32_t count_max, size_t size_each)
{
    uint32_t count = df_get_u32(cursor);

    if (count > count_max || (size_each > 0 && count > df_get_left(cursor) / size_each)) {
        cursor->failed = true;
        return 0;
    }
    return count;
}

/* ---- a checksum ---- */

uint64_t df_checksum(uint64_t seed, const void *first, size_t first_size, const void *second, size_t second_size)
{
    XXH3_state_t state;

    if (second_size == 0)
        return XXH3_64bits_withSeed(first, first_size, seed);
    state.seed = 0; /* the two are looked at when it is set up */
    state.extSecret = NULL;
    XXH3_64bits_reset_withSeed(&state, seed);
    XXH3_64bits_update(&state, first, first_size);
    XXH3_64bits_update(&state, second, second_size);
    return XXH3_64bits_digest(&state);
}
