/* Where other members are reached, as one list in a message: of each the number, address and key.
 *
 *   u64 worker, u16 bytes of the address, u16 bytes of the key, the address, the key */
#ifndef COORD_PEERS_H
#define COORD_PEERS_H

#include "coordinator/proto_msg.h"

#define COORD_PEER_SIZE_MAX (12u + 2 * PROTO_TEXT_SIZE_MAX)

typedef struct coord_peer {
    uint64_t worker;
    proto_bytes address, key; /* borrowed */
} coord_peer;

/* Write one; returns its bytes, or 0 if it does not fit or a text is too long. */
size_t coord_peers_put(uint8_t *out, size_t capacity, const coord_peer *peer);
/* Take the first one off the list. False: there is none, or what is left is no list; then it is not empty. */
bool coord_peers_get(proto_bytes *list, coord_peer *peer);
/* Bytes of the first whole entries of a list, as many as fit into `most`. */
uint32_t coord_peers_cut(proto_bytes list, uint32_t most);

#endif
