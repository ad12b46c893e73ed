/* Waiting for what may come: the sockets' descriptors, rings, a wake, what the caller adds. */
#include "coordinator/coord_net_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NET_UNPOLLED_MAX 16 /* waits that only look at rings, while there is something in them */

/* Most of it is readable as long as something is there; writing to the bell is an event by itself, so it is
 * never read. */
bool net_poll_open(coord_net *net)
{
    const struct {
        int fd;
        uint32_t events;
    } own[] = { [NET_POLL_IN] = { net->in.socket == NULL ? -1 : net->in.fd, EPOLLIN },
                [NET_POLL_OUT] = { net->out.fd, EPOLLIN },
                [NET_POLL_IN_MONITOR] = { net->in.socket == NULL ? -1 : net->in.monitor_fd, EPOLLIN },
                [NET_POLL_OUT_MONITOR] = { net->out.monitor_fd, EPOLLIN },
                [NET_POLL_RINGS] = { net->rings.epoll, EPOLLIN },
                [NET_POLL_BELL] = { net->wake_fd, EPOLLIN | EPOLLET } };

    for (uint32_t i = 0; i < NET_POLL_COUNT; i++) {
        struct epoll_event event = { .events = own[i].events, .data.u32 = i };
        if (own[i].fd >= 0 && epoll_ctl(net->epoll, EPOLL_CTL_ADD, own[i].fd, &event) != 0)
            return false;
    }
    return true;
}

static int64_t net_timeout_us(const coord_net *net, int64_t timeout_us)
{
    uint64_t now_ms = net_now_ms();
    int64_t left_us = net->retry_ms <= now_ms ? 0 : (int64_t)(net->retry_ms - now_ms) * 1000;

    return net->retry_ms == 0 || (timeout_us >= 0 && timeout_us < left_us) ? timeout_us : left_us;
}

static bool net_pending(coord_net *net)
{
    return net->held || net->peers.told_first != NULL || net_rings_filled(net) ||
           net_readable(net->in.socket, &net->in.maybe) ||
           net_readable(net->out.socket, &net->out.maybe) ||
           net_readable(net->in.monitor, &net->in.monitor_maybe) ||
           net_readable(net->out.monitor, &net->out.monitor_maybe);
}

/* What epoll says: a bit for each of NET_POLL_*. */
static int net_poll_own(coord_net *net, const struct timespec *time, uint32_t *own)
{
    struct epoll_event events[NET_POLL_COUNT];
    int count = epoll_pwait2(net->epoll, events, NET_POLL_COUNT, time, NULL);

    for (int i = 0; i < count; i++)
        *own |= 1u << events[i].data.u32;
    return count;
}

/* With descriptors of the caller's. */
static int net_poll_all(coord_net *net, const struct timespec *time, const int *fds, size_t count,
                        uint32_t *own, uint64_t *ready)
{
    const struct timespec none = { 0 };
    struct pollfd polled[1 + COORD_NET_FDS_MAX] = { { .fd = net->epoll, .events = POLLIN } };
    int rc;

    for (size_t i = 0; i < count; i++)
        polled[1 + i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    rc = ppoll(polled, 1 + count, time, NULL);
    if (rc <= 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (polled[1 + i].revents != 0)
            *ready |= (uint64_t)1 << i;
    return polled[0].revents != 0 && net_poll_own(net, &none, own) < 0 ? -1 : rc;
}

static df_status net_sleep(coord_net *net, int64_t timeout_us, const int *fds, size_t count,
                           uint32_t *own, uint64_t *ready)
{
    struct timespec time;
    const struct timespec *most;
    int rc;

    /* Either the waker sees that we are asleep and writes, or we see that it has been here. */
    atomic_store(&net->asleep, true);
    if (atomic_load(&net->woken) || !net_rings_sleep(net))
        timeout_us = 0;
    time = (struct timespec){ .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
    most = timeout_us < 0 ? NULL : &time;
    rc = count == 0 ? net_poll_own(net, most, own) : net_poll_all(net, most, fds, count, own, ready);
    net_rings_wake(net);
    atomic_store(&net->asleep, false);
    if (rc < 0)
        return errno == EINTR ? DF_OK : DF_EIO;
    return rc == 0 && !atomic_load(&net->woken) ? DF_AGAIN : DF_OK;
}

df_status coord_net_wait(coord_net *net, int64_t timeout_us, const int *fds, size_t count,
                         uint64_t *ready)
{
    uint64_t ignored;
    uint32_t own = 0;
    bool pending;
    df_status s = DF_OK;

    assert(count <= COORD_NET_FDS_MAX);
    ready = ready == NULL ? &ignored : ready;
    *ready = 0;
    net_rings_flush(net);
    pending = net_pending(net);
    if (!net_rings_filled(net) || net->unpolled++ >= NET_UNPOLLED_MAX) {
        net->unpolled = 0;
        s = net_sleep(net, pending ? 0 : net_timeout_us(net, timeout_us), fds, count, &own, ready);
        net_retry(net);
    }
    atomic_exchange(&net->woken, false); /* what was done before the wake is seen from here on */
    net->in.maybe |= (own >> NET_POLL_IN & 1) != 0;
    net->out.maybe |= (own >> NET_POLL_OUT & 1) != 0;
    net->in.monitor_maybe |= (own >> NET_POLL_IN_MONITOR & 1) != 0;
    net->out.monitor_maybe |= (own >> NET_POLL_OUT_MONITOR & 1) != 0;
    if ((own >> NET_POLL_RINGS & 1) != 0)
        net_rings_events(net);
    return s == DF_AGAIN && pending ? DF_OK : s;
}

void coord_net_doze(coord_net *net, bool dozes)
{
    net->dozes = dozes;
}

void coord_net_wake(coord_net *net)
{
    uint64_t one = 1;

    atomic_store(&net->woken, true);
    if (atomic_exchange(&net->asleep, false) && write(net->wake_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN || errno == EINTR); /* it is readable already */
}
