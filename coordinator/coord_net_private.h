/* Inside the transport: coord_net.c (sockets, waiting), coord_net_address.c (addresses; knows no
 * ZeroMQ), coord_net_frame.c (sending, receiving, what the monitors say), coord_net_peer.c (who is
 * connected; knows no ZeroMQ), coord_net_zap.c (who may).
 *
 * Two ROUTER sockets. `in` listens; its connections are named by ZeroMQ (a zero byte and a number
 * that counts up), never by the peers, so nobody can take another's name. `out` connects; its
 * connections are named by us (peer's number and a serial that is never used again, for ZeroMQ
 * aborts the process if a name is used twice). Every message begins with its sender's number:
 *
 *     [ connection's name ] [ sender u64, little-endian | head ] [ payload ]
 *
 * The first message of a connection ties it to that number.
 *
 * Whether a connection lives is known from the sockets' monitors. For `in` they say a file
 * descriptor, which is tied to a connection by the descriptor that its first message names. */
#ifndef COORD_NET_PRIVATE_H
#define COORD_NET_PRIVATE_H

#include "coordinator/coord_net_zap.h"

#include <stdatomic.h>

#define NET_QUEUE_MAX    1024 /* messages on each side of a connection */
#define NET_SENDER_SIZE  8u
#define NET_OUT_NAME_SIZE 13u /* 'w', the peer's number, a serial */
#define NET_IN_NAME_SIZE 5u
#define NET_USER_SIZE    48u  /* a key in Z85 is 40 letters */
#define NET_PEERS_MAX    8192u

typedef struct net_peer net_peer;
struct net_peer {
    uint64_t number;
    char *address;    /* that we connect to, as the monitor says it; null: we do not */
    char *wanted;     /* the same as the caller wrote it */
    char key[NET_USER_SIZE]; /* that it must have; "": any */
    uint32_t serial;  /* of our connection */
    bool ipv6;
    bool out_up;
    uint64_t retry_ms; /* when we connect again, unless ZeroMQ does; 0: it does */
    int in_fd;        /* of its connection to us; -1: there is none */
    char user[NET_USER_SIZE]; /* the key that first used this number; "" without keys */
    /* What is to be told; see net_tell. */
    bool told_up, linked, gone, refused, queued;
    net_peer *next_told;
};

/* A connection that somebody made to us, by file descriptor. */
typedef struct net_slot {
    bool open;      /* accepted and not yet closed */
    bool named;     /* a message has come: the rest is known */
    uint32_t name;
    net_peer *peer; /* null: its frames are dropped */
    coord_role role;
    uint64_t role_ms; /* when that was looked up */
} net_slot;

typedef struct net_peers {
    net_peer **table; /* by number, linear probing; capacity a power of two, at most half full */
    size_t capacity, count;
    net_slot *slots;
    size_t slot_count;
    net_peer *told_first, *told_last;
} net_peers;

/* ---- coord_net_peer.c ---- */

void net_peers_free(net_peers *peers);
net_peer *net_peer_find(const net_peers *peers, uint64_t number);
/* Null: out of memory, or NET_PEERS_MAX are connected. */
net_peer *net_peer_get(net_peers *peers, uint64_t number);
/* Null: out of memory, or fd is none. */
net_slot *net_slot_get(net_peers *peers, int fd);

void net_out_up(net_peers *peers, net_peer *peer);
void net_out_down(net_peers *peers, net_peer *peer);
void net_out_refused(net_peers *peers, net_peer *peer);
void net_in_accepted(net_peers *peers, int fd);
void net_in_closed(net_peers *peers, int fd);
void net_in_lost(net_peers *peers, net_peer *peer); /* its connection to us */
/* The first message of connection `name` over fd says that it comes from `number` with the key
 * `user`. Null: its frames are to be dropped, for the number is another's. */
net_slot *net_in_named(net_peers *peers, int fd, uint32_t name, uint64_t number, const char *user,
                       coord_role role);
/* The next LINKED, GONE or REFUSED that is to be told. */
bool net_tell(net_peers *peers, coord_net_event *event);

/* ---- the rest ---- */

typedef struct net_socket {
    void *socket, *monitor;  /* of ZeroMQ */
    int fd, monitor_fd;      /* become readable when something may be there: see net_readable */
    bool maybe, monitor_maybe; /* something may be there to be read */
} net_socket;

#define NET_PATH_SIZE 108 /* of a sockaddr_un */
#define NET_PARTS 3 /* name, head, payload */
#define NET_MSG_SIZE 64 /* of a zmq_msg_t */

typedef struct net_msg {
    _Alignas(void *) unsigned char bytes[NET_MSG_SIZE];
} net_msg;

struct coord_net {
    uint64_t self;
    uint32_t frame_size_max;
    bool insecure;
    char *keys, *key;  /* folder and name; null: not given */
    net_guard *guard;  /* null until it is needed */
    bool guarded;      /* who connects to us has shown a key */
    void *ctx;
    net_socket in, out;
    char path[NET_PATH_SIZE]; /* of the local socket; "": none */
    uint64_t path_device, path_inode; /* which file that was */
    char address[320];
    uint32_t serial;
    uint64_t retry_ms; /* the earliest of the peers', or earlier; 0: none */
    net_peers peers;
    coord_net_stats stats;
    /* Receiving. */
    net_msg parts[NET_PARTS];
    coord_net_event frame; /* of `parts` */
    bool held;             /* `frame` has not been told yet */
    bool turn;             /* which socket is read first */
    uint32_t streak;       /* messages since the monitors were read */
    /* Waking. */
    int wake_fd;
    _Atomic bool woken, asleep;
};

uint64_t net_now_ms(void);

/* coord_net_frame.c */
/* How our connection to a peer is called. */
void net_out_name(const net_peer *peer, uint8_t name[NET_OUT_NAME_SIZE]);
void net_parts_init(coord_net *net);
void net_parts_close(coord_net *net);
/* Read all that the monitors say; `must`: even if no signal of theirs was seen. Returns whether
 * there was something. */
bool net_watch(coord_net *net, bool must);

/* coord_net_address.c: addresses and the local socket. */

/* The address as ZeroMQ takes it and as its monitor says it: the host as a number. */
df_status net_resolve(const char *address, bool bind, char *out, size_t size, bool *ipv6,
                      df_error *err) DF_MUST_CHECK;
/* A listening local socket, mode 0600 from the first moment on. */
df_status net_listen_local(const char *path, int *fd, df_error *err) DF_MUST_CHECK;

#endif
