/* A list of peers is bytes from outside. What is taken off it is the same when it is written again, and a cut is
 * of whole entries. */
#include "coordinator/coord_peers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    proto_bytes list = { data, (uint32_t)size }, rest = list;
    uint8_t again[COORD_PEER_SIZE_MAX];
    coord_peer peer;
    uint32_t cut = coord_peers_cut(list, (uint32_t)size / 2), at = 0;
    bool met = cut == 0;

    while (coord_peers_get(&rest, &peer)) {
        uint32_t taken = list.size - rest.size - at;

        if (coord_peers_put(again, sizeof again, &peer) != taken || memcmp(again, data + at, taken) != 0)
            abort();
        at += taken;
        met |= at == cut;
    }
    if (!met || cut > size / 2)
        abort();
    return 0;
}
