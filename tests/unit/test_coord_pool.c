/* Who goes where in a pool of workers, and what is made of what they say, whatever was lost between. */
#include "coordinator/coord_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HERE  7u
#define THERE 8u

static coord_pool_worker free_worker(uint64_t id, uint32_t host)
{
    return (coord_pool_worker){ .id = id, .host = host, .here = true };
}

/* Send all that can be sent; returns how many. */
static uint32_t send_all(coord_pool_worker *workers, uint32_t count, const coord_pool_job *jobs,
                         uint32_t job_count, uint64_t now_us)
{
    uint32_t sent = 0, worker, job;

    while (coord_pool_next(workers, count, jobs, job_count, HERE, now_us, &worker, &job)) {
        coord_pool_send(&workers[worker], jobs[job].ticket, now_us);
        sent++;
    }
    return sent;
}

static void test_in_order(void **state)
{
    const coord_pool_job jobs[] = { { 3, 2 }, { 5, 1 }, { 9, 1 } };
    coord_pool_worker workers[] = { free_worker(1, HERE), free_worker(2, HERE), free_worker(3, HERE) };

    (void)state;
    assert_int_equal(send_all(workers, 3, jobs, 3, 0), 3);
    assert_int_equal(coord_pool_placed(workers, 3, 3, 0), 2);
    assert_int_equal(coord_pool_placed(workers, 3, 5, 0), 1);
    assert_int_equal(coord_pool_placed(workers, 3, 9, 0), 0);
    coord_pool_free(&workers[0]); /* the first job ends */
    coord_pool_free(&workers[1]);
    assert_int_equal(send_all(workers, 3, jobs + 1, 2, 0), 1);
    assert_int_equal(coord_pool_placed(workers, 3, 9, 0), 1);
}

/* Files are written on the service's host: a job has one worker there first, and no more than it must. */
static void test_hosts(void **state)
{
    const coord_pool_job jobs[] = { { 1, 2 }, { 2, 1 } };
    coord_pool_worker workers[] = { free_worker(1, THERE), free_worker(2, HERE), free_worker(3, HERE) };

    (void)state;
    assert_int_equal(send_all(workers, 3, jobs, 2, 0), 3);
    assert_int_equal(workers[0].ticket, 1);
    assert_int_equal(coord_pool_placed(workers, 3, 1, HERE), 1);
    assert_int_equal(coord_pool_placed(workers, 3, 2, HERE), 1);
    workers[1].here = workers[2].here = false; /* lost: nobody there takes their place */
    assert_int_equal(send_all(workers, 3, jobs, 2, 0), 0);
    coord_pool_free(&workers[0]);
    assert_int_equal(send_all(workers, 3, jobs, 2, 0), 0);
    workers[1] = free_worker(5, THERE);
    workers[2] = free_worker(4, HERE);
    assert_int_equal(send_all(workers, 3, jobs, 2, 0), 2);
    assert_int_equal(workers[2].ticket, 1);
    assert_int_equal(workers[0].ticket, 1);
    assert_int_equal(workers[1].ticket, 0);
}

/* A job that wants more than there are keeps nobody from the next one; one that has some is filled up. */
static void test_too_many_wanted(void **state)
{
    const coord_pool_job jobs[] = { { 1, 3 }, { 2, 1 } };
    coord_pool_worker workers[] = { free_worker(1, HERE), free_worker(2, HERE), free_worker(3, HERE) };

    (void)state;
    assert_int_equal(send_all(workers, 2, jobs, 2, 0), 1);
    assert_int_equal(coord_pool_placed(workers, 2, 2, 0), 1);
    assert_int_equal(send_all(workers, 3, jobs, 2, 0), 2);
    assert_int_equal(coord_pool_placed(workers, 3, 1, 0), 2);
    workers[2].here = false;
    coord_pool_free(&workers[0]);
    coord_pool_free(&workers[1]);
    coord_pool_send(&workers[1], 1, 0);
    assert_int_equal(send_all(workers, 2, jobs, 2, 0), 1);
    assert_int_equal(workers[0].ticket, 1);
}

/* One that comes back at once is sent ever less often, and to another job meanwhile. */
static void test_comes_back(void **state)
{
    const coord_pool_job jobs[] = { { 1, 1 }, { 2, 1 } };
    coord_pool_worker w = free_worker(1, HERE);
    uint64_t now = 1000, pause = COORD_POOL_PAUSE_US;

    (void)state;
    for (int i = 0; i < 9; i++) {
        coord_pool_said said;

        assert_int_equal(send_all(&w, 1, jobs, 1, now), 1);
        said = (coord_pool_said){ w.order, 1, COORD_DOING_ENDED };
        assert_true(coord_pool_take(&w, &said, true, now));
        assert_int_equal(w.ticket, 0);
        assert_int_equal(coord_pool_deadline(&w, 1, now), now + pause);
        assert_int_equal(send_all(&w, 1, jobs, 1, now + pause - 1), 0);
        now += pause;
        pause = pause < COORD_POOL_PAUSE_US << 6 ? 2 * pause : pause;
    }
    assert_int_equal(send_all(&w, 1, jobs, 1, now), 1);
    now += COORD_POOL_SOON_US;
    assert_true(coord_pool_take(&w, &(coord_pool_said){ w.order, 1, COORD_DOING_ENDED }, true, now));
    assert_int_equal(coord_pool_deadline(&w, 1, now), now + COORD_POOL_PAUSE_US);
    assert_int_equal(send_all(&w, 1, jobs, 2, now), 1);
    assert_int_equal(w.ticket, 2);
    assert_int_equal(coord_pool_deadline(&w, 1, now), UINT64_MAX);
}

static void test_words(void **state)
{
    coord_pool_worker w = free_worker(1, HERE);

    (void)state;
    coord_pool_send(&w, 4, 0);
    assert_int_equal(w.order, 1);
    /* It has not heard of it, has, has again. */
    assert_false(coord_pool_take(&w, &(coord_pool_said){ 0, 0, COORD_DOING_NOTHING }, true, 0));
    assert_int_equal(w.ticket, 4);
    assert_false(coord_pool_take(&w, &(coord_pool_said){ 1, 4, COORD_DOING_WORK }, true, 0));
    assert_false(coord_pool_take(&w, &(coord_pool_said){ 1, 4, COORD_DOING_WORK }, true, 0));
    assert_int_equal(w.order, 1);
    /* The job has ended: it is called back, and told so until it has heard. */
    assert_true(coord_pool_take(&w, &(coord_pool_said){ 1, 4, COORD_DOING_WORK }, false, 0));
    assert_int_equal(w.order, 2);
    assert_int_equal(w.ticket, 0);
    assert_false(coord_pool_take(&w, &(coord_pool_said){ 1, 4, COORD_DOING_ENDED }, false, 0));
    assert_true(coord_pool_take(&w, &(coord_pool_said){ 2, 0, COORD_DOING_NOTHING }, false, 0));
    assert_int_equal(w.order, 2);
    /* It was told without an address, as its coordinator was down: that order is void. */
    coord_pool_send(&w, 5, 0);
    assert_true(coord_pool_take(&w, &(coord_pool_said){ 3, 5, COORD_DOING_NOTHING }, true, 0));
    assert_int_equal(w.ticket, 0);
    assert_int_equal(w.order, 4);
}

/* A service that begins anew learns where its workers are. */
static void test_learns(void **state)
{
    coord_pool_worker w = free_worker(1, HERE), x = w, y = w;

    (void)state;
    assert_false(coord_pool_take(&w, &(coord_pool_said){ 12, 4, COORD_DOING_WORK }, true, 0));
    assert_int_equal(w.order, 12);
    assert_int_equal(w.ticket, 4);
    assert_true(coord_pool_take(&x, &(coord_pool_said){ 12, 4, COORD_DOING_WORK }, false, 0)); /* forgotten */
    assert_int_equal(x.order, 13);
    assert_int_equal(x.ticket, 0);
    assert_true(coord_pool_take(&y, &(coord_pool_said){ 12, 4, COORD_DOING_NOTHING }, true, 0));
    assert_int_equal(y.order, 12);
    assert_int_equal(y.ticket, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order), cmocka_unit_test(test_hosts), cmocka_unit_test(test_too_many_wanted),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_learns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
