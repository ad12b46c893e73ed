/* Who may connect over tcp: CURVE, and a thread that answers ZeroMQ's question about each key (ZAP)
 * from the list in the keys folder. Inside the transport; coord_keys.c uses the functions on
 * keys. */
#ifndef COORD_NET_ZAP_H
#define COORD_NET_ZAP_H

#include "coordinator/coord_net.h"

/* Keys in Z85; a public and a secret one are 32 bytes, 41 letters with the end. */
bool net_key_decode(const char *text, uint8_t bytes[32]);
df_status net_key_make(char public_key[41], char secret[41], df_error *err) DF_MUST_CHECK;
/* The public half of a secret. False: it is none. */
bool net_key_public(const char *secret, char public_key[41]);

typedef struct net_guard net_guard;

/* Read our own key (name null: the only one in the folder). `ctx` is ZeroMQ's. */
df_status net_guard_open(net_guard **out, void *ctx, const char *folder, const char *name,
                         df_error *err) DF_MUST_CHECK;
/* Before the sockets are closed or after it; ends ZeroMQ's context for everything that waits in
 * it. */
void net_guard_close(net_guard **guard);

/* Make `socket` a listening one that only lets in who is on the list, and start to answer. The list
 * must be right. */
df_status net_guard_listen(net_guard *guard, void *socket, df_error *err) DF_MUST_CHECK;
/* What `socket` connects to next must have this key. */
df_status net_guard_connect(const net_guard *guard, void *socket, const char *server_key,
                            df_error *err) DF_MUST_CHECK;
/* A key beside the list's. Any thread. DF_ELIMIT: there are COORD_ALLOWED_MAX. */
df_status net_guard_allow(net_guard *guard, const char *key, coord_role role,
                          df_error *err) DF_MUST_CHECK;
const char *net_guard_key(const net_guard *guard); /* our own public one */
/* What is said of a key: by the list, at most a second ago, else by net_guard_allow. Any thread. */
coord_role net_guard_role(net_guard *guard, const char *key);
uint64_t net_guard_refused(const net_guard *guard); /* handshakes of keys that are not on the list */

#endif
