/* Parcels that are not what they should be, given to a member that runs on those of a recorded run. What is refused has
 * changed nothing: the run ends with the recorded bits. */
#include "tests/support/fenced_pool.h"
#include "tests/support/part_replay.h"

#include "dataflow/df_graph_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { FAILED = 4 }; /* of df_parcel.c */

static replay recorded;

static df_status deliver(replay_run *r, const df_parcel *p, const void *bytes, uint32_t size)
{
    df_error err;

    return df_graph_deliver(r->member.graph, p->edge, p->tick, p->key_group, bytes, size, &err);
}

/* A parcel of rows at a tick whose owners are known here: what is damaged is refused at once. */
static bool is_rows(const replay_run *r, const df_parcel *p)
{
    return p->edge < recorded.plan->edge_count && p->size > 0 && p->tick < atomic_load(&r->member.graph->known);
}

/* That its task failed has two words, and nothing behind them. */
static void test_failed_with_more(void **state)
{
    static const uint32_t words[4] = { FAILED };
    uint32_t tried = 0;
    const df_parcel *p;
    replay_run r;

    (void)state;
    replay_begin(&r, &recorded);
    while ((p = replay_next(&r)) != NULL) {
        for (uint32_t size = 4; is_rows(&r, p) && size <= sizeof words; size++)
            if (size != 8) {
                assert_int_equal(deliver(&r, p, words, size), DF_ECORRUPT);
                tried++;
            }
        assert_int_equal(deliver(&r, p, p->bytes, p->size), DF_OK);
    }
    replay_finish(&r);
    assert_true(tried >= sizeof words - 4); /* others were early: what is wrong with those is seen later */
    assert_true(replay_same(&r));
    replay_end(&r);
}

/* A task elsewhere has failed: its tick ends here, too, and nobody here says that something failed. */
static void test_failed_elsewhere(void **state)
{
    static const uint32_t words[2] = { FAILED };
    const df_parcel *p, *said = NULL;
    replay_run r;

    (void)state;
    replay_begin(&r, &recorded);
    while ((p = replay_next(&r)) != NULL) {
        bool fails = said == NULL && p->tick == 3 && p->edge < recorded.plan->edge_count && p->size > 0;

        assert_int_equal(deliver(&r, p, fails ? (const void *)words : p->bytes, fails ? sizeof words : p->size), DF_OK);
        said = fails ? p : said;
    }
    replay_finish(&r);
    assert_non_null(said);
    assert_true(r.member.progress.ended);
    assert_false(r.member.progress.failed);
    assert_int_equal(r.member.progress.done, 3);
    replay_end(&r);
}

/* What has come is not awaited any more, and what never comes is not at all. */
static void test_comes_once(void **state)
{
    const df_parcel *p;
    replay_run r;

    (void)state;
    replay_begin(&r, &recorded);
    while ((p = replay_next(&r)) != NULL) {
        bool known = p->tick < atomic_load(&r.member.graph->known);

        assert_int_equal(deliver(&r, p, p->bytes, p->size), DF_OK);
        if (known && p->edge != DF_PARCEL_MOVE)
            assert_false(df_graph_awaits(r.member.graph, p->edge, p->tick, p->key_group));
        if (known)
            assert_int_equal(deliver(&r, p, p->bytes, p->size), DF_ECORRUPT);
        assert_false(df_graph_awaits(r.member.graph, p->edge, p->tick, UINT32_MAX));
        assert_false(df_graph_awaits(r.member.graph, UINT32_MAX - 1, p->tick, p->key_group));
        assert_false(df_graph_awaits(r.member.graph, p->edge, p->tick + 100, p->key_group));
    }
    replay_finish(&r);
    assert_true(replay_same(&r));
    replay_end(&r);
}

/* One that comes before its tick's owners are known is kept, but not one that is too large for anybody to have sent. */
static void test_early_and_large(void **state)
{
    const df_parcel *p;
    replay_run r;
    bool early = false;

    (void)state;
    replay_begin(&r, &recorded);
    while ((p = replay_next(&r)) != NULL) {
        df_parcel later = { .edge = p->edge, .key_group = p->key_group, .tick = atomic_load(&r.member.graph->known) };

        if (p->edge != DF_PARCEL_MOVE && df_graph_awaits(r.member.graph, later.edge, later.tick, later.key_group)) {
            assert_int_equal(deliver(&r, &later, recorded.parcels[0].bytes, DF_PARCEL_SIZE_MAX + 1), DF_ECORRUPT);
            early = true;
        }
        assert_int_equal(deliver(&r, p, p->bytes, p->size), DF_OK);
    }
    replay_finish(&r);
    assert_true(early);
    assert_true(replay_same(&r));
    replay_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_with_more),
        cmocka_unit_test(test_failed_elsewhere),
        cmocka_unit_test(test_comes_once),
        cmocka_unit_test(test_early_and_large),
    };
    int failed;

    replay_record(&recorded, &replay_all);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    replay_free(&recorded);
    return failed;
}
