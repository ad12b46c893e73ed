/* The transport between weir's processes: frames over ZeroMQ, to peers that are known by a number.
 *
 * A process listens at one address (if others connect to it) and connects to any number of peers.
 * What is sent to a peer goes over our own connection to it if coord_net_connect made one, else
 * over the connection that it made to us. So a worker connects to the coordinator, which answers
 * over the same connection; two workers connect to each other, and each sends over its own.
 *
 * Nothing here is reliable: a frame that was queued may be lost, or arrive twice, when a connection
 * breaks. LINKED says that this may have happened; the protocol says again what matters.
 *
 * One thread uses a net; only coord_net_wake may be called from others, and `release` is called
 * from others. A process that forks without exec must not use the net in the child, and the child
 * keeps the parent's connections alive as long as it lives; over exec nothing is inherited. */
#ifndef COORD_NET_H
#define COORD_NET_H

#include "dataflow/df_error.h"

#include <stdbool.h>

#define COORD_NET_FDS_MAX 64 /* that one wait can look at */

typedef struct coord_net coord_net;

/* What a peer may do. */
typedef enum coord_role {
    COORD_ROLE_NONE = 0,
    COORD_ROLE_READ_ONLY,
    COORD_ROLE_WORKER,
    COORD_ROLE_ADMIN,
} coord_role;

typedef struct coord_net_options {
    uint64_t self;           /* this process's number: any, but no other process's */
    /* "ipc://PATH" or "tcp://HOST:PORT". PORT may be *: any free one. HOST may be *: all
     * interfaces, and others are told the machine's name. Null: nobody connects to us. */
    const char *bind;
    uint32_t frame_size_max; /* of head and payload together, sent and received */
    const char *keys;        /* folder of key files (coord_keys.h), for tcp; null: none */
    const char *key;         /* which one is ours: its name; null: the only one in the folder */
    bool insecure;           /* tcp without keys: who reaches the port is an admin */
    /* Peers of this host may be spoken to through memory that both see (coord_ring.h), in both
     * directions, beside their connections over local sockets: who speaks often wants that. */
    bool rings;
} coord_net_options;

/* On success *out is owned by the caller. Texts are copied. DF_EINVAL: the address is wrong, too
 * long (an ipc path may have 107 bytes), or needs keys; DF_EIO: it cannot be listened at, or
 * another process does. A socket file that nobody listens at is replaced. */
df_status coord_net_open(coord_net **out, const coord_net_options *options,
                         df_error *err) DF_MUST_CHECK;
/* Frames under way have half a second to leave. All payloads are released when it returns, the
 * socket file is gone. */
void coord_net_close(coord_net **net);

/* What others connect to, with the real port; "" if nobody can. Valid until close. */
const char *coord_net_address(const coord_net *net);
/* The public key that they must know; "" if there is none (ipc, or insecure). Valid until close. */
const char *coord_net_key(const coord_net *net);

/* Over tcp everything is encrypted (CURVE): whoever connects knows the public key of the one it
 * connects to, and must be on that one's list. The list is read again when it changes; who was
 * taken off it is not heard any more a second later.
 *
 * Connect to a peer, and again whenever the connection is lost. The same address again does
 * nothing, another one replaces it. A host's name is looked up once, here. An address belongs to
 * one peer: who had it before is disconnected. server_key: the peer's public key, for tcp with
 * keys; else null. Whether somebody answers is told by events. */
df_status coord_net_connect(coord_net *net, uint64_t peer, const char *address,
                            const char *server_key, df_error *err) DF_MUST_CHECK;
/* Give up our connection to the peer, if there is one; no event tells it. It ends as the net goes
 * on being waited for. */
void coord_net_disconnect(coord_net *net, uint64_t peer);

/* Let in a key that is not on the list, until close: somebody whom we trust vouches for it. What the
 * list says goes first. Does nothing where nobody shows a key. DF_EINVAL: it is no public key. */
df_status coord_net_allow(coord_net *net, const char *key, coord_role role, df_error *err) DF_MUST_CHECK;

/* "tcp://HOST:*", to be bound: HOST is this machine's address as the host of `address` (tcp) sees it.
 * Nothing is sent. */
df_status coord_net_near(char *out, size_t size, const char *address, df_error *err) DF_MUST_CHECK;

/* A frame is a head and perhaps a payload. They arrive as they were sent, in one part or in two
 * which are never joined, so that neither side copies the payload. */
typedef struct coord_net_frame {
    const void *head;     /* copied */
    size_t head_size;
    const void *payload;  /* null: none. Copied, unless `release` is given */
    size_t payload_size;
    /* Not null: the payload is borrowed until this is called, once, from any thread, perhaps before
     * coord_net_send returns. Only if that returns DF_OK. */
    void (*release)(void *payload, void *hint);
    void *hint;
} coord_net_frame;

/* Queue one frame. DF_AGAIN (without a text): not connected, or the queue is full; nothing was
 * sent. DF_ELIMIT: larger than frame_size_max. */
df_status coord_net_send(coord_net *net, uint64_t peer, const coord_net_frame *frame,
                         df_error *err) DF_MUST_CHECK;

/* Memory for the payload of the next frame to the peer, if it goes through memory that both see: sent with this payload,
 * nothing is copied. Nothing is to be sent between. Null: there is none. */
uint8_t *coord_net_room(coord_net *net, uint64_t peer, size_t head_size, size_t payload_size);

typedef enum coord_net_kind {
    COORD_NET_FRAME = 1,
    COORD_NET_LINKED, /* a connection to or from the peer was made (anew): what was under way may be lost */
    COORD_NET_GONE,   /* no connection to or from the peer is left */
    /* Somebody answers at the peer's address and no connection comes of it: it does not know our
     * key, or is not who has the key that we were given, or is no weir. It is tried again, and told
     * again. */
    COORD_NET_REFUSED,
} coord_net_kind;

/* Of a connection that somebody made to us, LINKED comes with its first frame, just before it.
 * Frames that were under way may still come after GONE. */
typedef struct coord_net_event {
    coord_net_kind kind;
    uint64_t peer;
    /* FRAME: what its sender may do, by its key. A local socket's peer is an admin (the file is
     * 0600), and so is a peer that we have chosen to connect to. */
    coord_role role;
    const uint8_t *bytes; /* the head */
    size_t size;
    const uint8_t *payload; /* null: there is none */
    size_t payload_size;
} coord_net_event;

/* The next event; its bytes are valid until the next call of coord_net_next or coord_net_close.
 * False: nothing is there, and nothing will be before coord_net_wait has been called (perhaps with
 * no time). */
bool coord_net_next(coord_net *net, coord_net_event *event);

/* Sleep until an event may be there, a wake, one of fds[count] is readable, or the time is over (<
 * 0: never). Returns at once if there is something already. *ready: a bit per readable fd. May
 * return for nothing. DF_AGAIN: the time was over. */
df_status coord_net_wait(coord_net *net, int64_t timeout_us, const int *fds, size_t count,
                         uint64_t *ready);
/* From now on a wait need not end for what processes of this host send; it is there when the wait ends for something
 * else. Or, again, it ends at once: as at the beginning. */
void coord_net_doze(coord_net *net, bool dozes);
/* End the wait that is under way, or the next one. Any thread; a system call only if somebody
 * sleeps. */
void coord_net_wake(coord_net *net);

typedef struct coord_net_stats {
    uint64_t frames_sent, bytes_sent, frames_received, bytes_received;
    uint64_t again;    /* sends that found no connection or a full queue */
    uint64_t rejected; /* messages that are no frame, or not of who they say they are */
    uint64_t refused;  /* connections that were not let in: their key is not on the list */
} coord_net_stats;

void coord_net_stats_get(const coord_net *net, coord_net_stats *stats);

#endif
