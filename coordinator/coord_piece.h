/* Parcels that come in pieces, but for most states that move (coord_flow_take.c). What a first piece says of the whole is
 * only believed as far as bytes follow: memory for a parcel is at most twice what has arrived of it. The memory of the last
 * one that became whole is kept for the next: often they come one after the other, and new memory is memory that the
 * kernel must clear. */
#ifndef COORD_PIECE_H
#define COORD_PIECE_H

#include "coordinator/proto_msg.h"

typedef struct coord_piece {
    struct coord_piece *next;
    uint32_t member, edge, src;
    uint64_t tick;
    uint32_t size, have, room;
    uint8_t *bytes; /* [room] */
} coord_piece;

typedef enum coord_piece_end {
    COORD_PIECE_MORE,  /* others are missing */
    COORD_PIECE_WHOLE,
    COORD_PIECE_WRONG, /* it does not go on where the last one ended; nothing was changed */
} coord_piece_end;

typedef struct coord_pieces { /* zeroed: none */
    coord_piece *first; /* of those that are not whole */
    coord_piece *whole; /* the last one that has become whole; null: none, or its memory is another's now */
} coord_pieces;

#define COORD_PIECE_KEPT_MAX (16u << 20) /* memory that is kept for the next one, at most */

/* Add a piece to what has come of its parcel. When it is whole, *whole is lent until the next call; else it is null. The
 * process ends when memory is out, as everywhere in the protocol. */
coord_piece_end coord_piece_put(coord_pieces *pieces, uint32_t member, const proto_data *piece,
                                const coord_piece **whole);
void coord_pieces_free(coord_pieces *pieces);

#endif
