#include "coordinator/coord_piece.h"

#include "coordinator/proto_plan.h"

#include <stdlib.h>
#include <string.h>

static void piece_free(coord_piece *piece)
{
    if (piece != NULL)
        free(piece->bytes);
    free(piece);
}

void coord_pieces_free(coord_pieces *pieces)
{
    while (pieces->first != NULL) {
        coord_piece *p = pieces->first;

        pieces->first = p->next;
        piece_free(p);
    }
    piece_free(pieces->whole);
    pieces->whole = NULL;
}

static coord_piece **piece_find(coord_piece **list, uint32_t member, const proto_data *d)
{
    while (*list != NULL && ((*list)->member != member || (*list)->edge != d->edge ||
                             (*list)->tick != d->step || (*list)->src != d->src))
        list = &(*list)->next;
    return list;
}

static void piece_grow(coord_piece *p, uint32_t more)
{
    uint64_t room = 2 * ((uint64_t)p->have + more);

    if (p->have + more <= p->room)
        return;
    p->room = room < p->size ? (uint32_t)room : p->size;
    p->bytes = realloc(p->bytes, p->room);
    if (p->bytes == NULL)
        abort();
}

/* A parcel's first piece, in the memory of the last whole one. */
static coord_piece *piece_begin(coord_pieces *pieces, uint32_t member, const proto_data *d)
{
    coord_piece *p = pieces->whole;

    pieces->whole = NULL;
    if (p != NULL && p->room > COORD_PIECE_KEPT_MAX) {
        piece_free(p);
        p = NULL;
    }
    if (p == NULL)
        p = proto_zero(1, sizeof *p);
    *p = (coord_piece){ .member = member, .edge = d->edge, .src = d->src, .tick = d->step, .size = d->total,
                        .bytes = p->bytes, .room = p->room };
    return p;
}

coord_piece_end coord_piece_put(coord_pieces *pieces, uint32_t member, const proto_data *d,
                                const coord_piece **whole)
{
    coord_piece **at = piece_find(&pieces->first, member, d), *p = *at;

    *whole = NULL;
    if (p == NULL && d->offset == 0)
        *at = p = piece_begin(pieces, member, d);
    if (p == NULL || p->have != d->offset || p->size != d->total || d->payload.size > p->size - p->have)
        return COORD_PIECE_WRONG;
    piece_grow(p, d->payload.size);
    memcpy(p->bytes + p->have, d->payload.data, d->payload.size);
    p->have += d->payload.size;
    if (p->have < p->size)
        return COORD_PIECE_MORE;
    *at = p->next;
    piece_free(pieces->whole);
    *whole = pieces->whole = p;
    return COORD_PIECE_WHOLE;
}
