/* The copies of a history are bytes from outside. An input edits two copies of a small one: four
 * bytes an edit: which copy and whether to make the frames' hashes right again, where, and what. What
 * is recovered must be a history in which there is nothing to be repaired. */
#include "snapshot/snap_history_private.h"

#include <stdlib.h>

#define COPY_SIZE SNAP_HISTORY_SIZE_MIN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const df_hash identity = { 1, 2 };

static uint8_t *base_image(void)
{
    static const uint8_t bytes[100] = { 1, 2, 3 };
    snap_record records[3] = { { .type = 1, .size = 3, .bytes = bytes },
                               { .type = 2, .size = 100, .bytes = bytes }, { .type = 3 } };
    snap_marks marks = { 1, 2, 3, 4 };
    history_image image;
    uint8_t *out;

    if (history_image_new(&image, identity, COPY_SIZE, &marks, NULL) != DF_OK)
        abort();
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t count = 1 + i % 3;

        if (!history_frame_add(&image, records, count,
                               history_frame_size(records, count, image.size - image.end)))
            abort();
    }
    out = image.bytes;
    image.bytes = NULL;
    history_image_fini(&image);
    return out;
}

static void check(const uint8_t *a, size_t size_a, const uint8_t *b, size_t size_b)
{
    const uint8_t *copies[2] = { a, b };
    const size_t sizes[2] = { size_a, size_b };
    uint8_t *image, *again;
    size_t size, again_size;
    uint64_t records, again_records;
    snap_marks marks, again_marks;
    snap_recovery recovery;
    df_error err;

    if (snap_history_recover(copies, sizes, &image, &size, &records, &marks, &recovery, &err) != DF_OK)
        return;
    if (snap_history_recover((const uint8_t *const[]){ image, image }, (const size_t[]){ size, size },
                             &again, &again_size, &again_records, &again_marks, &recovery, &err) !=
            DF_OK ||
        again_size != size || again_records != records || memcmp(again, image, size) != 0 ||
        memcmp(&marks, &again_marks, sizeof marks) != 0 || recovery.blocks_repaired[0] != 0 ||
        recovery.torn)
        abort();
    free(image);
    free(again);
}

/* Whoever can make hashes: those of all frames, as far as they can be followed. */
static void rehash(uint8_t *copy)
{
    history_image image;
    snap_marks marks = { 1, 2, 3, 4 };

    if (history_image_new(&image, identity, COPY_SIZE, &marks, NULL) != DF_OK)
        abort();
    for (uint64_t at = HISTORY_FRAMES; at + 100 < COPY_SIZE;) {
        df_cursor c;
        uint32_t size;

        df_cursor_init(&c, copy + at, 8);
        df_get_u32(&c);
        size = df_get_u32(&c);
        if (size < 68 || size > COPY_SIZE - at)
            break;
        history_frame_seal(&image, copy + at, at, size);
        at += ((uint64_t)size + 7) & ~(uint64_t)7;
    }
    history_image_fini(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copies[2] = { base_image(), base_image() };

    check(data, size, data, size / 2);
    for (size_t i = 0; i + 3 < size; i += 4) {
        uint16_t at = (uint16_t)(data[i + 1] | data[i + 2] << 8);

        copies[data[i] & 1][at % COPY_SIZE] = data[i + 3];
        if (data[i] & 4)
            copies[1 - (data[i] & 1)][at % COPY_SIZE] = data[i + 3];
        if (data[i] & 2)
            rehash(copies[data[i] & 1]);
    }
    check(copies[0], COPY_SIZE, copies[1], size % 7 == 0 ? size : COPY_SIZE);
    free(copies[0]);
    free(copies[1]);
    return 0;
}
