/* What a worker tells of its load: the same when it is told again, nothing else is taken, and what is read
 * of the machine's files. */
#include "coordinator/coord_load.h"
#include "coordinator/coord_usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static coord_load_unit units[] = { { 0, 5, 6, 7 }, { 3, UINT64_MAX, 0, 1 }, { PROTO_GROUPS_MAX - 1, 0, 9, 0 } };

static coord_load sample(void)
{
    return (coord_load){ .host = "node7", .backend = "cuda:0", .threads = 16, .compute_capability = 90,
                         .busy = COORD_LOAD_WHOLE, .host_load = 250000, .free_bytes = 1ull << 40,
                         .total_bytes = 1ull << 41, .process_bytes = 12345, .units_told = true,
                         .unit_count = 3, .units = units };
}

static df_writer told(const coord_load *load)
{
    df_writer w;

    df_writer_init_growing(&w, 1 << 20);
    coord_load_encode(&w, load);
    assert_true(df_writer_ok(&w));
    return w;
}

static void expect_refused(const coord_load *load)
{
    df_writer w = told(load);
    coord_load heard;
    df_error err;

    assert_int_equal(coord_load_decode(&heard, w.data, w.size, &err), DF_ECORRUPT);
    assert_null(heard.units);
    df_writer_fini(&w);
}

static void test_again(void **state)
{
    coord_load load = sample(), heard;
    df_error err;

    (void)state;
    for (int round = 0; round < 2; round++) {
        df_writer w, again;

        load.units_told = round == 0;
        w = told(&load);
        assert_int_equal(coord_load_decode(&heard, w.data, w.size, &err), DF_OK);
        assert_string_equal(heard.host, "node7");
        assert_int_equal(heard.compute_capability, 90);
        assert_int_equal(heard.unit_count, round == 0 ? 3 : 0);
        if (round == 0)
            assert_memory_equal(heard.units, units, sizeof units);
        again = told(&heard);
        assert_int_equal(again.size, w.size);
        assert_memory_equal(again.data, w.data, w.size);
        coord_load_fini(&heard);
        for (size_t size = 0; size < w.size; size++) /* cut anywhere */
            assert_int_equal(coord_load_decode(&heard, w.data, size, &err), DF_ECORRUPT);
        df_writer_fini(&w);
        df_writer_fini(&again);
    }
}

static void test_refused(void **state)
{
    coord_load load = sample();
    df_writer w;
    coord_load heard;
    df_error err;

    (void)state;
    load.threads = 0;
    expect_refused(&load);
    load = sample();
    load.threads = DF_THREADS_MAX + 1;
    expect_refused(&load);
    load = sample();
    load.busy = COORD_LOAD_WHOLE + 1;
    expect_refused(&load);
    load = sample();
    load.host_load = UINT32_MAX;
    expect_refused(&load);
    load = sample();
    load.host[0] = '\0';
    expect_refused(&load);
    load = sample();
    load.backend[1] = '\n';
    expect_refused(&load);
    load = sample();
    units[1].unit = 0; /* twice */
    expect_refused(&load);
    units[1].unit = 3;
    units[2].unit = PROTO_GROUPS_MAX;
    expect_refused(&load);
    units[2].unit = PROTO_GROUPS_MAX - 1;
    load = sample();
    w = told(&load);
    df_put_u8(&w, 0); /* one byte too many */
    assert_int_equal(coord_load_decode(&heard, w.data, w.size, &err), DF_ECORRUPT);
    w.data[0] ^= 2; /* another version */
    assert_int_equal(coord_load_decode(&heard, w.data, w.size - 1, &err), DF_ECORRUPT);
    df_writer_fini(&w);
}

/* As many units as there can be fit into a message. */
static void test_most(void **state)
{
    coord_load load = sample(), heard;
    df_writer w;
    df_error err;

    (void)state;
    load.unit_count = PROTO_GROUPS_MAX;
    load.units = calloc(PROTO_GROUPS_MAX, sizeof *load.units);
    for (uint32_t u = 0; u < PROTO_GROUPS_MAX; u++)
        load.units[u].unit = u;
    w = told(&load);
    assert_true(w.size <= PROTO_PAYLOAD_SIZE_MAX);
    assert_int_equal(coord_load_decode(&heard, w.data, w.size, &err), DF_OK);
    coord_load_fini(&heard);
    free(load.units);
    df_writer_fini(&w);
}

static void test_files(void **state)
{
    uint64_t a, b;

    (void)state;
    assert_true(coord_usage_stat("cpu  100 20 30 800 50 6 7 8 0 0\ncpu0 1 2 3\n", &a, &b));
    assert_int_equal(a, 100 + 20 + 30 + 6 + 7 + 8);
    assert_int_equal(b, 1021);
    assert_false(coord_usage_stat("", &a, &b));
    assert_false(coord_usage_stat("cpu 1 2 3\n", &a, &b));
    assert_true(coord_usage_meminfo("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n",
                                    &a, &b));
    assert_int_equal(a, 600 * 1024);
    assert_int_equal(b, 1000 * 1024);
    assert_false(coord_usage_meminfo("MemTotal: 1000 kB\n", &a, &b));
    assert_false(coord_usage_meminfo("MemTotal: x kB\nMemAvailable: 1 kB\n", &a, &b));
}

/* Of this machine, whatever it is: what is said can be told. */
static void test_machine(void **state)
{
    coord_usage before = { 0 };
    coord_load load = { .threads = 1, .backend = "cpu" }, heard;
    volatile double work = 0;
    df_writer w;
    df_error err;

    (void)state;
    coord_usage_take(&before, 1, &load);
    assert_int_equal(load.busy, 0);
    for (int i = 0; i < 5000000; i++)
        work = work + 1;
    coord_usage_take(&before, 1, &load);
    assert_true(load.busy > 0);
    assert_true(load.process_bytes > 0 && load.total_bytes > load.process_bytes);
    assert_true(load.free_bytes <= load.total_bytes);
    w = told(&load);
    assert_int_equal(coord_load_decode(&heard, w.data, w.size, &err), DF_OK);
    coord_load_fini(&heard);
    df_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again), cmocka_unit_test(test_refused), cmocka_unit_test(test_most),
        cmocka_unit_test(test_files), cmocka_unit_test(test_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
