/* Rings to the peers of this host: a way for frames that needs no system call while both sides are awake.
 *
 * A ring goes with a connection over a local socket and is no connection itself: when ours is up, we
 * connect to a second socket of the same process, whose name says the first one's file, and hand over
 * memory that has no name and the descriptor that wakes us. The answer is the other's descriptor, and
 * from then on frames go this way. What the second socket is there for after that is its end, which
 * tells that the other process has ended or has given up.
 *
 *   from who connects:  "weirring", u32 version, u32 size of a ring, u64 number; memory, bell
 *   from who listens:   the same, with its own number; bell
 *
 * The name is in no folder, so nothing is left of a process that is killed. Who owns the process at the
 * other end is asked of the kernel: another user's is not spoken to. Memory that its giver could still
 * shorten would be a way to kill us, so it must be sealed. */
#include "coordinator/coord_net_private.h"

#include "coordinator/proto_msg.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RING_VERSION    1u
#define RING_HELLO_SIZE 24u
#define RING_BACKLOG    64
#define RING_COUNT_MAX  256u /* of all peers together */
#define RING_EVENTS_MAX 64   /* taken in one turn */
#define RING_HELLO_MS   3000 /* so long may somebody connect and say nothing */
#define RING_POLL_MS    10
#define RING_SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static const uint8_t ring_magic[8] = { 'w', 'e', 'i', 'r', 'r', 'i', 'n', 'g' };

/* ---- the second socket's name ---- */

static bool ring_name(const char *path, struct sockaddr_un *at, socklen_t *size)
{
    struct stat st;
    int length;

    if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    *at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    length = snprintf(at->sun_path + 1, sizeof at->sun_path - 1, "weir-ring-%jx-%jx",
                      (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    return true;
}

static bool ring_same_user(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
}

/* ---- what is said ---- */

static bool ring_say(const coord_net *net, int fd, const int *give, size_t count)
{
    uint8_t bytes[RING_HELLO_SIZE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = { 0 };
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                          .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    assert(count >= 1 && count <= 2);
    memcpy(bytes, ring_magic, sizeof ring_magic);
    proto_put_u32(bytes + 8, RING_VERSION);
    proto_put_u32(bytes + 12, COORD_RING_SIZE);
    proto_put_u64(bytes + 16, net->self);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), give, count * sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof bytes;
}

static void ring_close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Exactly `count` descriptors come with it; they are the caller's. DF_AGAIN: nothing has been said; DF_END:
 * nothing will be. */
static df_status ring_hear(int fd, int *taken, size_t count, uint64_t *number)
{
    uint8_t bytes[RING_HELLO_SIZE];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = { bytes, sizeof bytes };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                          .msg_controllen = sizeof control };
    ssize_t size = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = size < 0 ? NULL : CMSG_FIRSTHDR(&msg);
    int got[2] = { -1, -1 };
    size_t have = 0;

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return DF_AGAIN;
    if (size == 0)
        return DF_END;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        have = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        assert(have <= 2); /* the buffer takes no more */
        memcpy(got, CMSG_DATA(c), have * sizeof(int));
    }
    if (size != (ssize_t)sizeof bytes || have != count || (msg.msg_flags & MSG_CTRUNC) != 0 ||
        memcmp(bytes, ring_magic, sizeof ring_magic) != 0 || proto_get_u32(bytes + 8) != RING_VERSION ||
        proto_get_u32(bytes + 12) != COORD_RING_SIZE) {
        ring_close_fds(got, 2);
        return DF_ECORRUPT;
    }
    memcpy(taken, got, count * sizeof(int));
    *number = proto_get_u64(bytes + 16);
    return DF_OK;
}

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
    close(r->fd); /* and so it is no longer looked at */
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

/* The first half of the memory is for what goes to the one who listens. */
static bool ring_map(net_ring *r, int memory)
{
    size_t size = coord_ring_memory();
    struct stat st;
    char *at;

    if (fstat(memory, &st) != 0 || st.st_size != (off_t)(2 * size) ||
        (fcntl(memory, F_GET_SEALS) & RING_SEALS) != RING_SEALS)
        return false;
    at = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED)
        return false;
    r->memory = at;
    coord_ring_init(r->ours ? &r->out : &r->in, at);
    coord_ring_init(r->ours ? &r->in : &r->out, at + size);
    return true;
}

static int ring_memory_new(void)
{
    int memory = memfd_create("weir-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory >= 0 && (ftruncate(memory, (off_t)(2 * coord_ring_memory())) != 0 ||
                        fcntl(memory, F_ADD_SEALS, RING_SEALS) != 0)) {
        close(memory);
        memory = -1;
    }
    return memory;
}

/* What we are given to ring must not be able to hold us up. */
static bool ring_is_bell(int fd)
{
    static const char wanted[] = "anon_inode:[eventfd]";
    char path[32], found[sizeof wanted];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, found, sizeof found) == (ssize_t)strlen(wanted) &&
           memcmp(found, wanted, strlen(wanted)) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
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
        !ring_name(peer->address + strlen(local), &at, &size))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    give[0] = ring_memory_new();
    if (fd >= 0 && give[0] >= 0 && connect(fd, (const struct sockaddr *)&at, size) == 0 &&
        ring_same_user(fd))
        r = ring_new(net, fd, true);
    if (r != NULL) {
        fd = -1; /* the ring's */
        r->peer = peer->number;
        if (ring_map(r, give[0]) && ring_say(net, r->fd, give, 2))
            peer->out_ring = r;
        else
            ring_free(net, r);
    }
    ring_close_fds(&fd, 1);
    ring_close_fds(give, 1);
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
    df_status s = ring_hear(r->fd, &r->bell, 1, &number);

    if (s == DF_OK && (number != r->peer || !ring_is_bell(r->bell)))
        s = DF_ECORRUPT;
    if (s == DF_OK)
        r->up = true;
    return s;
}

/* Somebody's first word. */
static df_status ring_hello(coord_net *net, net_ring *r)
{
    int taken[2] = { -1, -1 };
    df_status s = ring_hear(r->fd, taken, 2, &r->peer);
    net_peer *peer;

    if (s != DF_OK)
        return s;
    r->bell = taken[1];
    s = ring_is_bell(r->bell) && ring_map(r, taken[0]) ? DF_OK : DF_ECORRUPT;
    ring_close_fds(taken, 1);
    peer = s == DF_OK ? net_peer_get(&net->peers, r->peer) : NULL;
    if (peer == NULL || !ring_say(net, r->fd, &net->wake_fd, 1))
        return DF_ECORRUPT;
    if (peer->in_ring != NULL) /* of a connection before this one */
        ring_free(net, peer->in_ring);
    r->up = true;
    net_ring_in_up(&net->peers, peer, r);
    return DF_OK;
}

static void ring_accept(coord_net *net)
{
    for (;;) {
        int fd = accept4(net->rings.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        if (!ring_same_user(fd) || ring_new(net, fd, false) == NULL)
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

    if (net->rings.bytes == NULL || !ring_name(net->path, &at, &size))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, size) == 0 && listen(fd, RING_BACKLOG) == 0 &&
        epoll_ctl(net->rings.epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        net->rings.listener = fd;
    else
        ring_close_fds(&fd, 1);
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
    ring_close_fds(&net->rings.listener, 1);
    ring_close_fds(&net->rings.epoll, 1);
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
            nothing &= !r->put && !r->ended && coord_ring_reader_sleep(&r->in);
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

bool net_ring_receive(coord_net *net)
{
    for (uint32_t i = net->rings.count; i > 0; i--) {
        net_ring *r = net->rings.turn == NULL ? net->rings.first : net->rings.turn;
        coord_ring_frame f;
        df_status s = r->up ? coord_ring_get(&r->in, net->rings.bytes, &f) : DF_AGAIN;

        net->rings.turn = r->next;
        if (s == DF_OK) {
            r->got = true;
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
