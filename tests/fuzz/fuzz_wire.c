/* libFuzzer target: frames. Any bytes are a valid message or a rejection; what is valid is encoded to
 * the same bytes again, also when it is cut before the bytes that end it, and nowhere else. Then the bytes behind the header's checksum are taken as the fields of each
 * type, with a right header, so that the fuzzer reaches the fields. */
#include "coordinator/proto_msg.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* The frame cut at each of some places: as a whole, or refused. */
static void cut(const uint8_t *bytes, size_t size)
{
    uint8_t *head = malloc(size);
    proto_bytes tail = { NULL, 0 };
    proto_msg msg, apart;
    size_t at = 0;

    require(head != NULL);
    if (proto_decode(&msg, bytes, size) == PROTO_REJECT_ok) {
        at = proto_encode_cut(&msg, head, size, &tail);
        require(at + tail.size == size && memcmp(head, bytes, at) == 0);
        require(tail.size == 0 || memcmp(tail.data, bytes + at, tail.size) == 0);
        require(proto_decode_cut(&apart, head, at, tail) == PROTO_REJECT_ok);
    }
    for (size_t end = PROTO_HEADER_SIZE; end < size; end += 1 + size / 16)
        if (end != at)
            require(proto_decode_cut(&apart, bytes, end, (proto_bytes){ bytes + end, (uint32_t)(size - end) }) !=
                    PROTO_REJECT_ok);
    free(head);
}

static void take(const uint8_t *bytes, size_t size)
{
    proto_msg msg;
    char line[700];
    uint8_t *again;

    if (size > PROTO_HEADER_SIZE)
        cut(bytes, size);

    if (proto_decode(&msg, bytes, size) != PROTO_REJECT_ok)
        return;
    require(proto_type_name(msg.header.type) != NULL);
    require(proto_print(&msg, line, sizeof line) < sizeof line);
    require(proto_encoded_size(&msg) == size);
    again = malloc(size);
    require(again != NULL && proto_encode(&msg, again, size) == size);
    require(memcmp(again, bytes, size) == 0);
    free(again);
}

/* A frame of a type whose fields are these bytes. */
static void take_fields(uint16_t type, const uint8_t *bytes, size_t size)
{
    uint8_t *frame = calloc(1, PROTO_HEADER_SIZE + size);

    require(frame != NULL);
    proto_put_u32(frame, PROTO_MAGIC);
    proto_put_u32(frame + 4, PROTO_VERSION | (uint32_t)type << 16);
    proto_put_u32(frame + 48, (uint32_t)size);
    if (size > 0)
        memcpy(frame + PROTO_HEADER_SIZE, bytes, size);
    proto_put_u64(frame + 56, XXH3_64bits_withSeed(frame + PROTO_HEADER_SIZE, size,
                                                   XXH3_64bits(frame, 56)));
    take(frame, PROTO_HEADER_SIZE + size);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    take(bytes, size);
    for (size_t i = 0; i < proto_type_count && size < 4096; i++)
        take_fields(proto_types[i], bytes, size);
    return 0;
}
