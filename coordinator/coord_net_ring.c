/* Rings to the peers of this host: a way for frames that needs no system call while both sides are awake.
 *
 * A ring goes with a connection over a local socket and is no connection itself: when ours is up, we
 * connect to a second socket of the same process and hand over memory and the descriptor that wakes us
 * (coord_net_hello.c). The answer is the other's descriptor, and from then on frames go this way. What
 * the second socket is there for after that is its end, which tells that the other process has ended or
 * has given up. */
#include "coordinator/coord_net_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RING_BACKLOG    64
#define RING_COUNT_MAX  256u /* of all peers together */
#define RING_EVENTS_MAX 64   /* taken in one turn */
#define RING_HELLO_MS   3000 /* so long may somebody connect and say nothing */
#define RING_POLL_MS    10

/* ---- a ring's life ---- */

static net_ring *ring_new(coord_net *net, int fd, bool ours)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
    net_ring *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    event.data.ptr = r;
    *r = (net_ring){ .fd = fd, .bell = -1, .ours = ours, .since_ms = net_now_ms(),
                     .waiting_last = &r->waiting, .next = net->rings.first };
    if (net->rings.count >= RING_COUNT_MAX || epoll_ctl(net->rings.epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(r);
        return NULL;
    }
    net->rings.first = r;
    net->rings.count++;
    return r;
}

static void ring_drop_waiting(net_ring *r)
{
    for (net_ring_frame *f; (f = r->waiting) != NULL;) {
        r->waiting = f->next;
        if (f->release != NULL)
            f->release((void *)(uintptr_t)f->frame.payload, f->hint);
        free(f);
    }
    r->waiting_last = &r->waiting;
    r->waiting_count = 0;
}

/* It is no way to its peer any more. */
static void ring_part(coord_net *net, net_ring *r)
{
    net_peer *peer = r->up || r->ours ? net_peer_find(&net->peers, r->peer) : NULL;

    if (peer != NULL && peer->out_ring == r)
        peer->out_ring = NULL;
    if (peer != NULL && peer->in_ring == r)
        net_ring_in_lost(&net->peers, peer);
    ring_drop_waiting(r);
}

static void ring_free(coord_net *net, net_ring *r)
{
    net_ring **at = &net->rings.first;

    ring_part(net, r);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (net->rings.turn == r)
        net->rings.turn = r->next;
    net->rings.count--;
    /* Closing is not enough while a child that was forked just now has it open, too. */
    epoll_ctl(net->rings.epoll, EPOLL_CTL_DEL, r->fd, NULL);
    close(r->fd);
    if (r->bell >= 0)
        close(r->bell);
    if (r->memory != NULL)
        munmap(r->memory, 2 * coord_ring_memory());
    free(r);
}

/* It ended, or is given up, while its connection lasts perhaps: what was under way is lost, and that is
 * told. */
static void ring_lost(coord_net *net, net_ring *r)
{
    net_peer *peer = r->up ? net_peer_find(&net->peers, r->peer) : NULL;

    ring_part(net, r);
    if (peer != NULL)
        net_peer_relinked(&net->peers, peer);
}

static void ring_break(coord_net *net, net_ring *r)
{
    net->stats.rejected++;
    ring_lost(net, r);
    ring_free(net, r);
}

/* ---- making one ---- */

void net_ring_connect(coord_net *net, net_peer *peer)
{
    const char *local = "ipc://";
    struct sockaddr_un at;
    socklen_t size;
    net_ring *r = NULL;
    int give[2] = { -1, net->wake_fd }, fd = -1;

    net_ring_disconnect(net, peer);
    if (net->rings.bytes == NULL || strncmp(peer->address, local, strlen(local)) != 0 ||
        !net_hello_name(peer->address + strlen(local), &at, &size))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    give[0] = net_hello_memory();
    if (fd >= 0 && give[0] >= 0 && connect(fd, (const struct sockaddr *)&at, size) == 0 &&
        net_hello_same_user(fd))
        r = ring_new(net, fd, true);
    if (r != NULL) {
        fd = -1; /* the ring's */
        r->peer = peer->number;
        if (net_hello_map(r, give[0]) && net_hello_say(net, r->fd, give, 2))
            peer->out_ring = r;
        else
            ring_free(net, r);
    }
    net_hello_close(&fd, 1);
    net_hello_close(give, 1);
}

void net_ring_disconnect(coord_net *net, net_peer *peer)
{
    if (peer->out_ring != NULL)
        ring_free(net, peer->out_ring);
}

/* The answer to ours. */
static df_status ring_welcomed(net_ring *r)
{
    uint64_t number;
    df_status s = net_hello_hear(r->fd, &r->bell, 1, &number);

    if (s == DF_OK && (number != r->peer || !net_hello_is_bell(r->bell)))
        s = DF_ECORRUPT;
    if (s == DF_OK)
        r->up = true;
    return s;
}

/* Somebody's first word. */
static df_status ring_hello(coord_net *net, net_ring *r)
{
    int taken[2] = { -1, -1 };
    df_status s = net_hello_hear(r->fd, taken, 2, &r->peer);
    net_peer *peer;

    if (s != DF_OK)
        return s;
    r->bell = taken[1];
    s = net_hello_is_bell(r->bell) && net_hello_map(r, taken[0]) ? DF_OK : DF_ECORRUPT;
    net_hello_close(taken, 1);
    peer = s == DF_OK ? net_peer_get(&net->peers, r->peer) : NULL;
    if (peer == NULL || !net_hello_say(net, r->fd, &net->wake_fd, 1))
        return DF_ECORRUPT;
    if (peer->in_ring != NULL) /* of a connection before this one */
        ring_free(net, peer->in_ring);
    r->up = true;
    peer->in_ring = r;
    return DF_OK;
}

static void ring_accept(coord_net *net)
{
    for (;;) {
        int fd = accept4(net->rings.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        if (!net_hello_same_user(fd) || ring_new(net, fd, false) == NULL)
            close(fd);
    }
}

/* Something has been said, or it is over. */
static void ring_event(coord_net *net, net_ring *r, uint32_t events)
{
    df_status s = DF_AGAIN;
    uint8_t byte;

    if (!r->up)
        s = r->ours ? ring_welcomed(r) : ring_hello(net, r);
    else if (recv(r->fd, &byte, 1, MSG_DONTWAIT) >= 0)
        s = DF_END;
    if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0 && s != DF_ECORRUPT)
        s = DF_END;
    if (s == DF_END && r->up) {
        r->ended = true; /* its frames are read, then it is freed */
        epoll_ctl(net->rings.epoll, EPOLL_CTL_DEL, r->fd, NULL);
        ring_lost(net, r);
    } else if (s == DF_END) {
        ring_free(net, r);
    } else if (s == DF_ECORRUPT) {
        ring_break(net, r);
    }
}

static void ring_expire(coord_net *net)
{
    uint64_t now_ms = net_now_ms();

    for (net_ring *r = net->rings.first, *next; r != NULL; r = next) {
        next = r->next;
        if (!r->up && now_ms - r->since_ms > RING_HELLO_MS)
            ring_free(net, r);
    }
}

/* One at a time: what is done about one may end another. */
void net_rings_events(coord_net *net)
{
    struct epoll_event event;

    for (int i = 0; i < RING_EVENTS_MAX && epoll_wait(net->rings.epoll, &event, 1, 0) == 1; i++) {
        if (event.data.ptr == NULL)
            ring_accept(net);
        else
            ring_event(net, event.data.ptr, event.events);
    }
    ring_expire(net);
}

/* ---- all rings of a net ---- */

bool net_rings_open(coord_net *net)
{
    net->rings.epoll = epoll_create1(EPOLL_CLOEXEC);
    net->rings.bytes = malloc(COORD_RING_FRAME_MAX);
    return net->rings.epoll >= 0 && net->rings.bytes != NULL;
}

/* Without it nobody hands a ring to us; all goes over the connections. */
void net_rings_listen(coord_net *net)
{
    struct epoll_event event = { .events = EPOLLIN };
    struct sockaddr_un at;
    socklen_t size;
    int fd = -1;

    if (net->rings.bytes == NULL || !net_hello_name(net->path, &at, &size))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, size) == 0 && listen(fd, RING_BACKLOG) == 0 &&
        epoll_ctl(net->rings.epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        net->rings.listener = fd;
    else
        net_hello_close(&fd, 1);
}

/* Frames that wait for room have a little time to leave. */
static void rings_linger(coord_net *net)
{
    uint64_t until_ms = net_now_ms() + NET_LINGER_MS;
    bool wait = true;

    while (wait && net_now_ms() < until_ms) {
        struct pollfd bell = { .fd = net->wake_fd, .events = POLLIN };
        uint64_t used;

        net_rings_flush(net);
        wait = false;
        for (net_ring *r = net->rings.first; r != NULL; r = r->next)
            wait |= r->waiting != NULL && coord_ring_writer_sleep(&r->out);
        if (wait && poll(&bell, 1, RING_POLL_MS) > 0 && read(net->wake_fd, &used, sizeof used) < 0)
            wait = errno == EAGAIN || errno == EINTR;
    }
    net_rings_flush(net);
}

void net_rings_close(coord_net *net)
{
    rings_linger(net);
    while (net->rings.first != NULL)
        ring_free(net, net->rings.first);
    net_hello_close(&net->rings.listener, 1);
    net_hello_close(&net->rings.epoll, 1);
    free(net->rings.bytes);
}

/* ---- frames ---- */

static void ring_bell(const net_ring *r)
{
    uint64_t one = 1;

    if (write(r->bell, &one, sizeof one) < 0)
        assert(errno != EFAULT); /* the other side's trouble: its socket ends when it does */
}

static df_status ring_queue(net_ring *r, const coord_net_frame *frame, df_error *err)
{
    size_t copied = frame->head_size + (frame->release == NULL ? frame->payload_size : 0);
    net_ring_frame *f;

    if (r->waiting_count >= NET_QUEUE_MAX)
        return DF_AGAIN;
    f = malloc(sizeof *f + copied);
    if (f == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    *f = (net_ring_frame){ .release = frame->release, .hint = frame->hint,
                           .frame = { .head = f->bytes, .head_size = (uint32_t)frame->head_size,
                                      .payload = frame->payload,
                                      .payload_size = (uint32_t)frame->payload_size } };
    if (frame->head_size > 0)
        memcpy(f->bytes, frame->head, frame->head_size);
    if (frame->payload != NULL && frame->release == NULL) {
        f->frame.payload = f->bytes + frame->head_size;
        memcpy(f->bytes + frame->head_size, frame->payload, frame->payload_size);
    }
    *r->waiting_last = f;
    r->waiting_last = &f->next;
    r->waiting_count++;
    return DF_OK;
}

df_status net_ring_send(coord_net *net, net_ring *r, const coord_net_frame *frame, df_error *err)
{
    coord_ring_frame f = { .head = frame->head, .head_size = (uint32_t)frame->head_size,
                           .payload = frame->payload, .payload_size = (uint32_t)frame->payload_size };
    df_status s = r->waiting == NULL ? coord_ring_put(&r->out, &f) : DF_AGAIN;

    if (s == DF_ECORRUPT) {
        ring_break(net, r);
        return DF_AGAIN;
    }
    if (s == DF_AGAIN)
        return ring_queue(r, frame, err);
    r->put = true;
    if (frame->release != NULL)
        frame->release((void *)(uintptr_t)frame->payload, frame->hint);
    return DF_OK;
}

/* Not before what waits. */
uint8_t *net_ring_room(net_ring *r, uint32_t head_size, uint32_t payload_size)
{
    return r->waiting == NULL ? coord_ring_room(&r->out, head_size, payload_size) : NULL;
}

/* Frames that waited for room. */
static void ring_flush(coord_net *net, net_ring *r)
{
    net_ring_frame *f;
    df_status s = DF_OK;

    while ((f = r->waiting) != NULL && (s = coord_ring_put(&r->out, &f->frame)) == DF_OK) {
        r->put = true;
        r->waiting = f->next;
        r->waiting_count--;
        if (f->release != NULL)
            f->release((void *)(uintptr_t)f->frame.payload, f->hint);
        free(f);
    }
    if (r->waiting == NULL)
        r->waiting_last = &r->waiting;
    if (s == DF_ECORRUPT)
        ring_break(net, r);
}

void net_rings_flush(coord_net *net)
{
    for (net_ring *r = net->rings.first, *next; r != NULL; r = next) {
        next = r->next;
        if (!r->up)
            continue;
        if ((r->put && coord_ring_reader_sleeps(&r->out)) || (r->got && coord_ring_writer_sleeps(&r->in)))
            ring_bell(r);
        r->put = r->got = false;
        if (r->waiting != NULL)
            ring_flush(net, r);
    }
}

bool net_rings_filled(const coord_net *net)
{
    for (net_ring *r = net->rings.first; r != NULL; r = r->next)
        if (r->up && (r->ended || coord_ring_filled(&r->in)))
            return true;
    return false;
}

bool net_rings_sleep(coord_net *net)
{
    bool nothing = true;

    for (net_ring *r = net->rings.first; r != NULL; r = r->next)
        if (r->up) {
            nothing &= !r->put && !r->ended && (net->dozes || coord_ring_reader_sleep(&r->in));
            nothing &= r->waiting == NULL || coord_ring_writer_sleep(&r->out);
        }
    return nothing;
}

void net_rings_wake(coord_net *net)
{
    for (net_ring *r = net->rings.first; r != NULL; r = r->next)
        if (r->up)
            coord_ring_reader_wake(&r->in);
}

/* Like a connection that somebody made to us: it is told with its first frame. */
static void ring_first_heard(coord_net *net, const net_ring *r)
{
    net_peer *peer = net_peer_find(&net->peers, r->peer);

    if (peer != NULL)
        net_peer_relinked(&net->peers, peer);
}

bool net_ring_receive(coord_net *net)
{
    for (uint32_t i = net->rings.count; i > 0; i--) {
        net_ring *r = net->rings.turn == NULL ? net->rings.first : net->rings.turn;
        coord_ring_frame f;
        df_status s = r->up ? coord_ring_get(&r->in, net->rings.bytes, &f) : DF_AGAIN;

        net->rings.turn = r->next;
        if (s == DF_OK && !r->ours && !r->heard)
            ring_first_heard(net, r);
        if (s == DF_OK) {
            r->got = r->heard = true;
            net->frame = (coord_net_event){ .kind = COORD_NET_FRAME, .peer = r->peer,
                                            .role = COORD_ROLE_ADMIN, .bytes = f.head,
                                            .size = f.head_size, .payload = f.payload,
                                            .payload_size = f.payload_size };
            return true;
        }
        if (s == DF_ECORRUPT)
            ring_break(net, r);
        else if (r->ended)
            ring_free(net, r);
    }
    return false;
}
