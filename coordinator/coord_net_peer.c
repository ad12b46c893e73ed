/* Who is connected, and what is to be told of it. */
#include "coordinator/coord_net_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_FIRST 32u /* places of the smallest table */

static size_t peer_place(const net_peers *p, uint64_t number)
{
    uint64_t mixed = number * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(mixed >> 32) & (p->capacity - 1);

    while (p->table[i] != NULL && p->table[i]->number != number)
        i = (i + 1) & (p->capacity - 1);
    return i;
}

net_peer *net_peer_find(const net_peers *p, uint64_t number)
{
    return p->capacity == 0 ? NULL : p->table[peer_place(p, number)];
}

static void peer_free(net_peer *peer)
{
    free(peer->address);
    free(peer->wanted);
    free(peer);
}

void net_peers_free(net_peers *p)
{
    for (size_t i = 0; i < p->capacity; i++)
        if (p->table[i] != NULL)
            peer_free(p->table[i]);
    free(p->table);
    free(p->slots);
    *p = (net_peers){ 0 };
}

static bool peer_up(const net_peer *peer)
{
    return peer->out_up || peer->in_fd >= 0 || peer->in_ring != NULL;
}

static bool peer_needed(const net_peer *peer)
{
    return peer_up(peer) || peer->address != NULL || peer->queued || peer->out_ring != NULL;
}

/* Make room: forget who is gone, then, if that was not much, double the table. */
static bool peers_grow(net_peers *p)
{
    net_peer **old = p->table;
    size_t old_capacity = p->capacity, needed = 0;

    for (size_t i = 0; i < old_capacity; i++)
        needed += old[i] != NULL && peer_needed(old[i]);
    if (needed >= NET_PEERS_MAX)
        return false;
    p->capacity = PEERS_FIRST;
    while (p->capacity < 4 * needed)
        p->capacity *= 2;
    p->table = calloc(p->capacity, sizeof *p->table);
    if (p->table == NULL) {
        p->table = old;
        p->capacity = old_capacity;
        return false;
    }
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != NULL && peer_needed(old[i]))
            p->table[peer_place(p, old[i]->number)] = old[i];
        else if (old[i] != NULL)
            peer_free(old[i]);
    p->count = needed;
    free(old);
    return true;
}

net_peer *net_peer_get(net_peers *p, uint64_t number)
{
    net_peer *peer = net_peer_find(p, number);

    if (peer != NULL)
        return peer;
    if (2 * (p->count + 1) > p->capacity && !peers_grow(p))
        return NULL;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->number = number;
    peer->in_fd = -1;
    p->table[peer_place(p, number)] = peer;
    p->count++;
    return peer;
}

net_slot *net_slot_get(net_peers *p, int fd)
{
    size_t count = p->slot_count;
    net_slot *slots;

    if (fd < 0)
        return NULL;
    if ((size_t)fd < count)
        return &p->slots[fd];
    count = 2 * (size_t)fd + 64;
    slots = realloc(p->slots, count * sizeof *slots);
    if (slots == NULL)
        return NULL;
    memset(slots + p->slot_count, 0, (count - p->slot_count) * sizeof *slots);
    p->slots = slots;
    p->slot_count = count;
    return &slots[fd];
}

/* ---- telling ---- */

static void peer_queue(net_peers *p, net_peer *peer)
{
    if (peer->queued)
        return;
    peer->queued = true;
    peer->next_told = NULL;
    if (p->told_first == NULL)
        p->told_first = peer;
    else
        p->told_last->next_told = peer;
    p->told_last = peer;
}

static void peer_linked(net_peers *p, net_peer *peer)
{
    peer->linked = true;
    peer_queue(p, peer);
}

static void peer_lost(net_peers *p, net_peer *peer)
{
    if (peer_up(peer))
        return;
    peer->gone = true;
    peer_queue(p, peer);
}

/* Several may be due. Who went and came back: GONE, then LINKED. Who came and went unheard: only
 * GONE, and not even that if it was not known to be there. */
static coord_net_kind peer_next(net_peer *peer)
{
    bool gone = peer->gone && peer->told_up, linked = peer->linked && peer_up(peer);
    bool refused = peer->refused && peer->address != NULL && !peer->out_up;

    peer->gone = false;
    if (gone) {
        peer->told_up = false;
        return COORD_NET_GONE;
    }
    peer->linked = false;
    if (linked) {
        peer->told_up = true;
        return COORD_NET_LINKED;
    }
    peer->refused = false;
    return refused ? COORD_NET_REFUSED : 0;
}

bool net_tell(net_peers *p, coord_net_event *event)
{
    while (p->told_first != NULL) {
        net_peer *peer = p->told_first;
        coord_net_kind kind = peer_next(peer);

        if (kind != 0) {
            *event = (coord_net_event){ .kind = kind, .peer = peer->number };
            return true;
        }
        peer->queued = false;
        p->told_first = peer->next_told;
    }
    return false;
}

/* ---- connections ---- */

void net_out_up(net_peers *p, net_peer *peer)
{
    peer->out_up = true;
    peer_linked(p, peer);
}

void net_out_down(net_peers *p, net_peer *peer)
{
    if (!peer->out_up)
        return;
    peer->out_up = false;
    peer_lost(p, peer);
}

void net_ring_in_lost(net_peers *p, net_peer *peer)
{
    peer->in_ring = NULL;
    peer_lost(p, peer);
}

void net_peer_relinked(net_peers *p, net_peer *peer)
{
    if (peer_up(peer))
        peer_linked(p, peer);
}

void net_out_refused(net_peers *p, net_peer *peer)
{
    peer->refused = true;
    peer_queue(p, peer);
}

/* Part a connection from its peer, if it is still that peer's. */
static void slot_part(net_peers *p, net_slot *slot)
{
    net_peer *peer = slot->peer;

    slot->peer = NULL;
    if (peer == NULL || peer->in_fd != (int)(slot - p->slots))
        return;
    peer->in_fd = -1;
    peer_lost(p, peer);
}

void net_in_accepted(net_peers *p, int fd)
{
    net_slot *slot = net_slot_get(p, fd);

    if (slot == NULL)
        return; /* out of memory: its peer will be heard, but never LINKED */
    slot_part(p, slot);
    *slot = (net_slot){ .open = true };
}

void net_in_closed(net_peers *p, int fd)
{
    net_slot *slot = net_slot_get(p, fd);

    if (slot == NULL)
        return;
    slot_part(p, slot);
    *slot = (net_slot){ 0 };
}

void net_in_lost(net_peers *p, net_peer *peer)
{
    slot_part(p, &p->slots[peer->in_fd]); /* the descriptor may be another connection's by now */
}

net_slot *net_in_named(net_peers *p, int fd, uint32_t name, uint64_t number, const char *user,
                       coord_role role)
{
    net_slot *slot = net_slot_get(p, fd);
    net_peer *peer = net_peer_get(p, number);

    assert(strlen(user) < NET_USER_SIZE);
    if (slot == NULL || peer == NULL)
        return NULL;
    slot_part(p, slot); /* of a connection whose end was not noticed */
    slot->named = true;
    slot->name = name;
    slot->role = role;
    if (peer->user[0] == '\0')
        strcpy(peer->user, user);
    if (strcmp(peer->user, user) != 0)
        return NULL; /* the slot stays without a peer: its other frames are dropped too */
    if (peer->in_fd >= 0)
        p->slots[peer->in_fd].peer = NULL; /* what still comes over the older connection is dropped */
    slot->peer = peer;
    peer->in_fd = fd;
    peer_linked(p, peer);
    return slot;
}
