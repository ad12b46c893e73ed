/* Inside the transport: coord_net.c (sockets), coord_net_frame.c (sending, receiving, what the monitors
 * say), coord_net_zap.c (who may); and without ZeroMQ: coord_net_wait.c (waiting), coord_net_address.c
 * (addresses), coord_net_peer.c (who is connected), coord_net_ring.c and coord_net_hello.c (memory shared
 * with peers of this host).
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
#include "coordinator/coord_ring.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NET_QUEUE_MAX    1024 /* messages on each side of a connection */
#define NET_LINGER_MS    500
#define NET_SENDER_SIZE  8u
#define NET_OUT_NAME_SIZE 13u /* 'w', the peer's number, a serial */
#define NET_IN_NAME_SIZE 5u
#define NET_USER_SIZE    48u  /* a key in Z85 is 40 letters */
#define NET_PEERS_MAX    8192u

typedef struct net_ring net_ring;
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
    net_ring *out_ring, *in_ring; /* that go with its connections; null: there is none */
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
/* A ring that it has handed to us has ended. */
void net_ring_in_lost(net_peers *peers, net_peer *peer);
/* The first frame of such a ring has come; or a ring is lost, with what was in it, and there are other
 * ways to the peer: LINKED. */
void net_peer_relinked(net_peers *peers, net_peer *peer);
/* The next LINKED, GONE or REFUSED that is to be told. */
bool net_tell(net_peers *peers, coord_net_event *event);

/* ---- the rest ---- */

typedef struct net_socket {
    void *socket, *monitor;  /* of ZeroMQ */
    int fd, monitor_fd;      /* become readable when something may be there: see net_readable */
    bool maybe, monitor_maybe; /* something may be there to be read */
} net_socket;

/* ---- rings ---- */

/* A frame that waits for room. */
typedef struct net_ring_frame {
    struct net_ring_frame *next;
    coord_ring_frame frame;
    void (*release)(void *payload, void *hint); /* null: the payload lies in bytes */
    void *hint;
    uint8_t bytes[];
} net_ring_frame;

struct net_ring {
    net_ring *next;
    uint64_t peer;     /* its number; not known before the first word of one that is not ours */
    int fd;            /* local socket; its end is the ring's */
    int bell;          /* wakes the other side; -1: it has not been given yet */
    bool ours;         /* we have connected */
    bool up;           /* both sides have it */
    bool ended;        /* what is in it is read, no more */
    bool heard;        /* a frame has come */
    bool put, got;     /* since the last flush */
    uint64_t since_ms;
    void *memory;      /* of both rings */
    coord_ring out, in;
    net_ring_frame *waiting, **waiting_last;
    uint32_t waiting_count;
};

typedef struct net_rings {
    int listener, epoll;  /* -1: none */
    net_ring *first;
    net_ring *turn;       /* is read next; null: the first */
    uint32_t count;
    uint8_t *bytes;       /* of the frame that was read; null: there are no rings here */
} net_rings;

/* ---- coord_net_hello.c ---- */

/* Where who listens at the local socket `path` takes rings. False: nobody listens there. */
bool net_hello_name(const char *path, struct sockaddr_un *at, socklen_t *size);
/* Whether the process at the other end is of our own user. */
bool net_hello_same_user(int fd);
bool net_hello_say(const coord_net *net, int fd, const int *give, size_t count);
/* Exactly `count` descriptors come with it; they are the caller's. DF_AGAIN: nothing has been said;
 * DF_END: nothing will be. */
df_status net_hello_hear(int fd, int *taken, size_t count, uint64_t *number);
/* What we are given to ring must not be able to hold us up. */
bool net_hello_is_bell(int fd);
/* Memory for a ring in each direction, sealed; -1: there is none. */
int net_hello_memory(void);
/* Fill the ring with such memory. The first half is for what goes to the one who listens. */
bool net_hello_map(net_ring *ring, int memory);
void net_hello_close(int *fds, size_t count);

/* ---- coord_net_ring.c ---- */

/* False: out of memory or descriptors. */
bool net_rings_open(coord_net *net);
/* The local socket is bound: others may hand rings to us from now on. */
void net_rings_listen(coord_net *net);
void net_rings_close(coord_net *net);
/* Our connection to the peer is up: hand it a ring, if it is one of this host. */
void net_ring_connect(coord_net *net, net_peer *peer);
void net_ring_disconnect(coord_net *net, net_peer *peer);
/* Like coord_net_send. At most COORD_RING_FRAME_MAX bytes. */
df_status net_ring_send(coord_net *net, net_ring *ring, const coord_net_frame *frame,
                        df_error *err) DF_MUST_CHECK;
/* Like coord_net_room. */
uint8_t *net_ring_room(net_ring *ring, uint32_t head_size, uint32_t payload_size);
/* The next frame of any ring, into net->frame. */
bool net_ring_receive(coord_net *net);
/* Somebody connected, answered or went. */
void net_rings_events(coord_net *net);
/* Ring the bells that are due; send what waited for room. */
void net_rings_flush(coord_net *net);
bool net_rings_filled(const coord_net *net);
/* Say that we sleep. False: there is something to do. */
bool net_rings_sleep(coord_net *net);
void net_rings_wake(coord_net *net);

typedef enum net_poll {
    NET_POLL_IN,
    NET_POLL_OUT,
    NET_POLL_IN_MONITOR,
    NET_POLL_OUT_MONITOR,
    NET_POLL_RINGS,
    NET_POLL_BELL,
    NET_POLL_COUNT,
} net_poll;

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
    net_rings rings;
    coord_net_stats stats;
    /* Receiving. */
    net_msg parts[NET_PARTS];
    coord_net_event frame; /* of `parts` */
    bool held;             /* `frame` has not been told yet */
    bool turn;             /* which socket is read first */
    uint32_t streak;       /* messages since the monitors were read */
    /* Waking. */
    int epoll;          /* of what we wait for, but for the caller's descriptors */
    int wake_fd;        /* also the bell of all rings; never read, for each write is an event */
    uint32_t unpolled;  /* waits since the descriptors were looked at */
    bool dozes;         /* no bell is asked for: see coord_net_doze */
    _Atomic bool woken, asleep;
};

uint64_t net_now_ms(void);

/* coord_net.c: connect again where ZeroMQ has given up. */
void net_retry(coord_net *net);
/* coord_net_wait.c: put together what coord_net_wait waits for. */
bool net_poll_open(coord_net *net);

/* coord_net_frame.c */
/* How our connection to a peer is called. */
void net_out_name(const net_peer *peer, uint8_t name[NET_OUT_NAME_SIZE]);
void net_parts_init(coord_net *net);
void net_parts_close(coord_net *net);
/* Read all that the monitors say; `must`: even if no signal of theirs was seen. Returns whether
 * there was something. */
bool net_watch(coord_net *net, bool must);
/* Whether a socket has something to read. */
bool net_readable(void *socket, bool *maybe);

/* coord_net_address.c: addresses and the local socket. */

/* The address as ZeroMQ takes it and as its monitor says it: the host as a number. */
df_status net_resolve(const char *address, bool bind, char *out, size_t size, bool *ipv6,
                      df_error *err) DF_MUST_CHECK;
/* A listening local socket, mode 0600 from the first moment on. */
df_status net_listen_local(const char *path, int *fd, df_error *err) DF_MUST_CHECK;

#endif
