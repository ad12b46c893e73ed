/* What the tests of the transport share: nets that must open, and waiting for an event with a
 * limit. */
#ifndef TEST_NET_H
#define TEST_NET_H

#include "coordinator/coord_net.h"

#define NET_TEST_FRAME_MAX (1u << 20)
#define NET_TEST_LIMIT_US  20000000 /* of every wait */

/* Whether nets are opened with rings to peers of this host. */
extern bool net_test_rings;

uint64_t net_test_now_us(void);
/* Fails the test if it cannot. keys null: insecure. */
coord_net *net_test_open(uint64_t self, const char *bind, const char *keys);
void net_test_connect(coord_net *net, uint64_t peer, const char *address, const char *key);
df_status net_test_send(coord_net *net, uint64_t peer, const void *head, size_t size);
/* Wait for the next event of a kind from a peer; others are thrown away. Its bytes are valid. */
coord_net_event net_test_expect(coord_net *net, coord_net_kind kind, uint64_t peer);
/* Handle what there is, for so long; returns how many frames that were. */
uint32_t net_test_drain(coord_net *net, int64_t time_us);

#endif
