/* A part that is read back when it is finished: what lies on the disk must be what was put, chunk by
 * chunk; anything else fails, and leaves nothing behind. */
#include "snapshot/snap_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHUNKS 3
#define SIZE   64

static df_error error;

/* A part on a disk that keeps something else. */
typedef enum damage { DAMAGE_NONE, DAMAGE_BYTE, DAMAGE_PLACE, DAMAGE_MISSING, DAMAGE_TWICE, DAMAGE_UNREADABLE } damage;

typedef struct bad_part {
    snap_part part; /* first */
    damage damage;
    uint32_t count;
    snap_place places[CHUNKS];
    uint8_t bytes[CHUNKS][SIZE];
} bad_part;

static bool kept;
static uint32_t reads;

static uint8_t *bad_room(snap_part *part)
{
    return ((bad_part *)part)->bytes[0]; /* nobody asks */
}

static df_status bad_put(snap_part *part, const snap_place *place, const uint8_t *bytes, size_t size,
                         df_error *err)
{
    bad_part *p = (bad_part *)part;

    (void)err;
    assert_int_equal(size, SIZE);
    p->places[p->count] = *place;
    memcpy(p->bytes[p->count++], bytes, SIZE);
    return DF_OK;
}

static df_status bad_finish(snap_part *part, df_error *err)
{
    (void)part;
    (void)err;
    return DF_OK;
}

static df_status bad_read(snap_part *part, snap_part_each *each, void *user, df_error *err)
{
    bad_part *p = (bad_part *)part;

    reads++;
    if (p->damage == DAMAGE_UNREADABLE)
        return df_fail(err, DF_EIO, "it cannot be read");
    if (p->damage == DAMAGE_BYTE)
        p->bytes[1][7] ^= 1;
    if (p->damage == DAMAGE_PLACE)
        p->places[1].column++;
    for (uint32_t i = 0; i < p->count - (p->damage == DAMAGE_MISSING); i++)
        each(user, &p->places[i], p->bytes[i], SIZE);
    if (p->damage == DAMAGE_TWICE)
        each(user, &p->places[0], p->bytes[0], SIZE);
    return DF_OK;
}

static void bad_free(snap_part *part, bool keep)
{
    kept = keep;
    free(part);
}

static const snap_part_calls bad_calls = { bad_room, bad_put, bad_finish, bad_read, bad_free };

/* Write, and finish. */
static df_status finish(damage what, bool verify)
{
    bad_part *p = calloc(1, sizeof *p);
    snap_part *part = (snap_part *)p;
    uint8_t bytes[SIZE] = { 0 };
    snap_part_info info;

    assert_non_null(p);
    p->part = (snap_part){ .calls = &bad_calls, .info = { .id = { 7, 1, 0 } } };
    p->damage = what;
    if (verify)
        snap_part_verify(part);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        snap_place place = { i, 0, 0, 0 };

        bytes[3] = (uint8_t)i;
        assert_int_equal(snap_part_put(part, &place, bytes, SIZE, &error), DF_OK);
    }
    return snap_part_finish(&part, &info, &error);
}

static void test_whole(void **state)
{
    (void)state;
    reads = 0;
    assert_int_equal(finish(DAMAGE_NONE, true), DF_OK);
    assert_true(kept);
    assert_int_equal(reads, 1);
    assert_int_equal(finish(DAMAGE_BYTE, false), DF_OK); /* nobody looks */
    assert_int_equal(reads, 1);
}

static void test_damaged(void **state)
{
    static const damage all[] = { DAMAGE_BYTE, DAMAGE_PLACE, DAMAGE_MISSING, DAMAGE_TWICE };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(finish(all[i], true), DF_ECORRUPT);
        assert_string_equal(error.text, "part 7-1-0, read back: other bytes than were written");
        assert_false(kept);
    }
    assert_int_equal(finish(DAMAGE_UNREADABLE, true), DF_EIO);
    assert_string_equal(error.text, "part 7-1-0, read back: it cannot be read");
    assert_false(kept);
}

/* Both stores give back what they were given. */
static void test_memory(void **state)
{
    snap_memory *memory = snap_memory_new();
    snap_backend *backend;
    snap_part *part;
    snap_part_info info;
    snap_part_id id = { 7, 1, 0 };
    snap_place place = { 0 };
    uint8_t bytes[SIZE] = { 1 };

    (void)state;
    assert_int_equal(snap_memory_open(&backend, memory, &error), DF_OK);
    assert_int_equal(backend->calls->part_open(backend, &part, &id, &error), DF_OK);
    snap_part_verify(part);
    assert_int_equal(snap_part_put(part, &place, bytes, SIZE, &error), DF_OK);
    assert_int_equal(snap_part_finish(&part, &info, &error), DF_OK);
    snap_backend_close(&backend);
    snap_memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole), cmocka_unit_test(test_damaged), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
