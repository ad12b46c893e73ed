/* The transport's sockets: opening, connecting. */
#include "coordinator/coord_net_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define NET_HANDSHAKE_MS   3000 /* a stranger may hold a descriptor for so long */
#define NET_RECONNECT_MS   10
#define NET_RECONNECT_MAX_MS 500
#define NET_HEARTBEAT_MS   1000 /* finds a connection that is cut without a word */
#define NET_SILENCE_MS     3000
#define NET_BACKLOG        1024
#define NET_MONITOR_QUEUE  65536 /* events; ZeroMQ's thread waits when there are more */

uint64_t net_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static df_status net_fail(df_error *err, const char *what)
{
    int code = errno;

    return df_fail(err, code == ENOMEM ? DF_ENOMEM : DF_EIO, "%s: %s", what, zmq_strerror(code));
}

/* ---- sockets ---- */

static bool socket_set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static int socket_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;

    return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

/* The message limit holds for each part; the head carries the sender's number as well. */
static bool socket_set_all(const coord_net *net, void *socket)
{
    int64_t size = (int64_t)net->frame_size_max + NET_SENDER_SIZE;

    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size, sizeof size) == 0 &&
           socket_set(socket, ZMQ_ROUTER_MANDATORY, 1) &&
           socket_set(socket, ZMQ_SNDHWM, NET_QUEUE_MAX) &&
           socket_set(socket, ZMQ_RCVHWM, NET_QUEUE_MAX) &&
           socket_set(socket, ZMQ_LINGER, NET_LINGER_MS) &&
           socket_set(socket, ZMQ_BACKLOG, NET_BACKLOG) &&
           socket_set(socket, ZMQ_HANDSHAKE_IVL, NET_HANDSHAKE_MS) &&
           socket_set(socket, ZMQ_RECONNECT_IVL, NET_RECONNECT_MS) &&
           socket_set(socket, ZMQ_RECONNECT_IVL_MAX, NET_RECONNECT_MAX_MS) &&
           socket_set(socket, ZMQ_CONNECT_TIMEOUT, NET_HANDSHAKE_MS) &&
           socket_set(socket, ZMQ_HEARTBEAT_IVL, NET_HEARTBEAT_MS) &&
           socket_set(socket, ZMQ_HEARTBEAT_TIMEOUT, NET_SILENCE_MS) &&
           socket_set(socket, ZMQ_HEARTBEAT_TTL, NET_SILENCE_MS);
}

/* A socket with its monitor. */
static df_status socket_open(coord_net *net, net_socket *s, const char *monitor, int events,
                             df_error *err)
{
    s->socket = zmq_socket(net->ctx, ZMQ_ROUTER);
    s->monitor = zmq_socket(net->ctx, ZMQ_PAIR);
    if (s->socket == NULL || s->monitor == NULL || !socket_set_all(net, s->socket) ||
        !socket_set(s->monitor, ZMQ_RCVHWM, NET_MONITOR_QUEUE) ||
        zmq_socket_monitor(s->socket, monitor, events) != 0 ||
        zmq_connect(s->monitor, monitor) != 0)
        return net_fail(err, "a socket of ZeroMQ");
    s->fd = socket_fd(s->socket);
    s->monitor_fd = socket_fd(s->monitor);
    s->maybe = true;
    s->monitor_maybe = true;
    return DF_OK;
}

static void socket_close(net_socket *s)
{
    if (s->socket != NULL)
        zmq_socket_monitor(s->socket, NULL, 0);
    if (s->monitor != NULL)
        zmq_close(s->monitor);
    if (s->socket != NULL)
        zmq_close(s->socket);
    *s = (net_socket){ 0 };
}

/* ---- opening ---- */

static df_status net_bind_local(coord_net *net, const char *address, df_error *err)
{
    const char *path = address + strlen("ipc://");
    struct stat st;
    int fd;
    df_status s = net_listen_local(path, &fd, err);

    if (s != DF_OK)
        return s;
    strcpy(net->path, path);
    if (lstat(path, &st) == 0) {
        net->path_device = st.st_dev;
        net->path_inode = st.st_ino;
    }
    if (!socket_set(net->in.socket, ZMQ_USE_FD, fd) || zmq_bind(net->in.socket, address) != 0) {
        s = net_fail(err, address);
        close(fd);
        return s;
    }
    strcpy(net->address, address); /* the descriptor is ZeroMQ's now */
    net_rings_listen(net);
    return DF_OK;
}

static df_status net_bind_tcp(coord_net *net, const char *address, bool ipv6, df_error *err)
{
    char host[128] = "";
    const char *any = "tcp://0.0.0.0:";
    size_t size = sizeof net->address;
    char port[8];

    if (!socket_set(net->in.socket, ZMQ_IPV6, ipv6) || zmq_bind(net->in.socket, address) != 0 ||
        zmq_getsockopt(net->in.socket, ZMQ_LAST_ENDPOINT, net->address, &size) != 0)
        return net_fail(err, address);
    if (strncmp(net->address, any, strlen(any)) == 0) {
        snprintf(port, sizeof port, "%s", net->address + strlen(any));
        gethostname(host, sizeof host - 1);
        snprintf(net->address, sizeof net->address, "tcp://%s:%s", host, port);
    }
    return DF_OK;
}

static bool net_is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

/* Whoever listens needs a descriptor for each of its peers, and for strangers that do not go
 * away. */
static void net_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static df_status net_guard_need(coord_net *net, df_error *err)
{
    if (net->guard != NULL)
        return DF_OK;
    if (net->keys == NULL)
        return df_fail(err, DF_EINVAL, "tcp needs keys");
    return net_guard_open(&net->guard, net->ctx, net->keys, net->key, err);
}

static df_status net_bind(coord_net *net, const char *bind, df_error *err)
{
    char address[sizeof net->address];
    bool ipv6;
    df_status s = net_resolve(bind, true, address, sizeof address, &ipv6, err);

    if (s != DF_OK)
        return s;
    net_raise_limit();
    s = socket_open(net, &net->in, "inproc://in", ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED, err);
    if (s == DF_OK && !net_is_tcp(address))
        return net_bind_local(net, address, err);
    if (s == DF_OK && !net->insecure) {
        net->guarded = true; /* from now on nobody is heard who has shown no key */
        s = net_guard_need(net, err);
        if (s == DF_OK)
            s = net_guard_listen(net->guard, net->in.socket, err);
        if (s != DF_OK)
            df_wrap(err, s, "%s", bind);
    }
    return s == DF_OK ? net_bind_tcp(net, address, ipv6, err) : s;
}

df_status coord_net_open(coord_net **out, const coord_net_options *o, df_error *err)
{
    coord_net *net = calloc(1, sizeof *net);
    df_status s;

    *out = NULL;
    if (net == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    net->self = o->self;
    net->frame_size_max = o->frame_size_max;
    net->insecure = o->insecure;
    net_parts_init(net);
    net->keys = o->keys == NULL ? NULL : strdup(o->keys);
    net->key = o->key == NULL ? NULL : strdup(o->key);
    net->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    net->epoll = epoll_create1(EPOLL_CLOEXEC);
    net->rings.listener = net->rings.epoll = -1;
    net->ctx = zmq_ctx_new();
    if (net->wake_fd < 0 || net->epoll < 0 || net->ctx == NULL || (o->rings && !net_rings_open(net)) || (o->keys != NULL && net->keys == NULL) ||
        (o->key != NULL && net->key == NULL) || zmq_ctx_set(net->ctx, ZMQ_IO_THREADS, 1) != 0) {
        s = net_fail(err, "the transport");
        goto out;
    }
    s = socket_open(net, &net->out, "inproc://out",
                    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                    err);
    if (s == DF_OK && o->bind != NULL)
        s = net_bind(net, o->bind, err);
    if (s == DF_OK && !net_poll_open(net))
        s = net_fail(err, "the transport");
    if (s != DF_OK)
        goto out;
    *out = net;
    net = NULL;
out:
    coord_net_close(&net);
    return s;
}

/* Only the file that we have made: a process that came after us may have replaced it. */
static void net_unlink(const coord_net *net)
{
    struct stat st;

    if (net->path[0] != '\0' && lstat(net->path, &st) == 0 && st.st_dev == net->path_device &&
        st.st_ino == net->path_inode)
        unlink(net->path);
}

void coord_net_close(coord_net **address)
{
    coord_net *net = *address;

    if (net == NULL)
        return;
    net_unlink(net);
    net_rings_close(net);
    net_parts_close(net);
    socket_close(&net->in);
    socket_close(&net->out);
    net_guard_close(&net->guard);
    while (net->ctx != NULL && zmq_ctx_term(net->ctx) != 0 && errno == EINTR)
        ;
    if (net->wake_fd >= 0)
        close(net->wake_fd);
    if (net->epoll >= 0)
        close(net->epoll);
    net_peers_free(&net->peers);
    free(net->keys);
    free(net->key);
    free(net);
    *address = NULL;
}

const char *coord_net_address(const coord_net *net)
{
    return net->address;
}

const char *coord_net_key(const coord_net *net)
{
    return net->guarded ? net_guard_key(net->guard) : "";
}

df_status coord_net_allow(coord_net *net, const char *key, coord_role role, df_error *err)
{
    return net->guarded ? net_guard_allow(net->guard, key, role, err) : DF_OK;
}

void coord_net_stats_get(const coord_net *net, coord_net_stats *stats)
{
    *stats = net->stats;
    stats->refused = net->guard == NULL ? 0 : net_guard_refused(net->guard);
}

/* ---- connecting ---- */

static void net_unconnect(coord_net *net, net_peer *peer)
{
    if (peer->address != NULL) {
        zmq_disconnect(net->out.socket, peer->address);
        net->out.maybe = true; /* the rest of it happens when the socket is read */
    }
    net_ring_disconnect(net, peer);
    free(peer->address);
    free(peer->wanted);
    peer->address = NULL;
    peer->wanted = NULL;
    peer->out_up = false;
    peer->retry_ms = 0;
}

/* ZeroMQ disconnects by address, and its monitor speaks of addresses. */
static void net_unconnect_address(coord_net *net, const char *address)
{
    for (size_t i = 0; i < net->peers.capacity; i++) {
        net_peer *peer = net->peers.table[i];

        if (peer != NULL && peer->address != NULL && strcmp(peer->address, address) == 0) {
            net_out_down(&net->peers, peer);
            net_unconnect(net, peer);
        }
    }
}

/* ZeroMQ copies the socket's options into each connection when it is made. */
static df_status net_connect_as(coord_net *net, const net_peer *peer, df_error *err)
{
    df_status s;

    if (!net_is_tcp(peer->address) || net->insecure)
        return socket_set(net->out.socket, ZMQ_CURVE_SERVER, 0) ? DF_OK : net_fail(err, peer->wanted);
    if (peer->key[0] == '\0')
        return df_fail(err, DF_EINVAL, "%s: the public key of who listens there is needed",
                       peer->wanted);
    s = net_guard_need(net, err);
    if (s == DF_OK)
        s = net_guard_connect(net->guard, net->out.socket, peer->key, err);
    return s == DF_OK ? s : df_wrap(err, s, "%s", peer->wanted);
}

static df_status net_connect(coord_net *net, net_peer *peer, df_error *err)
{
    uint8_t name[NET_OUT_NAME_SIZE];
    df_status s = net_connect_as(net, peer, err);

    if (s != DF_OK)
        return s;
    peer->serial = ++net->serial;
    net_out_name(peer, name);
    if (!socket_set(net->out.socket, ZMQ_IPV6, peer->ipv6) ||
        zmq_setsockopt(net->out.socket, ZMQ_CONNECT_ROUTING_ID, name, sizeof name) != 0 ||
        zmq_connect(net->out.socket, peer->address) != 0)
        return net_fail(err, peer->wanted);
    net->out.maybe = true;
    return DF_OK;
}

df_status coord_net_connect(coord_net *net, uint64_t number, const char *address,
                            const char *server_key, df_error *err)
{
    char resolved[320];
    bool ipv6;
    net_peer *peer = net_peer_get(&net->peers, number);
    df_status s;

    if (peer == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory, or too many peers");
    server_key = server_key == NULL ? "" : server_key;
    if (peer->wanted != NULL && strcmp(peer->wanted, address) == 0 && strcmp(peer->key, server_key) == 0)
        return DF_OK;
    if (strlen(server_key) >= NET_USER_SIZE)
        return df_fail(err, DF_EINVAL, "\"%.60s\" is no public key", server_key);
    s = net_resolve(address, false, resolved, sizeof resolved, &ipv6, err);
    if (s != DF_OK)
        return s;
    net_out_down(&net->peers, peer);
    net_unconnect(net, peer);
    net_unconnect_address(net, resolved);
    peer->address = strdup(resolved);
    peer->wanted = strdup(address);
    strcpy(peer->key, server_key);
    peer->ipv6 = ipv6;
    if (peer->address == NULL || peer->wanted == NULL)
        s = df_fail(err, DF_ENOMEM, "out of memory");
    else
        s = net_connect(net, peer, err);
    if (s != DF_OK)
        net_unconnect(net, peer);
    return s;
}

void coord_net_disconnect(coord_net *net, uint64_t number)
{
    net_peer *peer = net_peer_find(&net->peers, number);

    if (peer != NULL)
        net_unconnect(net, peer);
}

void net_retry(coord_net *net)
{
    uint64_t now_ms = net_now_ms();

    if (net->retry_ms == 0 || now_ms < net->retry_ms)
        return;
    net->retry_ms = 0;
    for (size_t i = 0; i < net->peers.capacity; i++) {
        net_peer *peer = net->peers.table[i];

        if (peer == NULL || peer->retry_ms == 0)
            continue;
        if (now_ms >= peer->retry_ms) {
            zmq_disconnect(net->out.socket, peer->address);
            peer->retry_ms = net_connect(net, peer, NULL) == DF_OK ? 0 : now_ms + NET_RECONNECT_MAX_MS;
        }
        if (peer->retry_ms != 0 && (net->retry_ms == 0 || peer->retry_ms < net->retry_ms))
            net->retry_ms = peer->retry_ms;
    }
}
