/* Frames to and from the sockets, and what their monitors say. */
#include "coordinator/coord_net_private.h"

#include "coordinator/proto_msg.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define FRAME_STREAK_MAX 64u /* messages read before the monitors are */
#define FRAME_RETRY_MS   500
#define FRAME_ROLE_MS    500 /* a connection's role is looked up again after this time */

_Static_assert(sizeof(zmq_msg_t) == NET_MSG_SIZE, "net_msg holds a zmq_msg_t");

static zmq_msg_t *frame_part(coord_net *net, size_t i)
{
    return (zmq_msg_t *)net->parts[i].bytes;
}

void net_parts_init(coord_net *net)
{
    for (size_t i = 0; i < NET_PARTS; i++)
        zmq_msg_init(frame_part(net, i));
}

void net_parts_close(coord_net *net)
{
    for (size_t i = 0; i < NET_PARTS; i++)
        zmq_msg_close(frame_part(net, i));
}

/* ---- names of connections ---- */

void net_out_name(const net_peer *peer, uint8_t name[NET_OUT_NAME_SIZE])
{
    name[0] = 'w'; /* not 0: those are ZeroMQ's own */
    proto_put_u64(name + 1, peer->number);
    proto_put_u32(name + 9, peer->serial);
}

/* ZeroMQ's own names count up, big-endian. */
static void frame_in_name(uint32_t name, uint8_t bytes[NET_IN_NAME_SIZE])
{
    bytes[0] = 0;
    name = htobe32(name);
    memcpy(bytes + 1, &name, sizeof name);
}

/* ---- sending ---- */

static int frame_send_part(void *socket, zmq_msg_t *msg, int flags)
{
    int rc;

    do
        rc = zmq_msg_send(msg, socket, flags | ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* Address a message. Only here ZeroMQ says whether there is a connection and room. */
static df_status frame_address(net_socket *s, const void *name, size_t size)
{
    int rc;

    s->maybe = true; /* sending may use up the signal that something has come */
    do
        rc = zmq_send(s->socket, name, size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? DF_AGAIN : DF_OK;
}

/* ZeroMQ knows no such connection any more, though its monitor has not said that it ended. */
static void frame_lost(coord_net *net, net_peer *peer)
{
    if (!peer->out_up) {
        net_in_lost(&net->peers, peer);
        return;
    }
    net_out_down(&net->peers, peer);
    net_ring_disconnect(net, peer);
    peer->retry_ms = net_now_ms();
    net->retry_ms = peer->retry_ms;
}

static df_status frame_address_peer(coord_net *net, net_peer *peer, net_socket **to)
{
    uint8_t name[NET_OUT_NAME_SIZE];
    df_status s = DF_AGAIN;

    errno = 0;
    if (peer->out_up) {
        *to = &net->out;
        net_out_name(peer, name);
        s = frame_address(*to, name, NET_OUT_NAME_SIZE);
    } else if (peer->address == NULL && peer->in_fd >= 0 &&
               net->peers.slots[peer->in_fd].role != COORD_ROLE_NONE) {
        *to = &net->in;
        frame_in_name(net->peers.slots[peer->in_fd].name, name);
        s = frame_address(*to, name, NET_IN_NAME_SIZE);
    }
    if (s != DF_OK && errno == EHOSTUNREACH)
        frame_lost(net, peer);
    return s;
}

static int frame_payload(zmq_msg_t *msg, const coord_net_frame *frame)
{
    if (frame->release != NULL)
        return zmq_msg_init_data(msg, (void *)(uintptr_t)frame->payload, frame->payload_size,
                                 frame->release, frame->hint);
    if (zmq_msg_init_size(msg, frame->payload_size) < 0)
        return -1;
    if (frame->payload_size > 0)
        memcpy(zmq_msg_data(msg), frame->payload, frame->payload_size);
    return 0;
}

/* The ring to a peer; null: there is none, or the frame is too large for one. Like connections: our
 * own, else the one that it made. */
static net_ring *frame_ring(const net_peer *peer, size_t size)
{
    net_ring *ring = peer->address != NULL ? peer->out_ring : peer->in_ring;

    return ring != NULL && ring->up && size <= COORD_RING_FRAME_MAX ? ring : NULL;
}

/* Over a connection of ZeroMQ. */
static df_status frame_send(coord_net *net, net_peer *peer, const coord_net_frame *frame, df_error *err)
{
    bool two = frame->payload != NULL;
    net_socket *to = NULL;
    zmq_msg_t head, payload;

    if (zmq_msg_init_size(&head, NET_SENDER_SIZE + frame->head_size) < 0)
        return df_fail(err, DF_ENOMEM, "out of memory");
    proto_put_u64(zmq_msg_data(&head), net->self);
    if (frame->head_size > 0)
        memcpy((uint8_t *)zmq_msg_data(&head) + NET_SENDER_SIZE, frame->head, frame->head_size);
    if (frame_address_peer(net, peer, &to) != DF_OK) {
        zmq_msg_close(&head);
        return DF_AGAIN;
    }
    /* From here on ZeroMQ takes every part, and drops all of them if the connection breaks. If
     * there is no memory for the payload, the frame must be ended without it; its receiver refuses
     * it. */
    if (two && frame_payload(&payload, frame) < 0) {
        frame_send_part(to->socket, &head, 0);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    frame_send_part(to->socket, &head, two ? ZMQ_SNDMORE : 0);
    if (two)
        frame_send_part(to->socket, &payload, 0);
    return DF_OK;
}

df_status coord_net_send(coord_net *net, uint64_t number, const coord_net_frame *frame, df_error *err)
{
    net_peer *peer = net_peer_find(&net->peers, number);
    size_t size = frame->head_size + frame->payload_size;
    net_ring *ring = peer == NULL ? NULL : frame_ring(peer, size);
    df_status s = DF_AGAIN;

    assert(frame->head_size == 0 || frame->head != NULL);
    assert(frame->payload != NULL || (frame->payload_size == 0 && frame->release == NULL));
    if (frame->head_size > net->frame_size_max || size > net->frame_size_max)
        return df_fail(err, DF_ELIMIT, "a frame of %zu bytes is larger than %u", size,
                       net->frame_size_max);
    if (ring != NULL)
        s = net_ring_send(net, ring, frame, err);
    else if (peer != NULL)
        s = frame_send(net, peer, frame, err);
    net->stats.again += s == DF_AGAIN;
    net->stats.frames_sent += s == DF_OK;
    net->stats.bytes_sent += s == DF_OK ? size : 0;
    return s;
}

uint8_t *coord_net_room(coord_net *net, uint64_t number, size_t head_size, size_t payload_size)
{
    const net_peer *peer = net_peer_find(&net->peers, number);
    net_ring *ring = peer == NULL ? NULL : frame_ring(peer, head_size + payload_size);

    return ring == NULL ? NULL : net_ring_room(ring, (uint32_t)head_size, (uint32_t)payload_size);
}

/* ---- receiving ---- */

/* ZeroMQ's descriptor is readable when its state has changed, once; what there is now must be
 * asked, and asking (like sending and receiving) uses up the signal. `*maybe` remembers that. */
bool net_readable(void *socket, bool *maybe)
{
    int events = 0;
    size_t size = sizeof events;

    if (socket == NULL || !*maybe)
        return false;
    *maybe = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
    return *maybe;
}

static int frame_receive_part(void *socket, zmq_msg_t *msg)
{
    int rc;

    do
        rc = zmq_msg_recv(msg, socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* All parts of a message; 0: none is there. More than NET_PARTS are counted and thrown away. */
static size_t frame_receive_parts(coord_net *net, net_socket *s)
{
    size_t count = 0;
    zmq_msg_t spill;

    if (frame_receive_part(s->socket, frame_part(net, 0)) < 0) {
        s->maybe = false;
        return 0;
    }
    for (count = 1; zmq_msg_more(frame_part(net, count - 1)); count++) {
        if (count == NET_PARTS)
            break;
        frame_receive_part(s->socket, frame_part(net, count));
    }
    if (count < NET_PARTS || !zmq_msg_more(frame_part(net, NET_PARTS - 1)))
        return count;
    zmq_msg_init(&spill);
    do {
        frame_receive_part(s->socket, &spill);
        count++;
    } while (zmq_msg_more(&spill));
    zmq_msg_close(&spill);
    return count;
}

/* Fill net->frame from the parts, without looking at who sent it. */
static bool frame_fill(coord_net *net, size_t parts)
{
    zmq_msg_t *head = frame_part(net, 1), *payload = frame_part(net, 2);
    coord_net_event *f = &net->frame;

    if (parts < 2 || parts > NET_PARTS || zmq_msg_size(head) < NET_SENDER_SIZE)
        return false;
    *f = (coord_net_event){ .kind = COORD_NET_FRAME, .peer = proto_get_u64(zmq_msg_data(head)),
                            .bytes = (uint8_t *)zmq_msg_data(head) + NET_SENDER_SIZE,
                            .size = zmq_msg_size(head) - NET_SENDER_SIZE };
    if (parts == NET_PARTS) {
        f->payload = zmq_msg_data(payload);
        f->payload_size = zmq_msg_size(payload);
    }
    return f->size + f->payload_size <= net->frame_size_max;
}

/* A frame over a connection that we made: it must be of the peer that we meant. */
static bool frame_from_out(coord_net *net)
{
    const uint8_t *name = zmq_msg_data(frame_part(net, 0));
    const net_peer *peer;

    if (zmq_msg_size(frame_part(net, 0)) != NET_OUT_NAME_SIZE)
        return false;
    peer = net_peer_find(&net->peers, proto_get_u64(name + 1));
    net->frame.role = COORD_ROLE_ADMIN;
    return peer != NULL && peer->address != NULL && peer->serial == proto_get_u32(name + 9) &&
           peer->number == net->frame.peer;
}

/* The key that the sender has shown; "" without keys. */
static const char *frame_user(coord_net *net)
{
    const char *user = net->guarded ? zmq_msg_gets(frame_part(net, 1), "User-Id") : "";

    return user == NULL || strlen(user) >= NET_USER_SIZE ? "" : user;
}

static coord_role frame_role(const coord_net *net, const char *user)
{
    return net->guarded ? net_guard_role(net->guard, user) : COORD_ROLE_ADMIN;
}

/* The list may have changed since the connection was made. */
static void slot_refresh(const coord_net *net, net_slot *slot)
{
    uint64_t now_ms = net->guarded ? net_now_ms() : 0;

    if (!net->guarded || now_ms - slot->role_ms < FRAME_ROLE_MS)
        return;
    slot->role_ms = now_ms;
    slot->role = frame_role(net, slot->peer->user);
}

/* A frame over a connection that somebody made to us. */
static bool frame_from_in(coord_net *net)
{
    const uint8_t *bytes = zmq_msg_data(frame_part(net, 0));
    const char *user;
    uint32_t name;
    net_slot *slot;
    int fd;

    /* Names that peers have chosen for themselves are none of ours. */
    if (zmq_msg_size(frame_part(net, 0)) != NET_IN_NAME_SIZE || bytes[0] != 0)
        return false;
    memcpy(&name, bytes + 1, sizeof name);
    name = be32toh(name);
    fd = zmq_msg_get(frame_part(net, 1), ZMQ_SRCFD);
    slot = net_slot_get(&net->peers, fd);
    if (slot == NULL)
        return false;
    if (!slot->named || slot->name != name) {
        /* A connection's first message. What the monitor said before it came must be known first:
         * the descriptor may have been another connection's. */
        net_watch(net, true);
        slot = net_slot_get(&net->peers, fd);
        user = frame_user(net);
        net->frame.role = frame_role(net, user);
        if (slot == NULL || !slot->open || (slot->named && (int32_t)(name - slot->name) < 0))
            return net->frame.role != COORD_ROLE_NONE; /* already closed, perhaps fd is in use again */
        slot = net_in_named(&net->peers, fd, name, net->frame.peer, user, net->frame.role);
    }
    if (slot == NULL || slot->peer == NULL || slot->peer->number != net->frame.peer)
        return false;
    slot_refresh(net, slot);
    net->frame.role = slot->role;
    return slot->role != COORD_ROLE_NONE;
}

/* A frame of a ring is taken without a look at its peer's connections; who may hand us one is an admin. */
static bool frame_receive_ring(coord_net *net)
{
    if (net->rings.first == NULL || net->streak >= FRAME_STREAK_MAX || !net_ring_receive(net))
        return false;
    net->held = net->frame.size + net->frame.payload_size <= net->frame_size_max;
    net->stats.rejected += !net->held;
    net->streak++;
    return true;
}

/* Read one message, into net->frame if it is a frame. False: there is none. */
static bool frame_receive_socket(coord_net *net)
{
    for (int i = 0; i < 2; i++) {
        net_socket *s = net->turn ? &net->out : &net->in;
        size_t parts;

        net->turn = !net->turn;
        parts = s->socket != NULL && s->maybe ? frame_receive_parts(net, s) : 0;
        if (parts == 0)
            continue;
        net->held = frame_fill(net, parts) &&
                    (s == &net->in ? frame_from_in(net) : frame_from_out(net));
        net->stats.rejected += !net->held;
        if (++net->streak >= FRAME_STREAK_MAX)
            net_watch(net, true);
        return true;
    }
    return false;
}

static bool frame_receive(coord_net *net)
{
    if (!frame_receive_ring(net) && !frame_receive_socket(net))
        return false;
    net->stats.frames_received += net->held;
    net->stats.bytes_received += net->held ? net->frame.size + net->frame.payload_size : 0;
    return true;
}

bool coord_net_next(coord_net *net, coord_net_event *event)
{
    if (!net->held) {
        net_parts_close(net);
        net_parts_init(net);
    }
    for (;;) {
        if (net_tell(&net->peers, event))
            return true;
        if (net->held) {
            *event = net->frame;
            net->held = false;
            return true;
        }
        if (!frame_receive(net) && !net_watch(net, false))
            return false;
    }
}

/* ---- monitors ---- */

static void watch_in(coord_net *net, uint16_t what, int fd)
{
    if (what == ZMQ_EVENT_ACCEPTED)
        net_in_accepted(&net->peers, fd);
    else if (what == ZMQ_EVENT_DISCONNECTED)
        net_in_closed(&net->peers, fd);
}

/* ZeroMQ connects again (RETRIED) when a connection breaks, but not when a handshake ended in an
 * error or a peer broke the rules: then we do. */
static void watch_peer(coord_net *net, net_peer *peer, uint16_t what)
{
    switch (what) {
    case ZMQ_EVENT_CONNECT_RETRIED:
        peer->retry_ms = 0;
        return;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        peer->retry_ms = 0;
        net_out_up(&net->peers, peer);
        net_ring_connect(net, peer);
        return;
    case ZMQ_EVENT_DISCONNECTED:
        net_out_down(&net->peers, peer);
        net_ring_disconnect(net, peer);
        break;
    default:
        net_out_refused(&net->peers, peer);
    }
    peer->retry_ms = net_now_ms() + FRAME_RETRY_MS;
    if (net->retry_ms == 0)
        net->retry_ms = peer->retry_ms;
}

static void watch_out(coord_net *net, uint16_t what, const char *address, size_t size)
{
    for (size_t i = 0; i < net->peers.capacity; i++) {
        net_peer *peer = net->peers.table[i];

        if (peer == NULL || peer->address == NULL || strlen(peer->address) != size ||
            memcmp(peer->address, address, size) != 0)
            continue;
        watch_peer(net, peer, what);
        return; /* an address belongs to one peer */
    }
}

/* An event is two parts: u16 event, i32 value (both in the machine's order); the address. */
static bool watch_socket(coord_net *net, net_socket *s, bool must)
{
    bool any = false;
    zmq_msg_t event, address;

    if (s->socket == NULL || !(must || s->monitor_maybe))
        return false;
    zmq_msg_init(&event);
    zmq_msg_init(&address);
    while (frame_receive_part(s->monitor, &event) >= 0 &&
           frame_receive_part(s->monitor, &address) >= 0) {
        const uint8_t *bytes = zmq_msg_data(&event);
        uint16_t what;
        int32_t value;

        any = true;
        memcpy(&what, bytes, sizeof what);
        memcpy(&value, bytes + sizeof what, sizeof value);
        if (s == &net->in)
            watch_in(net, what, value);
        else
            watch_out(net, what, zmq_msg_data(&address), zmq_msg_size(&address));
    }
    s->monitor_maybe = false;
    zmq_msg_close(&event);
    zmq_msg_close(&address);
    return any;
}

bool net_watch(coord_net *net, bool must)
{
    bool in, out;

    net->streak = 0;
    in = watch_socket(net, &net->in, must);
    out = watch_socket(net, &net->out, must);
    return in || out;
}
