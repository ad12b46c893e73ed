/* Bytes that a process fetches from another one in pieces: the part of a snapshot that was written where the
 * coordinator cannot read it, and what a worker needs of a snapshot that it cannot read.
 *
 * Who receives drives. It asks for a range, is sent the range's pieces, and asks for more as what came is
 * used. What has not come is asked for again, from the first byte that is missing; what comes twice, or ahead
 * of its turn, is dropped. So who sends remembers nothing, what waits is bounded by the window, and a new
 * connection or a new process at either end needs no rule of its own.
 *
 *   0 ......... taken ......... have ......... asked ......... size
 *     is used         waits           under way
 *
 * asked - taken is at most the window. No I/O; one thread. */
#ifndef PROTO_STREAM_H
#define PROTO_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define PROTO_STREAM_UNKNOWN UINT64_MAX /* as a size: the first piece says it */

typedef struct proto_stream_limits {
    uint32_t piece_size; /* of all pieces but the last; 0: nothing is streamed */
    uint32_t window;     /* a multiple of it, at least one */
    uint64_t again_us;   /* what has not come after so long is asked for again; doubled up to 16 times */
} proto_stream_limits;

typedef struct proto_stream {
    uint64_t size, have, taken, asked;
    uint64_t heard_us;   /* when something was asked for, or came */
    uint32_t misses;     /* times that something was asked for again, since something came */
} proto_stream;

/* What became of a piece. Only the first kind changes anything. */
typedef enum proto_piece_end {
    PROTO_PIECE_NEXT,    /* it is the one whose turn it is */
    PROTO_PIECE_REPEAT,
    PROTO_PIECE_GAP,     /* one before it is missing */
    PROTO_PIECE_WRONG,   /* no piece of this stream, or one that nobody asked for */
} proto_piece_end;

/* size > 0. */
void proto_stream_begin(proto_stream *stream, uint64_t size);
/* Whether something is to be asked for now: the range, which then counts as asked for. */
bool proto_stream_ask(proto_stream *stream, const proto_stream_limits *limits, uint64_t now_us,
                      uint64_t *offset, uint64_t *size);
/* A piece has come. */
proto_piece_end proto_stream_put(proto_stream *stream, const proto_stream_limits *limits, uint64_t now_us,
                                 uint64_t total, uint64_t offset, uint32_t size);
/* So many bytes more are used; at most what has come. */
void proto_stream_take(proto_stream *stream, uint64_t size);
/* The connection is a new one: what was under way is lost. */
void proto_stream_rewind(proto_stream *stream);
/* All of it has come. */
static inline bool proto_stream_whole(const proto_stream *stream)
{
    return stream->have == stream->size;
}

/* Whether somebody may ask for that range of `total` bytes. */
bool proto_stream_may(const proto_stream_limits *limits, uint64_t total, uint64_t offset, uint64_t size);
/* Bytes of the piece at an offset. */
uint32_t proto_stream_cut(const proto_stream_limits *limits, uint64_t total, uint64_t offset);

#endif
