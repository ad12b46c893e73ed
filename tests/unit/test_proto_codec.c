/* The codec: round trips of every message, and no bytes that are taken for something else. */
#include "coordinator/proto_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t payload[] = "0123456789abcdef0123456789abcdef";

/* Every field gets a value of its own; BYTES borrow `payload`. */
static void fill(proto_msg *msg, uint16_t type)
{
    uint64_t n = 1000;

    memset(msg, 0, sizeof *msg);
    msg->header = (proto_header){ type, 11, 12, 13, 14, 15 };
    switch (type) {
#define U8(field) m->field = (uint8_t)(n++ & 1);
#define U32(field) m->field = (uint32_t)n++;
#define U64(field) m->field = n++ << 33;
#define BYTES(field, most) m->field = (proto_bytes){ payload, (uint32_t)(n++ % 32) };
#define MSG(number, name, fields) \
    case number: { \
        proto_##name *m = &msg->name; \
        fields \
        break; \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES
    default:
        fail();
    }
}

static void same(const proto_msg *a, const proto_msg *b)
{
    const proto_header *g = &a->header, *h = &b->header;

    assert_int_equal(g->type, h->type);
    assert_true(g->job == h->job && g->generation == h->generation);
    assert_true(g->incarnation == h->incarnation && g->sender == h->sender);
    assert_true(g->sequence == h->sequence);
    switch (a->header.type) {
#define U8(field) assert_int_equal(x->field, y->field);
#define U32(field) assert_int_equal(x->field, y->field);
#define U64(field) assert_true(x->field == y->field);
#define BYTES(field, most) \
    assert_int_equal(x->field.size, y->field.size); \
    assert_memory_equal(x->field.data, y->field.data, x->field.size);
#define MSG(number, name, fields) \
    case number: { \
        const proto_##name *x = &a->name, *y = &b->name; \
        fields \
        break; \
    }
#include "coordinator/proto_msg.inc"
#undef MSG
#undef U8
#undef U32
#undef U64
#undef BYTES
    default:
        fail();
    }
}

static void test_round_trip(void **state)
{
    uint8_t bytes[4096];

    (void)state;
    assert_true(proto_type_count >= 20);
    for (size_t i = 0; i < proto_type_count; i++) {
        proto_msg out, in;
        char line[512];
        size_t size;

        fill(&out, proto_types[i]);
        size = proto_encode(&out, bytes, sizeof bytes);
        assert_int_equal(size, proto_encoded_size(&out));
        assert_int_equal(proto_decode(&in, bytes, size), PROTO_REJECT_ok);
        same(&out, &in);
        assert_true(proto_print(&in, line, sizeof line) < sizeof line);
        assert_int_equal(strncmp(line, proto_type_name(proto_types[i]),
                                 strlen(proto_type_name(proto_types[i]))), 0);
        assert_int_equal(proto_encode(&out, bytes, size - 1), 0);
    }
}

/* One message's bytes, written out by hand: the wire does not change by accident. */
static void test_layout(void **state)
{
    static const uint8_t head[] = {
        'w', 'e', 'i', 'r', 1, 0, 13, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
        3,   0,   0,   0,   0, 0, 0,  0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,
        24,  0,   0,   0,   0, 0, 0,  0,
    };
    static const uint8_t fields[] = { 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0,
                                      0, 0, 0, 0x80, 6, 0, 0, 0, 0, 0, 0, 0 };
    proto_msg msg = { .header = { PROTO_TYPE_grant, 1, 2, 3, 4, 5 } };
    uint8_t bytes[128];

    (void)state;
    msg.grant = (proto_grant){ 7, 8 | 1ull << 63, 6 };
    assert_int_equal(proto_encode(&msg, bytes, sizeof bytes), PROTO_HEADER_SIZE + 24);
    assert_memory_equal(bytes, head, sizeof head);
    assert_memory_equal(bytes + PROTO_HEADER_SIZE, fields, sizeof fields);
}

/* Any one bit that changes, and any other length, is noticed. */
/* A frame without the bytes that end it, and those: together the frame, apart the same message; with any other bytes
 * behind the head, or none, a refusal. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < proto_type_count; i++) {
        uint8_t whole[1024], head[1024];
        proto_msg msg, out;
        proto_bytes tail = { payload, 1 };
        size_t size, cut;

        fill(&msg, proto_types[i]);
        size = proto_encode(&msg, whole, sizeof whole);
        cut = proto_encode_cut(&msg, head, sizeof head, &tail);
        assert_int_equal(cut + tail.size, size);
        assert_memory_equal(head, whole, cut);
        if (tail.size > 0)
            assert_memory_equal(tail.data, whole + cut, tail.size);
        assert_int_equal(proto_decode_cut(&out, head, cut, tail), PROTO_REJECT_ok);
        same(&msg, &out);
        if (tail.size == 0)
            continue;
        assert_true(tail.data == payload); /* not copied */
        assert_int_equal(proto_decode(&out, head, cut), PROTO_REJECT_length);
        tail.data = whole + cut - 1;
        assert_int_equal(proto_decode_cut(&out, head, cut, tail), PROTO_REJECT_checksum);
        tail.size++; /* the frame, cut a byte too early */
        assert_int_equal(proto_decode_cut(&out, whole, cut - 1, tail), PROTO_REJECT_field);
    }
}

static void test_damage(void **state)
{
    uint8_t bytes[4096];
    proto_msg msg;

    (void)state;
    for (size_t i = 0; i < proto_type_count; i++) {
        size_t size;

        fill(&msg, proto_types[i]);
        size = proto_encode(&msg, bytes, sizeof bytes);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(proto_decode(&msg, bytes, size), PROTO_REJECT_ok);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *copy = malloc(cut + 1); /* exact: a sanitizer sees a byte too many */

            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            assert_int_not_equal(proto_decode(&msg, copy, cut), PROTO_REJECT_ok);
            free(copy);
        }
        assert_int_not_equal(proto_decode(&msg, bytes, size + 1), PROTO_REJECT_ok);
    }
}

static void test_limits(void **state)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_join } };
    uint8_t bytes[4096];

    (void)state;
    msg.join.label = (proto_bytes){ bytes, PROTO_TEXT_SIZE_MAX + 1 };
    assert_int_equal(proto_encode(&msg, bytes, sizeof bytes), 0);
    msg.header.type = 9;
    assert_int_equal(proto_encode(&msg, bytes, sizeof bytes), 0);
    assert_null(proto_type_name(17));
    assert_int_equal(proto_decode(&msg, bytes, PROTO_HEADER_SIZE - 1), PROTO_REJECT_short);
    for (int i = 0; i < PROTO_REJECT_COUNT; i++)
        assert_non_null(proto_reject_name((proto_reject)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_cut), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
