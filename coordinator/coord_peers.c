#include "coordinator/coord_peers.h"

#include <string.h>

#define PEERS_HEAD 12u

size_t coord_peers_put(uint8_t *out, size_t capacity, const coord_peer *peer)
{
    size_t size = PEERS_HEAD + (size_t)peer->address.size + peer->key.size;

    if (peer->address.size > PROTO_TEXT_SIZE_MAX || peer->key.size > PROTO_TEXT_SIZE_MAX || size > capacity)
        return 0;
    proto_put_u64(out, peer->worker);
    proto_put_u32(out + 8, peer->address.size | peer->key.size << 16);
    memcpy(out + PEERS_HEAD, peer->address.data, peer->address.size);
    if (peer->key.size > 0)
        memcpy(out + PEERS_HEAD + peer->address.size, peer->key.data, peer->key.size);
    return size;
}

bool coord_peers_get(proto_bytes *list, coord_peer *peer)
{
    const uint8_t *at = list->data;
    uint32_t sizes, size;

    if (list->size < PEERS_HEAD)
        return false;
    sizes = proto_get_u32(at + 8);
    *peer = (coord_peer){ proto_get_u64(at), { at + PEERS_HEAD, sizes & 0xffff }, { NULL, sizes >> 16 } };
    peer->key.data = at + PEERS_HEAD + peer->address.size;
    size = PEERS_HEAD + peer->address.size + peer->key.size;
    if (peer->worker == 0 || peer->address.size > PROTO_TEXT_SIZE_MAX || peer->key.size > PROTO_TEXT_SIZE_MAX ||
        size > list->size)
        return false;
    list->data += size;
    list->size -= size;
    return true;
}

uint32_t coord_peers_cut(proto_bytes list, uint32_t most)
{
    proto_bytes rest = list;
    coord_peer peer;
    uint32_t cut = 0;

    while (coord_peers_get(&rest, &peer) && list.size - rest.size <= most)
        cut = list.size - rest.size;
    return cut;
}
