/* The list that tells workers where others are: one message for a thousand of them, and hostile lists. */
#include "coordinator/coord_peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static proto_bytes bytes(const char *text)
{
    return (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
}

/* A list of `count`, owned by the caller, each with texts of these lengths. */
static proto_bytes list_of(uint32_t count, uint32_t address_size, uint32_t key_size)
{
    uint8_t *list = malloc((size_t)count * COORD_PEER_SIZE_MAX);
    char text[PROTO_TEXT_SIZE_MAX];
    uint32_t size = 0;

    assert_non_null(list);
    memset(text, 'a', sizeof text);
    for (uint32_t i = 0; i < count; i++) {
        coord_peer peer = { i + 2, { (const uint8_t *)text, address_size }, { (const uint8_t *)text, key_size } };
        size_t put = coord_peers_put(list + size, (size_t)count * COORD_PEER_SIZE_MAX - size, &peer);

        assert_int_equal(put, 12 + address_size + key_size);
        size += (uint32_t)put;
    }
    return (proto_bytes){ list, size };
}

static void test_there_and_back(void **state)
{
    const coord_peer told[] = { { 7, bytes("tcp://10.1.2.3:4444"), bytes("a key") },
                                { UINT64_MAX, bytes("ipc:///tmp/socket"), bytes("") } };
    uint8_t out[200];
    coord_peer heard;
    size_t size = coord_peers_put(out, sizeof out, &told[0]);
    proto_bytes list = { out, 0 };

    (void)state;
    size += coord_peers_put(out + size, sizeof out - size, &told[1]);
    list.size = (uint32_t)size;
    for (int i = 0; i < 2; i++) {
        assert_true(coord_peers_get(&list, &heard));
        assert_int_equal(heard.worker, told[i].worker);
        assert_int_equal(heard.address.size, told[i].address.size);
        assert_memory_equal(heard.address.data, told[i].address.data, told[i].address.size);
        assert_int_equal(heard.key.size, told[i].key.size);
    }
    assert_false(coord_peers_get(&list, &heard));
    assert_int_equal(list.size, 0);
}

static void test_hostile(void **state)
{
    proto_bytes whole = list_of(2, 10, 5), list;
    uint8_t *open = (uint8_t *)(uintptr_t)whole.data;
    coord_peer peer;

    (void)state;
    for (uint32_t size = 1; size < whole.size; size++) { /* cut anywhere: nothing behind the end is touched */
        list = (proto_bytes){ memcpy(malloc(size), whole.data, size), size };
        open = (uint8_t *)(uintptr_t)list.data;
        while (coord_peers_get(&list, &peer))
            assert_int_equal(peer.address.size, 10);
        assert_true(list.size > 0 || size == whole.size / 2);
        free(open);
    }
    open = (uint8_t *)(uintptr_t)whole.data;
    list = whole;
    proto_put_u64(open, 0); /* nobody's number */
    assert_false(coord_peers_get(&list, &peer));
    proto_put_u64(open, 2);
    proto_put_u32(open + 8, PROTO_TEXT_SIZE_MAX + 1);
    assert_false(coord_peers_get(&list, &peer));
    free(open);
}

static void test_too_long(void **state)
{
    uint8_t out[100];
    char text[PROTO_TEXT_SIZE_MAX + 2];
    coord_peer peer = { 2, { (const uint8_t *)text, sizeof text - 1 }, { NULL, 0 } };

    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(coord_peers_put(out, sizeof out, &peer), 0);
    peer.address.size = 89; /* a byte more than there is room for */
    assert_int_equal(coord_peers_put(out, sizeof out, &peer), 0);
    peer.address.size = 88;
    assert_int_equal(coord_peers_put(out, sizeof out, &peer), 100);
}

/* As the server sends it: in as few messages as fit, each of whole entries. */
static uint32_t messages_of(proto_bytes list, uint32_t *peers)
{
    uint8_t *frame = malloc(PROTO_FRAME_SIZE_MAX);
    uint32_t messages = 0;

    *peers = 0;
    while (list.size > 0) {
        proto_msg msg = { .header = { .type = PROTO_TYPE_peers } }, heard;
        coord_peer peer;
        size_t size;

        msg.peers.list = (proto_bytes){ list.data, coord_peers_cut(list, PROTO_PAYLOAD_SIZE_MAX) };
        assert_true(msg.peers.list.size > 0);
        size = proto_encode(&msg, frame, PROTO_FRAME_SIZE_MAX);
        assert_int_equal(proto_decode(&heard, frame, size), PROTO_REJECT_ok);
        while (coord_peers_get(&heard.peers.list, &peer))
            ++*peers;
        assert_int_equal(heard.peers.list.size, 0);
        list.data += msg.peers.list.size;
        list.size -= msg.peers.list.size;
        messages++;
    }
    free(frame);
    return messages;
}

static void test_thousand(void **state)
{
    proto_bytes list = list_of(PROTO_MEMBERS_MAX, 64, 40);
    uint32_t peers;

    (void)state;
    assert_int_equal(messages_of(list, &peers), 1);
    assert_int_equal(peers, PROTO_MEMBERS_MAX);
    free((void *)(uintptr_t)list.data);
    list = list_of(2 * PROTO_MEMBERS_MAX, PROTO_TEXT_SIZE_MAX, PROTO_TEXT_SIZE_MAX); /* the longest: cut */
    assert_int_equal(messages_of(list, &peers), 2);
    assert_int_equal(peers, 2 * PROTO_MEMBERS_MAX);
    free((void *)(uintptr_t)list.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_hostile), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
