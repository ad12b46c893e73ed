/* A member of a job whose memory runs out, at every place where it can, while key groups move and rows rest: the tick
 * fails and says why, or what was wanted could be done without; then the bits are right. Nobody waits for ever, and nothing
 * is written or used that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/fenced_pool.h"
#include "tests/support/part_replay.h"

enum { PIECE = 50, STRIDE = 7 };

static replay recorded;

static df_status take_pieces(df_graph *g, const df_parcel *p, df_error *err)
{
    df_arrival *arrival;
    uint32_t offset = PIECE < p->size ? PIECE : p->size;
    df_status s = df_arrival_begin(g, p->tick, p->key_group, p->size, p->bytes, offset, &arrival, err);

    if (s == DF_OK && arrival == NULL)
        return df_graph_deliver(g, p->edge, p->tick, p->key_group, p->bytes, p->size, err);
    while (s == DF_OK && offset < p->size) {
        uint32_t size = p->size - offset < PIECE ? p->size - offset : PIECE;

        s = df_arrival_put(g, arrival, offset, p->bytes + offset, size, err);
        offset += size;
    }
    if (s == DF_OK)
        return df_arrival_end(g, &arrival, err);
    df_arrival_drop(g, &arrival);
    return s;
}

static df_status take(df_graph *g, const df_parcel *p, bool pieces, df_error *err)
{
    return pieces ? take_pieces(g, p, err)
                  : df_graph_deliver(g, p->edge, p->tick, p->key_group, p->bytes, p->size, err);
}

/* A run that had no memory has failed with that, and with nothing worse. */
static void check_failed(const replay_run *r)
{
    assert_int_equal(r->member.progress.error.status, DF_ENOMEM);
    assert_non_null(strstr(r->member.progress.error.text, "out of memory"));
    assert_false(r->member.progress.fatal);
}

/* ---- a request of a run ---- */

/* The n-th fails. Returns whether there were so many. */
static bool run(size_t n, uint32_t *failures, uint32_t *refusals)
{
    const df_parcel *p;
    replay_run r;
    df_error err;

    replay_begin(&r, &recorded);
    atomic_store(&fenced_pool_requests, 0);
    atomic_store(&fenced_pool_fails, n);
    while ((p = replay_next(&r)) != NULL) {
        df_status s = take(r.member.graph, p, p->edge == DF_PARCEL_MOVE && r.given % 2 == 0, &err);

        assert_true(s == DF_OK || s == DF_ENOMEM);
        *refusals += s == DF_ENOMEM;
    }
    replay_finish(&r);
    atomic_store(&fenced_pool_fails, SIZE_MAX);
    *failures += r.member.progress.failed;
    if (r.member.progress.failed)
        check_failed(&r);
    else
        assert_true(replay_same(&r));
    replay_end(&r);
    return atomic_load(&fenced_pool_requests) > n;
}

static void test_each_request_fails(void **state)
{
    uint32_t failures = 0, refusals = 0;

    (void)state;
    for (size_t n = 0; run(n, &failures, &refusals); n += STRIDE)
        ;
    assert_true(failures > 100);
    assert_true(refusals > 30);
}

/* ---- a request of a parcel ---- */

/* The n-th that is made to take in the parcel `at` fails. Returns whether there were so many. */
static bool run_parcel(size_t at, size_t n, bool pieces)
{
    const df_parcel *p;
    replay_run r;
    df_error err;
    bool failed = false, made = false;

    replay_begin(&r, &recorded);
    while (!failed && (p = replay_next(&r)) != NULL) {
        df_status s;

        fenced_pool_own_requests = 0;
        fenced_pool_own_fails = r.given == at + 1 ? n : SIZE_MAX;
        s = take(r.member.graph, p, pieces && p->edge == DF_PARCEL_MOVE, &err);
        made |= r.given == at + 1 && fenced_pool_own_requests > n;
        fenced_pool_own_fails = SIZE_MAX;
        failed = s != DF_OK;
        assert_true(!failed || (s == DF_ENOMEM && made));
    }
    replay_finish(&r);
    assert_true(r.member.progress.failed || !failed);
    if (r.member.progress.failed)
        check_failed(&r);
    else
        assert_true(replay_same(&r)); /* what a kind keeps can be done without */
    replay_end(&r);
    return made;
}

/* The first and the last parcel of each edge and form, as a first one may come before its tick's owners. */
static bool is_sample(size_t at)
{
    bool first = true, last = true;

    for (size_t i = 0; i < recorded.count; i++) {
        const df_parcel *a = &recorded.parcels[at], *b = &recorded.parcels[i];
        bool alike = i != at && a->edge == b->edge && (a->size == 0) == (b->size == 0) &&
                     (a->size == 0 || memcmp(a->bytes, b->bytes, sizeof(uint32_t)) == 0);

        first &= !alike || i > at;
        last &= !alike || i < at;
    }
    return first || last;
}

static void test_each_request_of_a_parcel_fails(void **state)
{
    uint32_t failures = 0;

    (void)state;
    for (size_t at = 0; at < recorded.count; at++)
        for (uint32_t pieces = 0; is_sample(at) && pieces < 1 + (recorded.parcels[at].edge == DF_PARCEL_MOVE); pieces++)
            for (size_t n = 0; run_parcel(at, n, pieces != 0); n++)
                failures++;
    assert_true(failures > 40); /* of one that is early it is a few, of another one some ten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_fails),
        cmocka_unit_test(test_each_request_of_a_parcel_fails),
    };

    int failed;

    replay_record(&recorded, &replay_all);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    replay_free(&recorded);
    return failed;
}
