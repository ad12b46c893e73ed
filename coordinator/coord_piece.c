#include "coordinator/coord_piece.h"

#include "coordinator/proto_plan.h"

#include <stdlib.h>
#include <string.h>

void coord_piece_free(coord_piece **piece)
{
    if (*piece != NULL)
        free((*piece)->bytes);
    free(*piece);
    *piece = NULL;
}

void coord_pieces_free(coord_piece **list)
{
    while (*list != NULL) {
        coord_piece *p = *list;

        *list = p->next;
        coord_piece_free(&p);
    }
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

coord_piece_end coord_piece_put(coord_piece **list, uint32_t member, const proto_data *d, coord_piece **whole)
{
    coord_piece **at = piece_find(list, member, d), *p = *at;

    *whole = NULL;
    if (p == NULL && d->offset == 0) {
        *at = p = proto_zero(1, sizeof *p);
        *p = (coord_piece){ .member = member, .edge = d->edge, .src = d->src, .tick = d->step,
                            .size = d->total };
    }
    if (p == NULL || p->have != d->offset || p->size != d->total || d->payload.size > p->size - p->have)
        return COORD_PIECE_WRONG;
    piece_grow(p, d->payload.size);
    memcpy(p->bytes + p->have, d->payload.data, d->payload.size);
    p->have += d->payload.size;
    if (p->have < p->size)
        return COORD_PIECE_MORE;
    *at = p->next;
    *whole = p;
    return COORD_PIECE_WHOLE;
}
