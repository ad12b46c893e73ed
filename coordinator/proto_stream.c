#include "coordinator/proto_stream.h"

#include <assert.h>

#define STREAM_DOUBLED_MAX 4u

void proto_stream_begin(proto_stream *stream, uint64_t size)
{
    assert(size > 0);
    *stream = (proto_stream){ .size = size };
}

void proto_stream_rewind(proto_stream *stream)
{
    stream->asked = stream->have;
}

bool proto_stream_ask(proto_stream *s, const proto_stream_limits *l, uint64_t now_us, uint64_t *offset,
                      uint64_t *size)
{
    uint64_t until = s->size - s->taken > l->window ? s->taken + l->window : s->size;
    uint32_t doubled = s->misses < STREAM_DOUBLED_MAX ? s->misses : STREAM_DOUBLED_MAX;

    if (s->asked > s->have && now_us - s->heard_us >= l->again_us << doubled) {
        proto_stream_rewind(s);
        s->misses++;
    }
    /* Half a window at a time, or what is left: a message for each piece would be one too many. */
    if (until <= s->asked || (until < s->size && until - s->asked < l->window / 2))
        return false;
    *offset = s->asked;
    *size = until - s->asked;
    s->asked = until;
    s->heard_us = now_us;
    return true;
}

proto_piece_end proto_stream_put(proto_stream *s, const proto_stream_limits *l, uint64_t now_us,
                                 uint64_t total, uint64_t offset, uint32_t size)
{
    if (total == 0 || total == PROTO_STREAM_UNKNOWN || offset >= total || offset % l->piece_size != 0 ||
        size != proto_stream_cut(l, total, offset) ||
        (s->size != PROTO_STREAM_UNKNOWN && total != s->size))
        return PROTO_PIECE_WRONG;
    if (offset < s->have)
        return PROTO_PIECE_REPEAT;
    if (offset + size - s->taken > l->window)
        return PROTO_PIECE_WRONG;
    if (offset > s->have)
        return PROTO_PIECE_GAP;
    s->size = total;
    s->have += size;
    s->asked = s->asked < s->have ? s->have : s->asked < total ? s->asked : total;
    s->heard_us = now_us;
    s->misses = 0;
    return PROTO_PIECE_NEXT;
}

void proto_stream_take(proto_stream *stream, uint64_t size)
{
    assert(size <= stream->have - stream->taken);
    stream->taken += size;
}

bool proto_stream_may(const proto_stream_limits *l, uint64_t total, uint64_t offset, uint64_t size)
{
    return l->piece_size != 0 && size > 0 && size <= l->window && offset < total &&
           offset % l->piece_size == 0;
}

uint32_t proto_stream_cut(const proto_stream_limits *l, uint64_t total, uint64_t offset)
{
    return total - offset < l->piece_size ? (uint32_t)(total - offset) : l->piece_size;
}
