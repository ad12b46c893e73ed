/* Messages: one struct each, made from proto_msg.inc, and their bytes.
 *
 *   offset  0 magic   u32   4 version u16   6 type u16   8 job u64   16 generation u64
 *          24 incarnation u64   32 sender u64   40 sequence u64   48 length u32 (of the fields)
 *          52 zero u32   56 XXH3-64 of bytes 0..55 and of the fields   64 the fields, in order
 *
 * All numbers are little-endian; BYTES is a u32 length and the bytes. Any bytes at all are a valid
 * message or a rejection with a reason; decoding allocates nothing and BYTES point into the frame. */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include "coordinator/proto_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_MAGIC       0x72696577u /* "weir" */
#ifndef PROTO_VERSION /* a test builds a program of another one */
#define PROTO_VERSION     1u
#endif
#define PROTO_HEADER_SIZE 64u

typedef struct proto_bytes {
    const uint8_t *data; /* borrowed: from the frame, or from who sends */
    uint32_t size;
} proto_bytes;

#define U8(field) uint8_t field;
#define U32(field) uint32_t field;
#define U64(field) uint64_t field;
#define BYTES(field, most) proto_bytes field;
#define MSG(number, name, fields) \
    typedef struct proto_##name { \
        fields \
    } proto_##name;
#include "coordinator/proto_msg.inc"
#undef MSG

typedef enum proto_type {
#define MSG(number, name, fields) PROTO_TYPE_##name = number,
#include "coordinator/proto_msg.inc"
#undef MSG
    PROTO_TYPE_END
} proto_type;

typedef struct proto_header {
    uint16_t type; /* proto_type */
    uint64_t job, generation, incarnation, sender;
    uint64_t sequence; /* of the channel between two workers; 0: not sequenced */
} proto_header;

typedef struct proto_msg {
    proto_header header;
    union {
#define MSG(number, name, fields) proto_##name name;
#include "coordinator/proto_msg.inc"
#undef MSG
    };
} proto_msg;
#undef U8
#undef U32
#undef U64
#undef BYTES

/* Why a worker is to stop: a proto_end (proto_coord.h), 0 (its generation is over: it may come back as
 * another process), or this: it has left a job that goes on. */
#define PROTO_STOP_DISMISSED 16u

/* Why bytes were refused; counted by reason. */
#define PROTO_REJECTS(X) \
    X(ok) X(short) X(magic) X(version) X(checksum) X(length) X(type) X(field) X(job) X(stale) \
    X(incarnation) X(range) X(sender) X(repeat) X(gap) X(full) X(credit)
typedef enum proto_reject {
#define PROTO_REJECT_ENUM(name) PROTO_REJECT_##name,
    PROTO_REJECTS(PROTO_REJECT_ENUM)
    PROTO_REJECT_COUNT
} proto_reject;

const char *proto_reject_name(proto_reject reject);
const char *proto_type_name(uint16_t type); /* null: no such type */

/* Bytes that encoding needs. */
size_t proto_encoded_size(const proto_msg *msg);
/* Encode into out[capacity]; returns the size, or 0 if it does not fit or breaks a limit. */
size_t proto_encode(const proto_msg *msg, uint8_t *out, size_t capacity);
/* The same without the bytes that end the message, if a field of bytes does: they are the frame's tail, not copied, and
 * out followed by it is the frame. capacity is for the whole. */
size_t proto_encode_cut(const proto_msg *msg, uint8_t *out, size_t capacity, proto_bytes *tail);
/* Decode a whole frame. *msg is meaningful only if PROTO_REJECT_ok is returned. */
proto_reject proto_decode(proto_msg *msg, const uint8_t *bytes, size_t size);
/* A frame that was cut so, or not at all (a tail of no bytes); cut elsewhere it is refused. */
proto_reject proto_decode_cut(proto_msg *msg, const uint8_t *bytes, size_t size, proto_bytes tail);
/* In words, if a frame was refused because it is of another version: which that is. */
void proto_version_tell(char *text, size_t capacity, const uint8_t *bytes, size_t size);
/* One line without an end, for a log; returns its length (cut to capacity). */
size_t proto_print(const proto_msg *msg, char *out, size_t capacity);
/* The types in the list's order, for tests and fuzz seeds. */
extern const uint16_t proto_types[];
extern const size_t proto_type_count;

/* Little-endian numbers in lists of BYTES. */
uint32_t proto_get_u32(const uint8_t *bytes);
uint64_t proto_get_u64(const uint8_t *bytes);
void proto_put_u32(uint8_t *bytes, uint32_t value);
void proto_put_u64(uint8_t *bytes, uint64_t value);

#endif
