/* The text that Prometheus reads, checked by a small parser that knows the format and nothing of weir. */
#include "coordinator/coord_expose.h"
#include "coordinator/coord_metrics.h"
#include "tests/support/fake_counts.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the parser ---- */

#define SAMPLES_MAX  8000
#define FAMILIES_MAX 200

typedef struct sample {
    char key[400]; /* the name and its labels as they stand there */
    double value;
} sample;

typedef struct exposition {
    sample samples[SAMPLES_MAX];
    int sample_count;
    char families[FAMILIES_MAX][128];
    int family_count;
    char type[16];       /* of the last family */
    bool typed;
    /* of the histogram series that is open */
    char series[400];
    double bound, below;
} exposition;

static bool name_is_right(const char *name, size_t size)
{
    if (size == 0 || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return true;
}

/* Behind the labels, which begin with '{'; null: they are wrong. `le` is cut out into `bound`. */
static const char *labels_read(const char *at, char *others, char *bound)
{
    bool more = true;

    bound[0] = others[0] = '\0';
    for (at++; more; at++) {
        const char *name = at, *value;
        size_t size = strcspn(at, "=");

        if (!name_is_right(name, size) || strncmp(at + size, "=\"", 2) != 0)
            return NULL;
        value = at = at + size + 2;
        for (; *at != '"'; at++)
            if (*at == '\0' || *at == '\n' || (*at == '\\' && strchr("\\\"n", *++at) == NULL))
                return NULL;
        if (size == 2 && strncmp(name, "le", 2) == 0)
            sprintf(bound, "%.*s", (int)(at - value), value);
        else
            sprintf(others + strlen(others), "%.*s,", (int)(at - name), name);
        at++;
        more = *at == ',';
        if (!more && *at != '}')
            return NULL;
    }
    return at;
}

/* Buckets ascend, are cumulative, and end with +Inf, which is the count. */
static void histogram_check(exposition *e, const char *suffix, const char *others, const char *bound,
                            double value)
{
    if (strcmp(suffix, "_bucket") == 0) {
        double le = strcmp(bound, "+Inf") == 0 ? HUGE_VAL : strtod(bound, NULL);

        if (strcmp(e->series, others) != 0 || e->bound == HUGE_VAL) {
            strcpy(e->series, others);
            e->bound = -HUGE_VAL;
            e->below = 0;
        }
        assert_true(bound[0] != '\0' && le > e->bound && value >= e->below);
        e->bound = le;
        e->below = value;
    } else {
        assert_string_equal(e->series, others);
        assert_true(e->bound == HUGE_VAL);
        if (strcmp(suffix, "_count") == 0)
            assert_true(value == e->below);
        else
            assert_string_equal(suffix, "_sum");
    }
}

static void sample_read(exposition *e, const char *line)
{
    const char *family = e->families[e->family_count - 1], *at = line + strcspn(line, "{ ");
    char others[400] = "", bound[64] = "", suffix[64], *end;
    sample *s = &e->samples[e->sample_count++];

    assert_true(e->typed && e->sample_count < SAMPLES_MAX);
    assert_true(name_is_right(line, (size_t)(at - line)));
    assert_int_equal(strncmp(line, family, strlen(family)), 0);
    sprintf(suffix, "%.*s", (int)(at - line - (ptrdiff_t)strlen(family)), line + strlen(family));
    if (*at == '{') {
        at = labels_read(at, others, bound);
        assert_non_null(at);
    }
    assert_int_equal(*at, ' ');
    s->value = strtod(at + 1, &end);
    assert_true(end > at + 1 && *end == '\0');
    snprintf(s->key, sizeof s->key, "%.*s", (int)(at - line), line);
    if (strcmp(e->type, "histogram") == 0)
        histogram_check(e, suffix, others, bound, s->value);
    else
        assert_string_equal(suffix, "");
    if (strcmp(e->type, "counter") == 0)
        assert_true(s->value >= 0 && strcmp(family + strlen(family) - 6, "_total") == 0);
    for (int i = 0; i < e->sample_count - 1; i++)
        assert_string_not_equal(e->samples[i].key, s->key);
}

static void comment_read(exposition *e, const char *line)
{
    char name[128], type[16];

    if (strncmp(line, "# HELP ", 7) == 0) {
        assert_int_equal(sscanf(line + 7, "%127s", name), 1);
        assert_true(name_is_right(name, strlen(name)) && e->family_count < FAMILIES_MAX);
        assert_true(strlen(line) > 7 + strlen(name) + 1);
        for (int i = 0; i < e->family_count; i++)
            assert_string_not_equal(e->families[i], name);
        strcpy(e->families[e->family_count++], name);
        e->typed = false;
        return;
    }
    assert_int_equal(sscanf(line, "# TYPE %127s %15s", name, type), 2);
    assert_string_equal(name, e->families[e->family_count - 1]);
    assert_true(!e->typed && (strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
                              strcmp(type, "histogram") == 0));
    strcpy(e->type, type);
    e->typed = true;
    e->series[0] = '\0';
    e->bound = HUGE_VAL;
}

/* Takes the text. */
static exposition *parse(char *text, size_t size)
{
    exposition *e = calloc(1, sizeof *e);
    char *at = text;

    assert_true(size > 0 && text[size - 1] == '\n' && memchr(text, 0, size) == NULL);
    while (at < text + size) {
        char *end = memchr(at, '\n', (size_t)(text + size - at));

        *end = '\0';
        if (at[0] == '#')
            comment_read(e, at);
        else
            sample_read(e, at);
        at = end + 1;
    }
    free(text);
    return e;
}

static double value_of(const exposition *e, const char *key)
{
    for (int i = 0; i < e->sample_count; i++)
        if (strcmp(e->samples[i].key, key) == 0)
            return e->samples[i].value;
    return -1;
}

/* ---- a job ---- */

typedef struct scene {
    coord_status status;
    coord_histogram snapshots, phases[COORD_SNAPSHOT_PHASES];
    coord_rescale_totals rescales;
    snap_entry last;
    coord_counts counts[3];
    const coord_counts *told[COORD_METRICS_PEERS_MAX + 1]; /* null behind the first ones */
    coord_metrics metrics;
} scene;

static scene *scene_new(void)
{
    static const char *const labels[] = { "w1", "a \"b\\\n", "w3" };
    const coord_rescale_row drained = { .what = "drain-worker", .end = "done", .key_groups = 7, .bytes = 3000 };
    const coord_rescale_row aborted = { .what = "rescale", .end = "aborted", .key_groups = 9, .bytes = 90 };
    const coord_rescale_row unknown = { .what = "abort", .end = "done", .key_groups = 1, .bytes = 1 };
    scene *s = calloc(1, sizeof *s);

    snprintf(s->status.job, sizeof s->status.job, "flock");
    snprintf(s->status.phase, sizeof s->status.phase, "running");
    s->status.begun = true;
    s->status.step = 17;
    s->status.steps = 100;
    s->status.late_steps = 9;
    s->status.restarts = 2;
    s->status.restores = 3;
    strcpy(s->status.degraded, "no room");
    s->status.history_left = 4096;
    s->status.snapshot_step = 9;
    s->status.rejected[PROTO_REJECT_gap] = 5;
    s->status.worker_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        coord_status_worker *w = &s->status.workers[i];

        *w = (coord_status_worker){ .id = 10 + i, .member = i < 2, .here = i == 0, .begun = i == 0,
                                    .step = 18, .silent_us = 1500000 };
        snprintf(w->label, sizeof w->label, "%s", labels[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        fake_counts_fill(&s->counts[i], 1000 * (i + 1));
        s->told[i] = &s->counts[i];
    }
    coord_histogram_put(&s->snapshots, 0.25);
    coord_histogram_put(&s->snapshots, 0.001);
    coord_histogram_put(&s->phases[COORD_SNAPSHOT_WRITE], 0.125);
    coord_rescale_totals_put(&s->rescales, &drained);
    coord_rescale_totals_put(&s->rescales, &drained);
    coord_rescale_totals_put(&s->rescales, &aborted);
    coord_rescale_totals_put(&s->rescales, &unknown);
    s->status.rescale = aborted;
    s->last = (snap_entry){ .snapshot = 4, .size = 1000, .created_ms = 1700000000123 };
    s->metrics = (coord_metrics){ .status = &s->status, .bound = 20, .ceiling = 30, .last = &s->last,
                                  .last_seconds = 0.25, .commit_seconds = 0.125, .snapshots = &s->snapshots,
                                  .phases = s->phases, .rescales = &s->rescales, .counts = s->told };
    return s;
}

static void scene_free(scene *s)
{
    for (int i = 0; i < 3; i++)
        coord_counts_fini(&s->counts[i]);
    free(s);
}

static exposition *scene_parse(const scene *s)
{
    size_t size;
    char *text = coord_metrics_text(&s->metrics, &size);

    assert_non_null(text);
    return parse(text, size);
}

/* ---- the text ---- */

#define FLY "{worker=\"w1\",operator=\"fly\",role=\"operator\",kind=\"boids\""

static const struct { const char *key; double value; } text_expected[] = {
    { "weir_info{name=\"flock\"}", 1 },
    { "weir_phase{phase=\"running\"}", 1 },
    { "weir_phase{phase=\"paused\"}", 0 },
    { "weir_step", 17 },
    { "weir_late_steps_total", 9 },
    { "weir_steps", 100 },
    { "weir_bound", 19 },
    { "weir_ceiling", 29 },
    { "weir_restarts_total", 2 },
    { "weir_restores_total", 3 },
    { "weir_degraded", 1 },
    { "weir_history_left_bytes", 4096 },
    { "weir_snapshot_last_id", 4 },
    { "weir_snapshot_last_size_bytes", 1000 },
    { "weir_snapshot_last_duration_seconds", 0.25 },
    { "weir_snapshot_last_commit_seconds", 0.125 },
    { "weir_snapshot_last_timestamp_seconds", 1700000000.123 },
    { "weir_snapshot_duration_seconds_bucket{le=\"0.001\"}", 1 },
    { "weir_snapshot_duration_seconds_bucket{le=\"0.1\"}", 1 },
    { "weir_snapshot_duration_seconds_bucket{le=\"0.3\"}", 2 },
    { "weir_snapshot_duration_seconds_count", 2 },
    { "weir_rescales_total{what=\"drain-worker\",end=\"done\"}", 2 },
    { "weir_rescales_total{what=\"rescale\",end=\"aborted\"}", 1 },
    { "weir_rescales_total{what=\"move\",end=\"voided\"}", 0 },
    { "weir_rescale_running", 1 },
    { "weir_rescale_key_groups_moved_total", 14 },
    { "weir_rescale_bytes_moved_total", 6000 },
    { "weir_rejected_messages_total{reason=\"gap\"}", 5 },
    { "weir_workers{state=\"here\"}", 1 },
    { "weir_workers{state=\"missing\"}", 1 },
    { "weir_workers{state=\"spare\"}", 1 },
    { "weir_worker_step{worker=\"w1\"}", 18 },
    { "weir_worker_silent_seconds{worker=\"w3\"}", 1.5 },
    { "weir_worker_row_steps_total{worker=\"w1\"}", 1000 },
    { "weir_worker_tasks_total{worker=\"a \\\"b\\\\\\n\"}", 2001 },
    { "weir_worker_snapshot_duration_seconds_bucket{worker=\"w1\",le=\"300\"}", 1 },
    { "weir_worker_snapshot_duration_seconds_count{worker=\"w1\"}", 2 },
    { "weir_worker_rejected_messages_total{worker=\"w1\",reason=\"stale\"}", 1005 },
    { "weir_snapshot_phase_duration_seconds_bucket{phase=\"write\",le=\"0.1\"}", 0 },
    { "weir_snapshot_phase_duration_seconds_sum{phase=\"write\"}", 0.125 },
    { "weir_snapshot_phase_duration_seconds_count{phase=\"commit\"}", 0 },
    { "weir_key_group_task_duration_seconds_bucket{worker=\"w1\",le=\"4.294967296\"}", 0 },
    { "weir_key_group_task_duration_seconds_count{worker=\"w1\"}", 1 },
    { "weir_operator_calls_total" FLY "}", 3 },
    { "weir_operator_bytes_out_total" FLY "}", 24000 },
    { "weir_operator_duration_seconds_bucket" FLY ",le=\"1.024e-06\"}", 1 },
    { "weir_operator_duration_seconds_bucket" FLY ",le=\"2.048e-06\"}", 2 },
    { "weir_operator_duration_seconds_bucket" FLY ",le=\"1.073741824\"}", 2 },
    { "weir_operator_duration_seconds_bucket" FLY ",le=\"2.147483648\"}", 3 },
    { "weir_operator_duration_seconds_bucket" FLY ",le=\"+Inf\"}", 3 },
    { "weir_operator_duration_seconds_sum" FLY "}", 1.500002049 },
    { "weir_operator_duration_seconds_count" FLY "}", 3 },
    { "weir_operator_bytes_in_total{worker=\"w1\",operator=\"birds\",role=\"sink\",kind=\"csv\"}",
      8000 },
    { "weir_operator_rows_in_total{worker=\"w1\",operator=\"birds\",role=\"sink\",kind=\"csv\"}",
      1000 },
    { "weir_channel_queued_frames{worker=\"w1\",peer=\"w3\"}", 3 },
    { "weir_channel_received_bytes_total{worker=\"w1\",peer=\"w3\"}", 5 },
    { "weir_channel_moved_bytes_total{worker=\"w1\",peer=\"w3\"}", 7 },
    { "weir_channel_wait_seconds_bucket{worker=\"w1\",peer=\"w3\",le=\"1.024e-06\"}", 1 },
    { "weir_channel_wait_seconds_sum{worker=\"w1\",peer=\"a \\\"b\\\\\\n\"}", 0.000003 },
    { "weir_channel_frames_resent_total{worker=\"w1\",peer=\"a \\\"b\\\\\\n\"}", 1000 },
};

static void test_text(void **state)
{
    scene *s = scene_new();
    exposition *e = scene_parse(s);

    (void)state;
    for (size_t i = 0; i < sizeof text_expected / sizeof text_expected[0]; i++)
        if (fabs(value_of(e, text_expected[i].key) - text_expected[i].value) > 1e-6 * text_expected[i].value)
            fail_msg("%s is %g", text_expected[i].key, value_of(e, text_expected[i].key));
    assert_true(value_of(e, "weir_worker_step{worker=\"w3\"}") < 0);
    assert_true(value_of(e, "weir_worker_tasks_total{worker=\"w3\"}") < 0);
    free(e);
    scene_free(s);
}

/* Nothing is known yet. */
static void test_text_empty(void **state)
{
    scene *s = scene_new();
    exposition *e;

    (void)state;
    s->metrics.last = NULL;
    s->status.worker_count = 0;
    s->status.begun = false;
    e = scene_parse(s);
    assert_true(value_of(e, "weir_step") < 0);
    assert_true(value_of(e, "weir_snapshot_last_id") < 0);
    assert_true(value_of(e, "weir_workers{state=\"here\"}") == 0);
    assert_true(value_of(e, "weir_snapshots_taken_total") == 0);
    free(e);
    s->metrics.last = &s->last; /* of an earlier coordinator: how long it took is not known */
    s->metrics.last_seconds = -1;
    e = scene_parse(s);
    assert_true(value_of(e, "weir_snapshot_last_duration_seconds") < 0);
    assert_true(value_of(e, "weir_snapshot_last_commit_seconds") < 0);
    assert_true(value_of(e, "weir_snapshot_last_id") == 4);
    free(e);
    scene_free(s);
}

static void scene_extend(scene *s, uint32_t workers)
{
    s->status.worker_count = workers;
    for (uint32_t i = 3; i < workers; i++) {
        s->status.workers[i].id = 100 + i;
        snprintf(s->status.workers[i].label, sizeof s->status.workers[i].label, "w%u", i + 1);
    }
}

/* Pairs of a thousand workers would be a page of a million lines: with many only sums are shown, of histograms
 * sooner than of numbers. */
static void test_text_many(void **state)
{
    scene *s = scene_new();
    exposition *e;

    (void)state;
    scene_extend(s, COORD_METRICS_WAITS_MAX + 1);
    e = scene_parse(s);
    assert_true(value_of(e, "weir_channel_wait_seconds_count{worker=\"w1\",peer=\"all\"}") == 2);
    assert_true(value_of(e, "weir_channel_wait_seconds_count{worker=\"w1\",peer=\"w3\"}") < 0);
    assert_true(value_of(e, "weir_channel_queued_frames{worker=\"w1\",peer=\"w3\"}") == 3);
    free(e);
    scene_extend(s, COORD_METRICS_PEERS_MAX + 1);
    e = scene_parse(s);
    assert_true(value_of(e, "weir_channel_queued_frames{worker=\"w1\",peer=\"all\"}") == 3);
    assert_true(value_of(e, "weir_channel_buffered_bytes{worker=\"w1\",peer=\"all\"}") == 4);
    assert_true(value_of(e, "weir_channel_frames_sent_total{worker=\"w1\",peer=\"all\"}") == 1000);
    assert_true(value_of(e, "weir_channel_queued_frames{worker=\"w1\",peer=\"w3\"}") < 0);
    assert_true(value_of(e, "weir_channel_received_bytes_total{worker=\"w1\",peer=\"all\"}") == 5);
    assert_true(value_of(e, "weir_channel_moved_bytes_total{worker=\"w1\",peer=\"all\"}") == 7);
    assert_true(value_of(e, "weir_channel_frames_received_total{worker=\"w1\",peer=\"all\"}") == 6);
    free(e);
    scene_free(s);
}

/* The last operator's calls, one of each worker, as each worker's or as the sum. */
static void shows(const char *text, const char *name, uint32_t operators, uint32_t workers, uint32_t most)
{
    bool many = (uint64_t)workers * operators > most;
    char line[400];

    snprintf(line, sizeof line, "\n%s{worker=\"%s\",operator=\"%063u\",role=\"operator\",kind=\"%063u\"} %u\n", name,
             many ? "all" : "w1", operators - 1, 0, many ? workers : 1);
    assert_non_null(strstr(text, line));
    snprintf(line, sizeof line, "\n%s{worker=\"%s\"", name, many ? "w1" : "all");
    assert_null(strstr(text, line));
}

/* So many workers and operators, of the longest names, with a channel to everybody. */
static size_t size_of_page(uint32_t workers, uint32_t operators)
{
    scene *s = scene_new();
    const coord_counts *told[PROTO_WORKERS_MAX];
    coord_counts counts;
    size_t size;
    char *text;

    scene_extend(s, workers);
    assert_true(coord_counts_init(&counts, operators, workers));
    for (uint32_t i = 0; i < operators; i++) {
        snprintf(counts.operators[i].name, WEIR_NAME_MAX, "%063u", i);
        snprintf(counts.operators[i].kind, WEIR_NAME_MAX, "%063u", 0);
        df_spans_put(&counts.operators[i].calls, 1);
    }
    for (uint32_t i = 0; i < workers; i++) {
        counts.peers[i].id = s->status.workers[i].id;
        told[i] = &counts;
    }
    s->metrics.counts = told;
    text = coord_metrics_text(&s->metrics, &size);
    assert_non_null(text);
    shows(text, "weir_operator_calls_total", operators, workers, COORD_METRICS_OPERATORS_MAX);
    shows(text, "weir_operator_duration_seconds_count", operators, workers, COORD_METRICS_CALLS_MAX);
    free(text);
    coord_counts_fini(&counts);
    scene_free(s);
    return size;
}

/* The page can always be made, and a cluster of common size has one of common size. */
static void test_text_bounded(void **state)
{
    (void)state;
    assert_true(size_of_page(4, 20) < 1 << 20);
    assert_true(size_of_page(16, 20) < 4 << 20);
    assert_true(size_of_page(64, 16) < 16 << 20);
    assert_true(size_of_page(64, 128) < 32 << 20);
    assert_true(size_of_page(PROTO_WORKERS_MAX, COORD_COUNTS_OPERATORS_MAX) < 32 << 20);
}

/* The page of key groups: each that was told of by somebody who is known, once, with that worker's label. */
static void test_groups(void **state)
{
    static const coord_metrics_group groups[] = {
        { .worker = 11, .cost_ns = 1500000000, .rows = 7, .bytes = 168 }, /* its label is to be escaped */
        { .worker = 0, .rows = 1000 },
        { .worker = 10 },
        { .worker = 99, .rows = 1000 },
    };
    scene *s = scene_new();
    size_t size;
    char *text = coord_metrics_groups_text(&s->status, groups, 4, &size);
    exposition *e = parse(text, size);

    (void)state;
    assert_int_equal(e->sample_count, 2 * 3);
    assert_true(value_of(e, "weir_key_group_rows{key_group=\"0\",worker=\"a \\\"b\\\\\\n\"}") == 7);
    assert_true(value_of(e, "weir_key_group_bytes{key_group=\"0\",worker=\"a \\\"b\\\\\\n\"}") == 168);
    assert_true(value_of(e, "weir_key_group_step_cost_seconds{key_group=\"0\",worker=\"a \\\"b\\\\\\n\"}") == 1.5);
    assert_true(value_of(e, "weir_key_group_rows{key_group=\"2\",worker=\"w1\"}") == 0);
    free(e);
    text = coord_metrics_groups_text(&s->status, groups, 0, &size);
    e = parse(text, size);
    assert_int_equal(e->sample_count, 0);
    assert_int_equal(e->family_count, 3);
    free(e);
    scene_free(s);
}

/* The most key groups there can be, with long numbers and a long label, are a page that can be made. */
static void test_groups_bounded(void **state)
{
    scene *s = scene_new();
    coord_metrics_group *groups = calloc(PROTO_GROUPS_MAX, sizeof *groups);
    size_t size;
    char *text;

    (void)state;
    memset(s->status.workers[0].label, '"', WEIR_NAME_MAX - 1);
    for (uint32_t i = 0; i < PROTO_GROUPS_MAX; i++)
        groups[i] = (coord_metrics_group){ 10, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    text = coord_metrics_groups_text(&s->status, groups, PROTO_GROUPS_MAX, &size);
    assert_non_null(text);
    assert_true(size < COORD_METRICS_SIZE_MAX / 2);
    free(text);
    free(groups);
    scene_free(s);
}

/* Workers that call themselves the same, or like one of two that do, have series of their own. */
static void test_text_same_labels(void **state)
{
    scene *s = scene_new();
    exposition *e;

    (void)state;
    strcpy(s->status.workers[0].label, "w");
    strcpy(s->status.workers[1].label, "w");
    strcpy(s->status.workers[2].label, "w (a)");
    s->told[2] = &s->counts[0];
    e = scene_parse(s);
    assert_true(value_of(e, "weir_worker_tasks_total{worker=\"w (a)\"}") == 1001);
    assert_true(value_of(e, "weir_worker_tasks_total{worker=\"w (b)\"}") == 2001);
    assert_true(value_of(e, "weir_worker_tasks_total{worker=\"w (a) (c)\"}") == 1001);
    free(e);
    scene_free(s);
}

static void test_text_too_long(void **state)
{
    df_writer out;
    char memory[64];

    (void)state;
    df_writer_init(&out, memory, sizeof memory);
    coord_expose_family(&out, "a_long_name_of_a_family_that_is_shown", COORD_GAUGE, "what it is about");
    coord_expose_count(&out, "a", NULL, 1);
    assert_false(df_writer_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_text_empty),
        cmocka_unit_test(test_text_same_labels), cmocka_unit_test(test_text_many),
        cmocka_unit_test(test_text_bounded), cmocka_unit_test(test_text_too_long),
        cmocka_unit_test(test_groups),       cmocka_unit_test(test_groups_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
