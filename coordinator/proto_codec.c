#include "coordinator/proto_msg.h"

#include "dataflow/df_bytes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t proto_get_u32(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t proto_get_u64(const uint8_t *b)
{
    return (uint64_t)proto_get_u32(b) | (uint64_t)proto_get_u32(b + 4) << 32;
}

void proto_put_u32(uint8_t *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        b[i] = (uint8_t)(v >> 8 * i);
}

void proto_put_u64(uint8_t *b, uint64_t v)
{
    proto_put_u32(b, (uint32_t)v);
    proto_put_u32(b + 4, (uint32_t)(v >> 32));
}

/* A cursor of bytes with a sticky error, for writing (out) or reading (in). The bytes that end a message may lie apart
 * from what is before them: its tail. */
typedef struct codec_cursor {
    uint8_t *out;
    const uint8_t *in;
    size_t at, size;
    bool bad, cut;    /* cut, writing: what ends the message is left out, as its tail; reading: the tail was read */
    proto_bytes tail; /* behind `size`, reading */
} codec_cursor;

static bool codec_room(codec_cursor *c, size_t count)
{
    if (c->bad || c->size - c->at < count)
        c->bad = true;
    return !c->bad;
}

static void codec_put(codec_cursor *c, uint64_t value, size_t width)
{
    if (!codec_room(c, width))
        return;
    for (size_t i = 0; i < width; i++)
        c->out[c->at + i] = (uint8_t)(value >> 8 * i);
    c->at += width;
}

static uint64_t codec_get(codec_cursor *c, size_t width)
{
    uint64_t value = 0;

    if (!codec_room(c, width))
        return 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)c->in[c->at + i] << 8 * i;
    c->at += width;
    return value;
}

static void codec_put_bytes(codec_cursor *c, proto_bytes bytes, size_t most)
{
    codec_put(c, bytes.size, 4);
    if (bytes.size > most || !codec_room(c, bytes.size)) {
        c->bad = true;
        return;
    }
    if (c->cut && c->at + bytes.size == c->size)
        c->tail = bytes;
    else if (bytes.size > 0)
        memcpy(c->out + c->at, bytes.data, bytes.size);
    c->at += bytes.size;
}

static proto_bytes codec_get_bytes(codec_cursor *c, size_t most)
{
    proto_bytes bytes = { .size = (uint32_t)codec_get(c, 4) };

    if (!c->bad && c->at == c->size && !c->cut && bytes.size > 0 && bytes.size == c->tail.size && bytes.size <= most) {
        c->cut = true;
        return c->tail;
    }
    if (bytes.size > most || !codec_room(c, bytes.size)) {
        c->bad = true;
        return (proto_bytes){ 0 };
    }
    bytes.data = c->in + c->at;
    c->at += bytes.size;
    return bytes;
}

/* ---- the list, expanded: size, put, get, print and a name for each type ---- */

#define U8(field) size += 1;
#define U32(field) size += 4;
#define U64(field) size += 8;
#define BYTES(field, most) size += 4 + m->field.size;
#define MSG(number, name, fields) \
    static size_t codec_size_##name(const proto_##name *m) \
    { \
        size_t size = 0; \
        (void)m; \
        fields return size; \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES

#define U8(field) codec_put(c, m->field, 1);
#define U32(field) codec_put(c, m->field, 4);
#define U64(field) codec_put(c, m->field, 8);
#define BYTES(field, most) codec_put_bytes(c, m->field, most);
#define MSG(number, name, fields) \
    static void codec_put_##name(codec_cursor *c, const proto_##name *m) \
    { \
        fields \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES

#define U8(field) m->field = (uint8_t)codec_get(c, 1);
#define U32(field) m->field = (uint32_t)codec_get(c, 4);
#define U64(field) m->field = codec_get(c, 8);
#define BYTES(field, most) m->field = codec_get_bytes(c, most);
#define MSG(number, name, fields) \
    static void codec_get_##name(codec_cursor *c, proto_##name *m) \
    { \
        fields \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES

typedef struct codec_line {
    char *text;
    size_t at, size;
} codec_line;

__attribute__((format(printf, 2, 3))) static void codec_say(codec_line *l, const char *format, ...)
{
    va_list args;
    int count;

    va_start(args, format);
    count = vsnprintf(l->text + l->at, l->size - l->at, format, args);
    va_end(args);
    if (count > 0)
        l->at = l->at + (size_t)count < l->size ? l->at + (size_t)count : l->size - 1;
}

#define U8(field) codec_say(l, " " #field "=%u", (unsigned)m->field);
#define U32(field) codec_say(l, " " #field "=%" PRIu32, m->field);
#define U64(field) codec_say(l, " " #field "=%" PRIu64, m->field);
#define BYTES(field, most) codec_say(l, " " #field "=%" PRIu32 " bytes", m->field.size);
#define MSG(number, name, fields) \
    static void codec_say_##name(codec_line *l, const proto_##name *m) \
    { \
        fields \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES

const char *proto_type_name(uint16_t type)
{
    switch (type) {
#define MSG(number, name, fields) \
    case number: \
        return #name;
#include "coordinator/proto_msg.inc"
#undef MSG
    default:
        return NULL;
    }
}

const uint16_t proto_types[] = {
#define MSG(number, name, fields) number,
#include "coordinator/proto_msg.inc"
#undef MSG
};
const size_t proto_type_count = sizeof proto_types / sizeof proto_types[0];

const char *proto_reject_name(proto_reject reject)
{
    static const char *const names[] = {
#define PROTO_REJECT_NAME(name) #name,
        PROTO_REJECTS(PROTO_REJECT_NAME)
    };

    return (size_t)reject < PROTO_REJECT_COUNT ? names[reject] : "unknown";
}

/* ---- whole frames ---- */

size_t proto_encoded_size(const proto_msg *msg)
{
    switch (msg->header.type) {
#define MSG(number, name, fields) \
    case number: \
        return PROTO_HEADER_SIZE + codec_size_##name(&msg->name);
#include "coordinator/proto_msg.inc"
#undef MSG
    default:
        return 0;
    }
}

static void codec_put_fields(codec_cursor *c, const proto_msg *msg)
{
    switch (msg->header.type) {
#define MSG(number, name, fields) \
    case number: \
        codec_put_##name(c, &msg->name); \
        break;
#include "coordinator/proto_msg.inc"
#undef MSG
    default:
        c->bad = true;
    }
}

static bool codec_get_fields(codec_cursor *c, proto_msg *msg)
{
    switch (msg->header.type) {
#define MSG(number, name, fields) \
    case number: \
        codec_get_##name(c, &msg->name); \
        return true;
#include "coordinator/proto_msg.inc"
#undef MSG
    default:
        return false;
    }
}

/* The head is hashed first and seeds the hash of the fields. */
static uint64_t codec_checksum(const uint8_t *frame, size_t field_size, proto_bytes tail)
{
    return df_checksum(df_checksum(0, frame, 56, NULL, 0), frame + PROTO_HEADER_SIZE, field_size, tail.data, tail.size);
}

static size_t codec_encode(const proto_msg *msg, uint8_t *out, size_t capacity, proto_bytes *tail)
{
    const proto_header *h = &msg->header;
    size_t size = proto_encoded_size(msg);
    codec_cursor c = { .out = out, .size = size, .cut = tail != NULL };

    if (size == 0 || size > capacity || size > PROTO_FRAME_SIZE_MAX)
        return 0;
    codec_put(&c, PROTO_MAGIC, 4);
    codec_put(&c, PROTO_VERSION, 2);
    codec_put(&c, h->type, 2);
    codec_put(&c, h->job, 8);
    codec_put(&c, h->generation, 8);
    codec_put(&c, h->incarnation, 8);
    codec_put(&c, h->sender, 8);
    codec_put(&c, h->sequence, 8);
    codec_put(&c, size - PROTO_HEADER_SIZE, 4);
    codec_put(&c, 0, 4);
    codec_put(&c, 0, 8);
    codec_put_fields(&c, msg);
    if (c.bad)
        return 0;
    size -= c.tail.size;
    proto_put_u64(out + 56, codec_checksum(out, size - PROTO_HEADER_SIZE, c.tail));
    if (tail != NULL)
        *tail = c.tail;
    return size;
}

size_t proto_encode(const proto_msg *msg, uint8_t *out, size_t capacity)
{
    return codec_encode(msg, out, capacity, NULL);
}

size_t proto_encode_cut(const proto_msg *msg, uint8_t *out, size_t capacity, proto_bytes *tail)
{
    return codec_encode(msg, out, capacity, tail);
}

proto_reject proto_decode_cut(proto_msg *msg, const uint8_t *bytes, size_t size, proto_bytes tail)
{
    proto_header *h = &msg->header;
    codec_cursor c = { .in = bytes, .size = size, .tail = tail };
    size_t whole = size + tail.size;

    if (size < PROTO_HEADER_SIZE)
        return PROTO_REJECT_short;
    if (whole > PROTO_FRAME_SIZE_MAX)
        return PROTO_REJECT_length;
    if (codec_get(&c, 4) != PROTO_MAGIC)
        return PROTO_REJECT_magic;
    if (codec_get(&c, 2) != PROTO_VERSION)
        return PROTO_REJECT_version;
    h->type = (uint16_t)codec_get(&c, 2);
    h->job = codec_get(&c, 8);
    h->generation = codec_get(&c, 8);
    h->incarnation = codec_get(&c, 8);
    h->sender = codec_get(&c, 8);
    h->sequence = codec_get(&c, 8);
    if (codec_get(&c, 4) != whole - PROTO_HEADER_SIZE || codec_get(&c, 4) != 0)
        return PROTO_REJECT_length;
    if (codec_get(&c, 8) != codec_checksum(bytes, size - PROTO_HEADER_SIZE, tail))
        return PROTO_REJECT_checksum;
    if (!codec_get_fields(&c, msg))
        return PROTO_REJECT_type;
    return c.bad || c.at != c.size || c.cut != (tail.size > 0) ? PROTO_REJECT_field : PROTO_REJECT_ok;
}

proto_reject proto_decode(proto_msg *msg, const uint8_t *bytes, size_t size)
{
    return proto_decode_cut(msg, bytes, size, (proto_bytes){ NULL, 0 });
}

void proto_version_tell(char *text, size_t capacity, const uint8_t *bytes, size_t size)
{
    codec_cursor c = { .in = bytes, .at = 4, .size = size };

    snprintf(text, capacity, "it speaks version %u of the protocol, and we version %u; all that work together must be of "
             "one release", (unsigned)codec_get(&c, 2), PROTO_VERSION);
}

size_t proto_print(const proto_msg *msg, char *out, size_t capacity)
{
    const proto_header *h = &msg->header;
    codec_line line = { out, 0, capacity };
    const char *name = proto_type_name(h->type);

    if (capacity == 0)
        return 0;
    codec_say(&line, "%s generation=%" PRIu64 " incarnation=%" PRIu64 " sender=%" PRIu64,
              name == NULL ? "unknown" : name, h->generation, h->incarnation, h->sender);
    if (h->sequence != 0)
        codec_say(&line, " sequence=%" PRIu64, h->sequence);
    switch (h->type) {
#define MSG(number, name_, fields) \
    case number: \
        codec_say_##name_(&line, &msg->name_); \
        break;
#include "coordinator/proto_msg.inc"
#undef MSG
    default:
        break;
    }
    return line.at;
}
