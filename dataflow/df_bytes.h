/* The cursor of bytes: whatever is stored or sent is written and read through it, field by field,
 * little-endian, with lengths; never as the image of a struct.
 *
 * Errors stick. After the first failure a put adds nothing and a get gives zeros, so that the code
 * of a format is a straight list of fields and is checked once, at its end: a writer by
 * df_writer_ok, a reader by df_get_end. What a reader reads is hostile: no length in it is believed
 * before it was compared with the bytes that are left. */
#ifndef DF_BYTES_H
#define DF_BYTES_H

#include "dataflow/df_error.h"

#include <stdbool.h>
#include <string.h>

/* ---- writing ---- */

typedef struct df_writer {
    uint8_t *data;
    size_t size;     /* bytes put so far */
    size_t capacity; /* of data */
    size_t size_max; /* a growing writer's limit; 0: data belong to the caller and do not grow */
    bool failed;     /* no room, or no memory */
} df_writer;

/* Write into memory that the caller keeps. */
void df_writer_init(df_writer *writer, void *memory, size_t capacity);
/* Write into memory of its own, which grows up to size_max bytes. */
void df_writer_init_growing(df_writer *writer, size_t size_max);
/* Release what a growing writer owns; for the other kind, nothing. */
void df_writer_fini(df_writer *writer);
bool df_writer_ok(const df_writer *writer);
/* Give the bytes away: the caller frees them with free(). Null if the writer has failed. The writer
 * is empty afterwards. Only for a growing writer. */
uint8_t *df_writer_take(df_writer *writer, size_t *size);

/* Room for `size` bytes more, to be filled by the caller; null: failed. */
void *df_put_space(df_writer *writer, size_t size);
void df_put_bytes(df_writer *writer, const void *bytes, size_t size);
/* A u32 length, then the bytes. */
void df_put_blob(df_writer *writer, const void *bytes, size_t size);
/* The same for a text; its final zero is not written. */
void df_put_text(df_writer *writer, const char *text);

static inline void df_put_le(df_writer *writer, uint64_t value, size_t size)
{
    uint8_t *to = df_put_space(writer, size);

    for (size_t i = 0; to != NULL && i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static inline void df_put_u8(df_writer *writer, uint8_t value)
{
    df_put_le(writer, value, 1);
}

static inline void df_put_u16(df_writer *writer, uint16_t value)
{
    df_put_le(writer, value, 2);
}

static inline void df_put_u32(df_writer *writer, uint32_t value)
{
    df_put_le(writer, value, 4);
}

static inline void df_put_u64(df_writer *writer, uint64_t value)
{
    df_put_le(writer, value, 8);
}

/* ---- reading ---- */

typedef struct df_cursor {
    const uint8_t *data; /* borrowed */
    size_t size;
    size_t offset;       /* of the next byte; stays at the field that failed */
    bool failed;
} df_cursor;

void df_cursor_init(df_cursor *cursor, const void *bytes, size_t size);
size_t df_get_left(const df_cursor *cursor);
/* Mark the cursor as failed: for a field that was read and makes no sense. */
void df_get_refuse(df_cursor *cursor);
/* Whether everything was read, to the last byte, without failure. */
bool df_get_end(const df_cursor *cursor) DF_MUST_CHECK;

/* The next `size` bytes, in place; null: there are not so many. */
const uint8_t *df_get_bytes(df_cursor *cursor, size_t size);
/* A blob in place, its length in *size; null (and length 0) if it failed or is longer than size_max. */
const uint8_t *df_get_blob(df_cursor *cursor, size_t size_max, size_t *size);
/* A text into `text` [capacity], zero-terminated; "" after a failure. One that does not fit, or has
 * a zero inside, is a failure. */
void df_get_text(df_cursor *cursor, char *text, size_t capacity);
/* The same, of a text that is shown to people and goes into JSON: printable ASCII, not empty. */
void df_get_name(df_cursor *cursor, char *text, size_t capacity);
/* A u32 that counts things of at least `size_each` bytes which follow: more than count_max of them,
 * or more than the bytes left can hold, is a failure and gives 0. So memory for them may be got. */
uint32_t df_get_count(df_cursor *cursor, uint32_t count_max, size_t size_each);

static inline uint64_t df_get_le(df_cursor *cursor, size_t size)
{
    const uint8_t *from = df_get_bytes(cursor, size);
    uint64_t value = 0;

    for (size_t i = 0; from != NULL && i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static inline uint8_t df_get_u8(df_cursor *cursor)
{
    return (uint8_t)df_get_le(cursor, 1);
}

static inline uint16_t df_get_u16(df_cursor *cursor)
{
    return (uint16_t)df_get_le(cursor, 2);
}

static inline uint32_t df_get_u32(df_cursor *cursor)
{
    return (uint32_t)df_get_le(cursor, 4);
}

static inline uint64_t df_get_u64(df_cursor *cursor)
{
    return df_get_le(cursor, 8);
}

/* ---- a checksum ---- */

/* XXH3, 64 bits, of the first bytes followed by the second; null with a size of 0 is allowed. Here, because this library
 * is built for several processors: with wide vectors it is twice as fast. */
uint64_t df_checksum(uint64_t seed, const void *first, size_t first_size, const void *second, size_t second_size)
    __attribute__((pure));

#endif
