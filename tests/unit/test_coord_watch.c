/* What is told of a running job beside its progress line. */
#include "coordinator/coord_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const coord_rescale_row moving = { .id = 1, .what = "rescale", .phase = "moving", .from = 2, .to = 3,
                                          .key_groups = 80, .key_groups_done = 12, .waves = 33,
                                          .longest_ms = 51.6 };
static const coord_rescale_row moved = { .id = 1, .what = "rescale", .end = "done", .from = 2, .to = 3,
                                         .key_groups = 80, .key_groups_done = 80, .waves = 33, .waves_done = 33,
                                         .bytes = 22334669, .seconds = 2.14, .longest_ms = 42.4 };

/* Standard error of what stands between. */
static int kept, captured[2];

static void capture(void)
{
    fflush(stderr);
    kept = dup(2);
    assert_int_equal(pipe(captured), 0);
    assert_int_equal(dup2(captured[1], 2), 2);
    close(captured[1]);
}

static const char *said(void)
{
    static char text[4096];
    size_t size = 0;
    ssize_t got;

    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
    while ((got = read(captured[0], text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)got;
    close(captured[0]);
    text[size] = '\0';
    return text;
}

typedef struct scene {
    coord_watch watch;
    coord_progress *progress;
    coord_status *status;
} scene;

static scene scene_new(double pace, bool fresh)
{
    const coord_progress_options options = { .steps = 100 };
    scene c = { .status = calloc(1, sizeof *c.status) };
    df_error err;

    assert_int_equal(coord_progress_new(&c.progress, &options, &err), DF_OK);
    coord_watch_init(&c.watch, c.progress, pace, fresh);
    return c;
}

static void scene_free(scene *c)
{
    coord_progress_free(&c->progress);
    free(c->status);
}

static void test_change(void **state)
{
    char text[COORD_WATCH_TEXT];
    scene c = scene_new(20, true);

    (void)state;
    coord_watch_take(&c.watch, c.status);
    coord_watch_text(&c.watch, text);
    assert_string_equal(text, ", no step late");
    c.status->rescale = moving;
    coord_watch_take(&c.watch, c.status);
    c.status->rescale = (coord_rescale_row){ 0 };
    c.status->rescaled = moved;
    c.status->rescales = 1;
    capture();
    coord_watch_take(&c.watch, c.status);
    coord_watch_take(&c.watch, c.status);
    assert_string_equal(said(), "rescale: 2 workers -> 3, 80 key groups; longest step 42 ms (pace: 50 ms), none late\n");
    coord_watch_text(&c.watch, text);
    assert_string_equal(text, ", 1 change of workers with longest step 42 ms, no step late");
    c.status->rescales = 2;
    c.status->rescaled.longest_ms = 61;
    c.status->rescaled.late_steps = 2;
    c.status->late_steps = 1;
    capture();
    coord_watch_take(&c.watch, c.status);
    assert_string_equal(said(), "rescale: 2 workers -> 3, 80 key groups; longest step 61 ms (pace: 50 ms), 2 late\n");
    coord_watch_text(&c.watch, text);
    assert_string_equal(text, ", 2 changes of workers with longest step 61 ms, 1 step late");
    c.status->rescales = 3;
    snprintf(c.status->rescaled.end, sizeof c.status->rescaled.end, "aborted");
    c.status->late_steps = 3;
    capture();
    coord_watch_take(&c.watch, c.status);
    assert_string_equal(said(), "rescale aborted\n");
    coord_watch_text(&c.watch, text);
    assert_string_equal(text, ", 3 changes of workers with longest step 61 ms, 3 steps late");
    c.watch.longest_ms = 1e300; /* whatever was told, there is room for what follows */
    coord_watch_text(&c.watch, text);
    assert_non_null(strstr(text, ", 3 steps late"));
    scene_free(&c);
}

static void test_words(void **state)
{
    scene c = scene_new(0, true);

    (void)state;
    capture();
    c.status->rescaled = moved;
    c.status->rescales++;
    coord_watch_take(&c.watch, c.status);
    c.status->rescaled = (coord_rescale_row){ .what = "rebalance", .end = "done", .from = 2, .to = 2,
                                              .why = "all are evenly busy" };
    c.status->rescales++;
    coord_watch_take(&c.watch, c.status);
    c.status->rescaled = (coord_rescale_row){ .what = "rescale", .end = "failed", .why = "1 of 2 workers have come" };
    c.status->rescales++;
    coord_watch_take(&c.watch, c.status);
    c.status->restarts++; /* of a run that was killed and is resumed */
    coord_watch_take(&c.watch, c.status);
    snprintf(c.status->phase, sizeof c.status->phase, "running");
    coord_watch_take(&c.watch, c.status);
    c.status->restarts++;
    coord_watch_take(&c.watch, c.status);
    c.status->restores++;
    c.status->base = 7;
    c.status->base_step = 30;
    c.status->snapshot = 8; /* one was taken since */
    c.status->snapshot_step = 40;
    coord_watch_take(&c.watch, c.status);
    assert_string_equal(said(),
                        "rescale: 2 workers -> 3, 80 key groups; longest step 42 ms\n"
                        "rebalance: nothing to do: all are evenly busy\n"
                        "rescale failed: 1 of 2 workers have come\n"
                        "its workers are gone; back to the beginning\n"
                        "a worker was lost; back to the beginning\n"
                        "as asked; back to snapshot 7, step 30\n");
    scene_free(&c);
}

/* Of a job that has run for a while; and whose coordinator is started again, which counts anew. */
static void test_before(void **state)
{
    scene c = scene_new(0, false);

    (void)state;
    snprintf(c.status->phase, sizeof c.status->phase, "running");
    c.status->restarts = 3;
    c.status->restores = 2;
    c.status->rescales = 4;
    c.status->rescaled = moved;
    capture();
    coord_watch_take(&c.watch, c.status);
    c.status->restarts = 0;
    c.status->restores = 0;
    c.status->rescales = 0;
    coord_watch_take(&c.watch, c.status);
    c.status->restarts = 1;
    coord_watch_take(&c.watch, c.status);
    assert_string_equal(said(), "a worker was lost; back to the beginning\n");
    scene_free(&c);
}

/* Nobody wants to read it. */
static void test_quiet(void **state)
{
    coord_status *status = calloc(1, sizeof *status);
    coord_watch watch;
    char text[COORD_WATCH_TEXT];

    (void)state;
    coord_watch_init(&watch, NULL, 0, true);
    snprintf(status->phase, sizeof status->phase, "paused");
    status->restarts = 1;
    status->rescales = 1;
    status->rescaled = moved;
    capture();
    coord_watch_take(&watch, status);
    assert_string_equal(said(), "");
    coord_watch_text(&watch, text);
    assert_string_equal(text, ", 1 change of workers with longest step 42 ms");
    free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
