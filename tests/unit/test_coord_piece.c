/* Parcels in pieces: put together whatever comes between them; what does not go on is refused; and no memory
 * is got for bytes that are only announced. */
#include "coordinator/coord_piece.h"
#include "coordinator/proto_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 1000u

static uint8_t bytes[SIZE];

static proto_data piece(uint32_t src, uint32_t offset, uint32_t size, uint32_t total)
{
    return (proto_data){ .edge = 1, .step = 5, .src = src, .offset = offset, .total = total,
                         .payload = { bytes + offset % SIZE, size } };
}

static coord_piece_end put(coord_pieces *list, uint32_t member, proto_data d,
                           const coord_piece **whole)
{
    return coord_piece_put(list, member, &d, whole);
}

static void test_together(void **state)
{
    coord_pieces list = { 0 };
    const coord_piece *whole;

    (void)state;
    for (uint32_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (uint32_t offset = 0; offset < SIZE; offset += 100)
        for (uint32_t member = 0; member < 2; member++)
            for (uint32_t src = 3; src < 5; src++) {
                bool last = offset + 100 == SIZE;

                assert_int_equal(put(&list, member, piece(src, offset, 100, SIZE), &whole),
                                 last ? COORD_PIECE_WHOLE : COORD_PIECE_MORE);
                if (!last)
                    continue;
                assert_int_equal(whole->size, SIZE);
                assert_memory_equal(whole->bytes, bytes, SIZE);
            }
    assert_null(list.first);
    coord_pieces_free(&list);
}

static void test_wrong(void **state)
{
    coord_pieces list = { 0 };
    const coord_piece *whole;

    (void)state;
    assert_int_equal(put(&list, 0, piece(0, 100, 100, SIZE), &whole), COORD_PIECE_WRONG); /* not the first */
    assert_null(list.first);
    assert_int_equal(put(&list, 0, piece(0, 0, 100, SIZE), &whole), COORD_PIECE_MORE);
    assert_int_equal(put(&list, 0, piece(0, 0, 100, SIZE), &whole), COORD_PIECE_WRONG);
    assert_int_equal(put(&list, 0, piece(0, 200, 100, SIZE), &whole), COORD_PIECE_WRONG);
    assert_int_equal(put(&list, 0, piece(0, 100, 100, SIZE + 1), &whole), COORD_PIECE_WRONG);
    assert_int_equal(put(&list, 0, piece(0, 100, SIZE - 99, SIZE), &whole), COORD_PIECE_WRONG);
    assert_int_equal(put(&list, 0, piece(0, 100, SIZE - 100, SIZE), &whole), COORD_PIECE_WHOLE);
    assert_null(list.first);
    coord_pieces_free(&list);
}

/* A thousand parcels of a gibibyte are announced: a few hundred kilobytes are got for them. */
static void test_announced(void **state)
{
    coord_pieces list = { 0 };
    const coord_piece *whole;
    uint64_t got = 0;

    (void)state;
    for (uint32_t src = 0; src < 1000; src++)
        assert_int_equal(put(&list, 0, piece(src, 0, 100, PROTO_BATCH_SIZE_MAX), &whole), COORD_PIECE_MORE);
    for (const coord_piece *p = list.first; p != NULL; p = p->next) {
        assert_int_equal(p->have, 100);
        got += p->room;
    }
    assert_int_equal(got, 1000 * 200);
    coord_pieces_free(&list);
    assert_null(list.first);
}

/* The memory of one that is whole is the next one's; not that of a very large one; and what is announced in it is not
 * believed any more than elsewhere. */
static void test_kept(void **state)
{
    coord_pieces list = { 0 };
    const coord_piece *whole;
    const uint8_t *before;

    (void)state;
    for (uint32_t offset = 0; offset < SIZE; offset += 100)
        (void)put(&list, 0, piece(0, offset, 100, SIZE), &whole);
    assert_non_null(whole);
    before = whole->bytes;
    assert_int_equal(put(&list, 0, piece(1, 0, 100, PROTO_BATCH_SIZE_MAX), &whole), COORD_PIECE_MORE);
    assert_ptr_equal(list.first->bytes, before);
    assert_int_equal(list.first->room, SIZE);
    assert_int_equal(list.first->have, 100);
    assert_null(list.whole);
    assert_int_equal(put(&list, 1, piece(1, 0, SIZE, 2 * SIZE), &whole), COORD_PIECE_MORE); /* has its own */
    assert_int_equal(put(&list, 1, piece(1, SIZE, SIZE, 2 * SIZE), &whole), COORD_PIECE_WHOLE);
    assert_ptr_not_equal(whole->bytes, before);
    for (uint32_t offset = 0; offset <= COORD_PIECE_KEPT_MAX; offset += SIZE)
        (void)put(&list, 2, piece(2, offset, SIZE, (COORD_PIECE_KEPT_MAX / SIZE + 1) * SIZE), &whole);
    assert_non_null(whole);
    assert_true(whole->room > COORD_PIECE_KEPT_MAX);
    assert_int_equal(put(&list, 3, piece(3, 0, 100, SIZE), &whole), COORD_PIECE_MORE);
    assert_null(list.whole);
    assert_int_equal(list.first->next->room, 200);
    coord_pieces_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together), cmocka_unit_test(test_wrong), cmocka_unit_test(test_announced),
        cmocka_unit_test(test_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
