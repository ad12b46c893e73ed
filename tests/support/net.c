#include "tests/support/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

bool net_test_rings;
static df_error error;

uint64_t net_test_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

coord_net *net_test_open(uint64_t self, const char *bind, const char *keys)
{
    coord_net_options o = { .self = self, .bind = bind, .frame_size_max = NET_TEST_FRAME_MAX,
                            .keys = keys, .insecure = keys == NULL, .rings = net_test_rings };
    coord_net *net;

    if (coord_net_open(&net, &o, &error) != DF_OK)
        fail_msg("%s", error.text);
    return net;
}

void net_test_connect(coord_net *net, uint64_t peer, const char *address, const char *key)
{
    if (coord_net_connect(net, peer, address, key, &error) != DF_OK)
        fail_msg("%s", error.text);
}

df_status net_test_send(coord_net *net, uint64_t peer, const void *head, size_t size)
{
    coord_net_frame frame = { .head = head, .head_size = size };

    return coord_net_send(net, peer, &frame, &error);
}

coord_net_event net_test_expect(coord_net *net, coord_net_kind kind, uint64_t peer)
{
    uint64_t end = net_test_now_us() + NET_TEST_LIMIT_US;
    coord_net_event e;

    while (net_test_now_us() < end) {
        while (coord_net_next(net, &e))
            if (e.kind == kind && e.peer == peer)
                return e;
        coord_net_wait(net, 1000000, NULL, 0, NULL);
    }
    fail_msg("no event of kind %d from %lu", kind, peer);
    return e;
}

uint32_t net_test_drain(coord_net *net, int64_t time_us)
{
    uint64_t end = net_test_now_us() + (uint64_t)time_us;
    uint32_t frames = 0;
    coord_net_event e;

    do {
        while (coord_net_next(net, &e))
            frames += e.kind == COORD_NET_FRAME;
        coord_net_wait(net, time_us / 10, NULL, 0, NULL);
    } while (net_test_now_us() < end);
    return frames;
}
