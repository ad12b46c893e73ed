/* Parcels that come in pieces. What a first piece says of the whole is only believed as far as bytes follow:
 * memory for a parcel is at most twice what has arrived of it. */
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

/* Add a piece to what has come of its parcel; `list` holds those that are not whole. When it is whole, *whole is taken
 * off the list and the caller's. The process ends when memory is out, as everywhere in the protocol. */
coord_piece_end coord_piece_put(coord_piece **list, uint32_t member, const proto_data *piece,
                                coord_piece **whole);
/* Null is allowed. */
void coord_piece_free(coord_piece **piece);
void coord_pieces_free(coord_piece **list);

#endif
