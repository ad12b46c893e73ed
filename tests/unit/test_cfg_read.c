/* From the text of a job to its draft: what comes out, and the exact text of every error. */
#include "dataflow/df_limits.h"
#include "tests/support/cfg_text.h"

/* ---- what is right ---- */

static const char whole_job[] = "[job]\n"
                                "steps = 3\n"
                                "[param]\n"
                                "twice = \"2 * once\"\n"
                                "once  = 1.5\n"
                                "[space.sky]\n"
                                "axes = [\"x\", \"y\"]\n"
                                "size = [\"twice\", 7]\n"
                                "edges = [\"closed\", \"periodic\"]\n"
                                "[sink.early]\n"
                                "kind = \"print\"\n"
                                "in = \"move.now\"\n"
                                "at = \"end\"\n"
                                "[state.birds]\n"
                                "space = \"sky\"\n"
                                "columns.f32 = [\"x\", \"y\"]\n"
                                "columns.u8 = \"ill\"\n"
                                "columns.f64 = [\"mass\"]\n"
                                "first = \"hatch\"\n"
                                "next = [\"fly\", \"born\"]\n"
                                "moves = \"anywhere\"\n"
                                "[operator.hatch]\n"
                                "kind = \"uniform\"\n"
                                "rows = \"2 * once\"\n"
                                "[operator.meet-up]\n"
                                "kind = \"sir\"\n"
                                "in.agents = \"birds\"\n"
                                "in.places = [\"a\", \"b\"]\n"
                                "place = \"ill\"\n"
                                "infection = 1\n"
                                "recovery = 0.25\n"
                                "every_steps = 10\n"
                                "[run]\n"
                                "key_groups = 16\n"
                                "window = 2\n"
                                "pace = 12.5\n";

static void test_whole_job(void **state)
{
    df_draft *d = draft_of(whole_job);

    (void)state;
    assert_string_equal(d->file, "jobs/a.toml");
    assert_string_equal(d->job.name, "a");
    assert_string_equal(d->job.time_unit, "");
    assert_string_equal(d->job.directory, "jobs");
    assert_int_equal(d->job.seed, 1);
    assert_int_equal(d->job.steps, 3);
    assert_true(d->job.dt == 1 && d->job.time_start == 0);
    assert_int_equal(d->key_groups, 16);
    assert_int_equal(d->window, 2);
    assert_true(d->pace == 12.5);

    assert_int_equal(d->space_count, 1);
    assert_string_equal(d->spaces[0].name.text, "sky");
    assert_int_equal(d->spaces[0].name.place.line, 6);
    assert_int_equal(d->spaces[0].name.place.column, 8);
    assert_int_equal(d->spaces[0].axis_count, 2);
    assert_string_equal(d->spaces[0].axes[1], "y");
    assert_true(d->spaces[0].size[0] == 3 && d->spaces[0].size[1] == 7);
    assert_false(d->spaces[0].periodic[0]);
    assert_true(d->spaces[0].periodic[1]);

    assert_int_equal(d->state_count, 1);
    assert_string_equal(d->states[0].space.text, "sky");
    assert_int_equal(d->states[0].schema.column_count, 4);
    assert_string_equal(d->states[0].schema.columns[2].name, "ill");
    assert_int_equal(d->states[0].schema.columns[2].type, WEIR_U8);
    assert_int_equal(d->states[0].schema.columns[3].type, WEIR_F64);
    assert_string_equal(d->states[0].first.text, "hatch");
    assert_int_equal(d->states[0].first.place.line, 19); /* of the key: the plan's errors */
    assert_int_equal(d->states[0].first.place.column, 1);
    assert_int_equal(d->states[0].next_count, 2);
    assert_string_equal(d->states[0].next[1].text, "born");
    assert_int_equal(d->states[0].next[1].place.line, 20); /* in a list, of the text */
    assert_int_equal(d->states[0].next[1].place.column, 16);
    assert_true(d->states[0].moves_anywhere);
    assert_int_equal(d->states[0].moves_place.line, 21);
    cfg_draft_free(&d);
    assert_null(d);
    cfg_draft_free(&d);
}

static void test_whole_job_operators(void **state)
{
    df_draft *d = draft_of(whole_job);
    const df_draft_operator *op;

    (void)state;
    assert_int_equal(d->operator_count, 3); /* operators and sinks in the order of the file */
    op = &d->operators[0];
    assert_string_equal(op->name.text, "early");
    assert_true(op->sink);
    assert_true(op->at_end);
    assert_int_equal(op->every_steps, 1);
    assert_int_equal(op->input_count, 1);
    assert_null(op->inputs[0].port.text);
    assert_int_equal(op->inputs[0].stream_count, 1);
    assert_string_equal(op->inputs[0].streams[0].text, "move.now");
    assert_int_equal(op->inputs[0].streams[0].place.line, 12);
    assert_int_equal(op->inputs[0].streams[0].place.column, 1);
    op = &d->operators[1];
    assert_ptr_equal(op->kind, &kind_uniform);
    assert_int_equal(op->kind_place.line, 23);
    assert_int_equal(((kinds_uniform *)op->options)->rows, 3);
    assert_int_equal(op->input_count, 0);
    op = &d->operators[2];
    assert_string_equal(op->name.text, "meet-up");
    assert_int_equal(op->every_steps, 10);
    assert_false(op->at_end);
    assert_int_equal(op->input_count, 2);
    assert_string_equal(op->inputs[1].port.text, "places");
    assert_int_equal(op->inputs[1].port.place.column, 4);
    assert_int_equal(op->inputs[1].stream_count, 2);
    assert_int_equal(op->key_count, 8); /* with in, in.agents and in.places */
    assert_string_equal(op->keys[2].path, "in.agents");
    assert_int_equal(op->keys[2].place.line, 27);
    assert_string_equal(op->keys[4].path, "place");
    assert_int_equal(op->keys[4].place.line, 29);
    cfg_draft_free(&d);
}

static void test_job_and_run(void **state)
{
    df_draft *d = draft_of("[job]\nname = \"other\"\nsteps = 0\nseed = \"18446744073709551615\"\n"
                           "dt = \"1/24\"\ntime_unit = \"day\"\ntime_start = -1\n"
                           "[run]\npace = \"unlimited\"\n");

    (void)state;
    assert_string_equal(d->job.name, "other");
    assert_string_equal(d->job.time_unit, "day");
    assert_true(d->job.seed == UINT64_MAX);
    assert_int_equal(d->job.steps, 0);
    assert_true(d->job.dt == 1.0 / 24);
    assert_true(d->job.time_start == -1);
    assert_int_equal(d->key_groups, 256);
    assert_int_equal(d->window, 8);
    assert_true(d->pace == 0);
    cfg_draft_free(&d);
}

#define PROBE "[job]\nsteps = 1\n[operator.p]\nkind = \"probe\"\n"

static void test_option_defaults(void **state)
{
    df_draft *d = draft_of(PROBE);
    const kinds_probe *p = d->operators[0].options;

    (void)state;
    assert_true(p->number == 0.5 && p->small == 0.5 && p->single == 0.25f);
    assert_int_equal(p->whole, -7);
    assert_true(p->wide == -9007199254740993); /* 2^53 + 1: not by way of a double */
    assert_int_equal(p->count, 3);
    assert_true(p->key == UINT64_MAX);
    assert_int_equal(p->byte, 255);
    assert_true(p->flag);
    assert_int_equal(p->choice, 1);
    assert_true(p->range[0] == -1 && p->range[1] == 1);
    assert_string_equal(p->text, "a default");
    assert_null(p->column);
    assert_int_equal(p->columns.count, 2);
    assert_string_equal(p->columns.names[1], "y");
    assert_int_equal(p->set.count, 0);
    cfg_draft_free(&d);
}

static void test_option_values(void **state)
{
    df_draft *d = draft_of(PROBE "number = \"-sqrt(n) / 4\"\n"
                                 "small = 1\n"
                                 "single = \"1/3\"\n"
                                 "whole = -2147483648\n"
                                 "wide = -9223372036854775808\n"
                                 "count = 99.0\n"
                                 "key = 9223372036854775807\n"
                                 "byte = \"n - 5\"\n"
                                 "flag = false\n"
                                 "choice = \"three\"\n"
                                 "range = [2, \"n\"]\n"
                                 "text = \"\"\n"
                                 "column = \"id\"\n"
                                 "columns = \"z\"\n"
                                 "set.b = \"x + 1\"\n"
                                 "set.a = \"2\"\n"
                                 "[param]\n"
                                 "n = 9\n");
    const kinds_probe *p = d->operators[0].options;

    (void)state;
    assert_true(p->number == -0.75 && p->small == 1 && p->single == 1.0f / 3);
    assert_int_equal(p->whole, INT32_MIN);
    assert_true(p->wide == INT64_MIN);
    assert_int_equal(p->count, 99);
    assert_true(p->key == INT64_MAX);
    assert_int_equal(p->byte, 4);
    assert_false(p->flag);
    assert_int_equal(p->choice, 2);
    assert_true(p->range[0] == 2 && p->range[1] == 9);
    assert_string_equal(p->text, "");
    assert_string_equal(p->column, "id");
    assert_int_equal(p->columns.count, 1);
    assert_string_equal(p->columns.names[0], "z");
    assert_int_equal(p->set.count, 2); /* in the order of the file */
    assert_string_equal(p->set.items[0].name, "b");
    assert_string_equal(p->set.items[0].text, "x + 1");
    assert_string_equal(p->set.items[1].name, "a");
    cfg_draft_free(&d);
}

/* "csv" is a source and a sink. */
static void test_kind_by_role(void **state)
{
    df_draft *d =
        draft_of("[job]\nsteps = 1\n[sink.a]\nkind = \"csv\"\nin = \"x\"\nfile = \"a/b.c\"\n"
                 "[operator.c]\nkind = \"csv\"\nfile = \"/dev/null\"\ncolumn = \"q\"\n");

    (void)state;
    assert_ptr_equal(d->operators[0].kind, &kind_csv);
    assert_ptr_equal(d->operators[1].kind, &kind_csv_source);
    assert_string_equal(((kinds_sink *)d->operators[0].options)->file, "a/b.c");
    assert_string_equal(((kinds_compare *)d->operators[1].options)->file, "/dev/null");
    cfg_draft_free(&d);
}

static void test_policies(void **state)
{
    df_draft *d = draft_of(
        "[job]\nsteps = 1\n"
        "[snapshot]\nevery_steps = 500\nretain = 5\ncompression = \"none\"\nverify = true\n"
        "[fault_tolerance]\nmode = \"retry\"\nmax_restarts = 0\nbackoff_seconds = 2.5\n"
        "retries = 100\n"
        "[replay]\nmode = \"record\"\nstreams = true\nkeep = \"all\"\n"
        "[placement]\npolicy = \"round-robin\"\nmin_free_bytes = \"2GiB\"\n"
        "[worker.left]\nthreads = 2\nendpoint = \"tcp://left:7000\"\n"
        "[worker.right]\nbackend = \"cuda:0\"\npriority = 4\n"
        "[scaling]\nmin = 2\nmax = 5\ntarget_utilisation = 0.5\ncool_down_seconds = 0\n");

    (void)state;
    assert_true(d->policy.snapshot);
    assert_int_equal(d->policy.snapshot_every_steps, 500);
    assert_int_equal(d->policy.snapshot_retain, 5);
    assert_int_equal(d->policy.snapshot_compression, DF_COMPRESS_NONE);
    assert_true(d->policy.snapshot_verify);
    assert_true(d->policy.replay_record && d->policy.replay_streams && d->policy.replay_keep_all);
    assert_int_equal(d->policy.fault_mode, DF_FAULT_RETRY);
    assert_int_equal(d->policy.fault_max_restarts, 0);
    assert_true(d->policy.fault_backoff_seconds == 2.5);
    assert_int_equal(d->policy.fault_retries, 100);
    assert_int_equal(d->policy.placement.policy, DF_PLACE_ROUND_ROBIN);
    assert_int_equal(d->policy.placement.min_free_bytes, 2ull << 30);
    assert_true(d->policy.scaling.on);
    assert_int_equal(d->policy.scaling.min, 2);
    assert_int_equal(d->policy.scaling.max, 5);
    assert_true(d->policy.scaling.target_utilisation == 0.5);
    assert_true(d->policy.scaling.cool_down_seconds == 0);

    assert_int_equal(d->worker_count, 2); /* in the order of the file */
    assert_string_equal(d->workers[0].label.text, "left");
    assert_int_equal(d->workers[0].label.place.line, 20);
    assert_string_equal(d->workers[0].backend.text, "cpu");
    assert_int_equal(d->workers[0].threads, 2);
    assert_string_equal(d->workers[0].endpoint.text, "tcp://left:7000");
    assert_int_equal(d->workers[0].endpoint.place.line, 22);
    assert_string_equal(d->workers[1].label.text, "right");
    assert_string_equal(d->workers[1].backend.text, "cuda:0");
    assert_int_equal(d->workers[1].backend.place.line, 24); /* for who cannot compute on it */
    assert_int_equal(d->workers[1].backend.place.column, 1);
    assert_int_equal(d->workers[0].priority, 0);
    assert_int_equal(d->workers[1].priority, 4);
    assert_int_equal(d->workers[1].threads, 0);
    assert_null(d->workers[1].endpoint.text);
    cfg_draft_free(&d);
}

static void check_default_policy(const df_policy *p)
{
    assert_true(p->snapshot_every_seconds == 60);
    assert_int_equal(p->snapshot_every_steps, 0);
    assert_int_equal(p->snapshot_retain, 3);
    assert_int_equal(p->snapshot_compression, DF_COMPRESS_LZ4);
    assert_false(p->snapshot_verify);
    assert_int_equal(p->fault_mode, DF_FAULT_SNAPSHOT);
    assert_int_equal(p->fault_max_restarts, 10);
    assert_true(p->fault_backoff_seconds == 0.1);
    assert_int_equal(p->fault_retries, 3);
    assert_int_equal(p->placement.policy, DF_PLACE_LOCALITY);
    assert_false(p->placement.automatic);
    assert_int_equal(p->placement.min_free_bytes, 0);
    assert_int_equal(p->placement.min_compute_capability, 0);
    assert_int_equal(p->placement.priority, 0);
    assert_int_equal(p->placement.label_count, 0);
    assert_true(p->placement.sample_seconds == 0.25);
    assert_int_equal(p->scaling.min, 1);
    assert_int_equal(p->scaling.max, 0);
    assert_true(p->scaling.target_utilisation == 0.7);
    assert_true(p->scaling.cool_down_seconds == 30);
}

static void test_default_policies(void **state)
{
    df_draft *d = draft_of("[job]\nsteps = 1\n");

    (void)state;
    assert_false(d->policy.snapshot);
    assert_false(d->policy.scaling.on);
    check_default_policy(&d->policy);
    assert_int_equal(d->worker_count, 0);
    cfg_draft_free(&d);
    d = draft_of("[job]\nsteps = 1\n[snapshot]\n[fault_tolerance]\n[worker]\n[placement]\n"
                 "[scaling]\n");
    assert_true(d->policy.snapshot);
    assert_true(d->policy.scaling.on);
    check_default_policy(&d->policy);
    assert_int_equal(d->worker_count, 0);
    cfg_draft_free(&d);
    d = draft_of("[job]\nsteps = 1\n[snapshot]\nevery_seconds = 0.25\ncompression = \"zstd\"\n"
                 "[fault_tolerance]\nmode = \"none\"\n");
    assert_true(d->policy.snapshot_every_seconds == 0.25);
    assert_int_equal(d->policy.snapshot_compression, DF_COMPRESS_ZSTD);
    assert_int_equal(d->policy.fault_mode, DF_FAULT_NONE);
    cfg_draft_free(&d);
}

/* ---- what is wrong ---- */

static void test_syntax_errors(void **state)
{
    static const error_case cases[] = {
        { "[job]\nsteps = \n",
          "a.toml:2:9: not valid TOML: key-value pair: expected value, saw '\\n'\n" },
        { "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1\n", "a.toml:1:32: a key has at most 16 parts\n" },
    };

    (void)state;
    CHECK_CASES("", cases);
}

static void test_section_errors(void **state)
{
    static const error_case cases[] = {
        { "[opertor.x]\n",
          "a.toml:3:2: unknown section \"opertor\" (did you mean \"operator\"?)\n" },
        { "[banana]\n", "a.toml:3:2: unknown section \"banana\"\n" },
        { "[operator]\nkind = \"uniform\"\n",
          "a.toml:4:1: [operator]: \"kind\" must be a section: write [operator.NAME]\n" },
        { "[[state]]\n", "a.toml:3:3: \"state\" must be a section: write [state.NAME]\n" },
        { "[[run]]\n", "a.toml:3:3: \"run\" must be a section: write [run]\n" },
        { "[space.\"a b\"]\naxes = \"x\"\nsize = 1\n",
          "a.toml:3:8: [space]: the name \"a b\": a name has letters, digits, \"_\" and \"-\", and "
          "begins with a letter or \"_\"\n" },
        { "[worker.9]\n",
          "a.toml:3:9: [worker]: the name \"9\": a name has letters, digits, \"_\" and \"-\", and "
          "begins with a letter or \"_\"\n" },
        { "[worker.a123456789a123456789a123456789a123456789a123456789a123456789abcd]\n",
          "a.toml:3:9: [worker]: the name "
          "\"a123456789a123456789a123456789a123456789a123456789a123456789abcd\": a name has at "
          "most "
          "63 characters\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n", cases);
    check_errors("", "a.toml: [job] is missing: it says at least how many \"steps\" to run\n");
    check_errors("steps = 5\n",
                 "a.toml: [job] is missing: it says at least how many \"steps\" to run\n"
                 "a.toml:1:1: \"steps\" stands in no section, such as [job]\n");
    check_errors("job = 5\n", "a.toml:1:1: \"job\" must be a section: write [job]\n");
}

static void test_job_errors(void **state)
{
    static const error_case cases[] = {
        { "", "a.toml:1:2: [job]: key \"steps\" is missing: the last step; the first is 0\n" },
        { "sted = 4\nsteps = 1\n",
          "a.toml:2:1: [job]: unknown key \"sted\" (did you mean \"seed\"?)\n" },
        { "steps = -1\n", "a.toml:2:9: [job]: steps: must be in 0..1099511627776, found -1\n" },
        { "steps = 1.5\n", "a.toml:2:9: [job]: steps: must be a whole number, found 1.5\n" },
        { "steps = true\n", "a.toml:2:9: [job]: steps: expected a number, found true\n" },
        { "steps = [1]\n", "a.toml:2:9: [job]: steps: expected a number, found a list\n" },
        { "steps = inf\n", "a.toml:2:9: [job]: steps: expected a number, found inf\n" },
        { "steps = 1979-05-27\n", "a.toml:2:9: [job]: steps: expected a number, found a date\n" },
        { "steps = 1\nseed = -1\n", "a.toml:3:8: [job]: seed: must be at least 0, found -1\n" },
        { "steps = 1\nseed = 1e300\n", "a.toml:3:8: [job]: seed: a whole number above 2^53 must be "
                                       "written in digits, found 1e+300\n" },
        { "steps = 1\nseed = \"18446744073709551616\"\n",
          "a.toml:3:8: [job]: seed: a whole number above 2^53 must be written in digits, found "
          "1.84467440737096e+19\n" },
        { "steps = 1\ndt = 0\n", "a.toml:3:6: [job]: dt: must be > 0, found 0\n" },
        { "steps = 1\ndt = \"1/x\"\n", "a.toml:3:9: [job]: dt: unknown name \"x\"\n" },
        { "steps = 1\nname = 5\n", "a.toml:3:8: [job]: name: expected a text, found 5\n" },
        { "steps = 1\nname = \"a/b\"\n", "a.toml:3:8: [job]: name: \"a/b\": a name has letters, "
                                         "digits, \"_\" and \"-\", and begins "
                                         "with a letter or \"_\"\n" },
        { "steps = 1\ntime_unit = "
          "\"a123456789a123456789a123456789a123456789a123456789a123456789abcd\"\n",
          "a.toml:3:13: [job]: time_unit: has at most 63 bytes\n" },
    };

    (void)state;
    CHECK_CASES("[job]\n", cases);
}

static void test_file_name_as_job_name(void **state)
{
    static df_report report;
    static const char text[] = "[job]\nsteps = 1\n";
    cfg_options options = { .kinds = &test_kinds };
    df_draft *draft;

    (void)state;
    df_report_init(&report, "my job.toml");
    assert_int_equal(cfg_read(&draft, "my job.toml", ".", text, strlen(text), &options, &report),
                     DF_EINVAL);
    assert_string_equal(
        report.entries[0].text,
        "[job]: key \"name\" is missing, and the file's own name, \"my job\", cannot "
        "serve: a name has letters, digits, \"_\" and \"-\", and begins with a "
        "letter or \"_\"");
}

static void test_run_errors(void **state)
{
    static const error_case cases[] = {
        { "[run]\nkey_groups = 0\nwindow = 65\npace = 0\nfast = 1\n",
          "a.toml:4:14: [run]: key_groups: must be in 1..65536, found 0\n"
          "a.toml:5:10: [run]: window: must be in 1..64, found 65\n"
          "a.toml:6:8: [run]: pace: must be > 0, found 0\n"
          "a.toml:7:1: [run]: unknown key \"fast\"\n" },
        { "[run]\npace = \"unlimitd\"\n", "a.toml:4:9: [run]: pace: unknown name \"unlimitd\"\n" },
        { "[snapshot]\nevery_second = 5\nretain = 0\ncompression = \"zst\"\n",
          "a.toml:4:1: [snapshot]: unknown key \"every_second\" (did you mean \"every_seconds\"?)\n"
          "a.toml:5:10: [snapshot]: retain: must be >= 2, found 0\n"
          "a.toml:6:15: [snapshot]: compression: \"zst\" is none of lz4, zstd, none (did you mean "
          "\"zstd\"?)\n" },
        { "[snapshot]\nevery_seconds = 5\nevery_steps = 5\n",
          "a.toml:5:1: [snapshot]: every_steps: stands beside every_seconds; only one of them may "
          "be given\n" },
        { "[snapshot]\nevery_steps = 0\nretain = 1\nevery_seconds = 1e10\nverify = 1\n",
          "a.toml:4:15: [snapshot]: every_steps: must be >= 1, found 0\n"
          "a.toml:5:10: [snapshot]: retain: must be >= 2, found 1\n"
          "a.toml:6:1: [snapshot]: every_seconds: stands beside every_steps; only one of them may "
          "be given\n"
          "a.toml:6:17: [snapshot]: every_seconds: must be > 0, <= 1e9, found 10000000000\n"
          "a.toml:7:10: [snapshot]: verify: expected true or false, found 1\n" },
        { "[snapshot]\nevery_seconds = 0\ncompression = 4\n",
          "a.toml:4:17: [snapshot]: every_seconds: must be > 0, <= 1e9, found 0\n"
          "a.toml:5:15: [snapshot]: compression: expected a text, found 4\n" },
        { "[fault_tolerance]\nmode = \"standby\"\nmax_restarts = -1\nbackoff_seconds = 3601\n"
          "retries = 0\n",
          "a.toml:4:8: [fault_tolerance]: mode: \"standby\" comes later; this version has "
          "snapshot, retry and none\n"
          "a.toml:5:16: [fault_tolerance]: max_restarts: must be at least 0, found -1\n"
          "a.toml:6:19: [fault_tolerance]: backoff_seconds: must be in 0..3600, found 3601\n"
          "a.toml:7:11: [fault_tolerance]: retries: must be in 1..100, found 0\n" },
        { "[fault_tolerance]\nmode = \"retyr\"\nretries = 101\nrestarts = 3\n",
          "a.toml:4:8: [fault_tolerance]: mode: \"retyr\" is none of snapshot, retry, none (did "
          "you "
          "mean \"retry\"?)\n"
          "a.toml:5:11: [fault_tolerance]: retries: must be in 1..100, found 101\n"
          "a.toml:6:1: [fault_tolerance]: unknown key \"restarts\"\n" },
        { "[fault_tolerance]\nmode = 1\n",
          "a.toml:4:8: [fault_tolerance]: mode: expected a text, found 1\n" },
        { "[replay]\nmode = \"on\"\n",
          "a.toml:4:8: [replay]: mode: \"on\" is none of off, record\n" },
        { "[replay]\nkeep = \"some\"\nstreams = 1\nfile = \"x\"\n",
          "a.toml:4:8: [replay]: keep: \"some\" is none of snapshots, all\n"
          "a.toml:5:11: [replay]: streams: expected true or false, found 1\n"
          "a.toml:6:1: [replay]: unknown key \"file\"\n" },
        { "[worker.a]\nbackend = \"gpu\"\nthreads = 1000\n[worker.b]\nbackend = \"cuda:\"\n",
          "a.toml:4:11: worker \"a\": backend: expected \"cpu\" or \"cuda:N\", found \"gpu\"\n"
          "a.toml:5:11: worker \"a\": threads: must be in 1..256, found 1000\n"
          "a.toml:7:11: worker \"b\": backend: expected \"cpu\" or \"cuda:N\", found \"cuda:\"\n" },
        { "[worker.a]\nbackend = \"cuda:1x\"\nendpoint = \"\"\n[worker.b]\nbackend = 1\n"
          "endpoint = 2\n[worker.c]\nbackend = \"cuda:1000\"\nport = 1\n",
          "a.toml:4:11: worker \"a\": backend: expected \"cpu\" or \"cuda:N\", found \"cuda:1x\"\n"
          "a.toml:5:12: worker \"a\": endpoint: an address is not empty\n"
          "a.toml:7:11: worker \"b\": backend: expected \"cpu\" or \"cuda:N\", found 1\n"
          "a.toml:8:12: worker \"b\": endpoint: expected a text, found 2\n"
          "a.toml:10:11: worker \"c\": backend: expected \"cpu\" or \"cuda:N\", found "
          "\"cuda:1000\"\n"
          "a.toml:11:1: worker \"c\": unknown key \"port\"\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n", cases);
}

static void test_param_errors(void **state)
{
    static const error_case cases[] = {
        { "a = \"b + 1\"\nb = \"2 * c\"\nc = \"a\"\n",
          "a.toml:6:6: param \"c\": \"a\" -> \"b\" -> \"c\" -> \"a\" is a cycle\n" },
        { "a = \"1 + a\"\n", "a.toml:4:10: param \"a\": \"a\" -> \"a\" is a cycle\n" },
        { "x = \"a\"\na = \"b\"\nb = \"a\"\n",
          "a.toml:6:6: param \"b\": \"a\" -> \"b\" -> \"a\" is a cycle\n" },
        { "a = true\nb = nan\nc = [1]\nd = \"a + b\"\n",
          "a.toml:4:5: param \"a\": expected a number, found true\n"
          "a.toml:5:5: param \"b\": expected a number, found nan\n"
          "a.toml:6:5: param \"c\": expected a number, found a list\n" },
        { "birds = 3\nedge = \"cbrt(bird)\"\n",
          "a.toml:5:14: param \"edge\": unknown name \"bird\" (did you mean \"birds\"?)\n" },
        { "a = \"1 / (2 - 2)\"\n", "a.toml:4:8: param \"a\": division by zero\n" },
        { "a = \"\\t1 +\"\n", /* escaped: the place of the text is all that is known */
          "a.toml:4:5: param \"a\": expected a number, a name or \"(\", found the end\n" },
        { "pi = 3\nsqrt = 2\n",
          "a.toml:4:1: [param]: \"pi\" has a meaning of its own in expressions\n"
          "a.toml:5:1: [param]: \"sqrt\" has a meaning of its own in expressions\n" },
        { "a-b = 3\n",
          "a.toml:4:1: [param]: param \"a-b\": a name has letters, digits and \"_\", and "
          "begins with no digit\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[param]\n", cases);
}

static void test_param_limits(void **state)
{
    char text[32768], *at = text;

    (void)state;
    at += sprintf(at, "[job]\nsteps = 1\n[param]\n");
    for (int i = 0; i < 256; i++)
        at += sprintf(at, "p%d = %d\n", i, i);
    cfg_draft_free(&(df_draft *){ draft_of(text) });
    sprintf(at, "more = 1\n");
    check_errors(text, "a.toml:3:2: [param]: holds 257 params, at most 256 are allowed\n");

    at = text + sprintf(text, "[job]\nsteps = 1\n[param]\n");
    for (int i = 0; i < 250; i++) /* a chain: each needs the next */
        at += sprintf(at, "p%d = \"p%d\"\n", i, i + 1);
    sprintf(at, "p250 = 1\n");
    check_errors(text, "a.toml:204:9: param \"p200\": nested more than 200 deep\n");
}

static void test_space_errors(void **state)
{
    static const error_case cases[] = {
        { "",
          "a.toml:3:8: space \"s\": key \"axes\" is missing: names of the axes, one to three; a "
          "state in the space has a column (f32) for each\n"
          "a.toml:3:8: space \"s\": key \"size\" is missing: coordinates run from 0 to size; one "
          "number for all axes, or a list\n" },
        { "axes = [\"x\", \"y\", \"z\", \"w\"]\nsize = 1\n",
          "a.toml:4:8: space \"s\": axes: lists 4 axes, at most 3 are allowed\n" },
        { "axes = [\"x\", \"x\"]\nsize = 1\n",
          "a.toml:4:14: space \"s\": axes: \"x\" is listed twice\n" },
        { "axes = [\"id\"]\nsize = 1\n",
          "a.toml:4:8: space \"s\": axes: \"id\" is every row's key and cannot be an axis\n" },
        { "axes = []\nsize = 1\n", "a.toml:4:8: space \"s\": axes: expected a text or a list of "
                                   "texts, found an empty list\n" },
        { "axes = 3\nsize = 1\n",
          "a.toml:4:8: space \"s\": axes: expected a text or a list of texts, found 3\n" },
        { "axes = [\"x\", 3]\nsize = 1\n",
          "a.toml:4:14: space \"s\": axes: expected a text, found 3\n" },
        { "axes = [\"x y\"]\nsize = 1\n",
          "a.toml:4:9: space \"s\": axes: \"x y\" names no column: a name has letters, digits and "
          "\"_\", and begins with no digit\n" },
        { "axes = [\"x\", \"y\"]\nsize = [1, 2, 3]\nedges = [\"closed\"]\n",
          "a.toml:5:8: space \"s\": size: lists 3 values for 2 axes\n"
          "a.toml:6:9: space \"s\": edges: lists 1 values for 2 axes\n" },
        { "axes = [\"x\", \"y\"]\nsize = [-1, \"1 + 1/0\"]\nedges = [\"close\", 3]\n",
          "a.toml:5:9: space \"s\": size: must be > 0, found -1\n"
          "a.toml:5:19: space \"s\": size: division by zero\n"
          "a.toml:6:10: space \"s\": edges: \"close\" is neither closed nor periodic (did you mean "
          "\"closed\"?)\n"
          "a.toml:6:19: space \"s\": edges: expected a text, found 3\n" },
        { "axes = [\"x\", \"y\"]\nsize = 1e39\nedge = \"closed\"\n",
          "a.toml:5:8: space \"s\": size: 1e+39 is beyond f32, which coordinates are\n"
          "a.toml:6:1: space \"s\": unknown key \"edge\" (did you mean \"edges\"?)\n" },
        { "axes = \"x\"\nsize = \"1e-39\"\n",
          "a.toml:5:8: space \"s\": size: 1e-39 is beyond f32, which coordinates are\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[space.s]\n", cases);
}

#define FIRST_NEXT "first = \"a\"\nnext = \"a\"\n"

static void test_state_errors(void **state)
{
    static const error_case cases[] = {
        { "",
          "a.toml:3:8: state \"s\": key \"columns\" is missing: columns.TYPE = [names], TYPE one "
          "of f32 f64 i32 i64 u32 u64 u8\n"
          "a.toml:3:8: state \"s\": key \"first\" is missing: the stream that holds its rows at "
          "step 0\n"
          "a.toml:3:8: state \"s\": key \"next\" is missing: the stream that holds its rows at "
          "the next step; a list is a union\n" },
        { "columns = [\"x\"]\n" FIRST_NEXT,
          "a.toml:4:11: state \"s\": columns: expected columns.TYPE = [names], "
          "such as columns.f32, found a list\n" },
        { "columns.f33 = [\"x\"]\n" FIRST_NEXT, "a.toml:4:9: state \"s\": columns: unknown type "
                                                "\"f33\" (did you mean \"f32\"?): a column "
                                                "is f32, f64, i32, i64, u32, u64 or u8\n" },
        { "columns.f32 = 5\n" FIRST_NEXT,
          "a.toml:4:15: state \"s\": columns.f32: expected a text or a list of "
          "texts, found 5\n" },
        { "columns.f32 = [\"x\", \"id\", \"x\"]\n" FIRST_NEXT,
          "a.toml:4:27: state \"s\": columns.f32: \"x\" is listed twice\n" },
        { "columns.f32 = [\"x\", \"id\"]\ncolumns.u8 = \"x\"\n" FIRST_NEXT,
          "a.toml:4:21: state \"s\": \"id\" is every row's key and no column\n"
          "a.toml:5:14: state \"s\": column \"x\" is there twice\n" },
        { "columns.f32 = \"x\"\nspace = 3\nfirst = [\"a\"]\nnext = []\nmoves = \"far\"\n",
          "a.toml:5:9: state \"s\": space: expected a text, found 3\n"
          "a.toml:6:9: state \"s\": first: expected a text, found a list\n"
          "a.toml:7:8: state \"s\": next: expected a text or a list of texts, found an empty list\n"
          "a.toml:8:9: state \"s\": moves: \"far\" is none of near, anywhere\n" },
        { "columns.f32 = \"x\"\nsettle_every = 0\nskin = -1\n" FIRST_NEXT,
          "a.toml:5:16: state \"s\": settle_every: must be >= 1, found 0\n"
          "a.toml:6:8: state \"s\": skin: must be >= 0, found -1\n" },
        { "columns.f32 = \"x\"\nnext = [\"a\", 5]\nfirst = \"a\"\nfrist = \"a\"\n",
          "a.toml:5:14: state \"s\": next: expected a text, found 5\n"
          "a.toml:7:1: state \"s\": unknown key \"frist\" (did you mean \"first\"?)\n" },
    };

    (void)state;
    CHECK_CASES("[job]\nsteps = 1\n[state.s]\n", cases);
}

static void test_settling(void **state)
{
    df_draft *d = draft_of("[job]\nsteps = 1\n[param]\nhalf = 0.25\n[state.s]\n" FIRST_NEXT
                           "columns.f32 = \"x\"\nskin = \"2 * half\"\nsettle_every = \"1 + floor(2.9)\"\n"
                           "[state.t]\n" FIRST_NEXT "columns.f32 = \"x\"\n");

    (void)state;
    assert_int_equal(d->states[0].settle_every, 3);
    assert_true(d->states[0].skin == 0.5);
    assert_int_equal(d->states[0].settle_place.column, 1);
    assert_true(d->states[0].settle_place.line > d->states[0].name.place.line);
    assert_int_equal(d->states[1].settle_every, 1);
    assert_true(d->states[1].skin == 0);
    cfg_draft_free(&d);
}

static void test_column_limit(void **state)
{
    char text[4096], *at = text;

    (void)state;
    at += sprintf(at, "[job]\nsteps = 1\n[state.s]\n" FIRST_NEXT
                      "columns.u8 = \"x\"\ncolumns.f32 = [\"c0\"");
    for (int i = 1; i < 64; i++)
        at += sprintf(at, ", \"c%d\"", i);
    sprintf(at, "]\n");
    check_errors(text, "a.toml:7:447: state \"s\": a state has at most 64 columns\n");
    sprintf(at, ", \"c64\"]\n");
    check_errors(text, "a.toml:7:15: state \"s\": columns.f32: lists 65 columns, at most 64 are "
                       "allowed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_job),     cmocka_unit_test(test_whole_job_operators),
        cmocka_unit_test(test_job_and_run),   cmocka_unit_test(test_option_defaults),
        cmocka_unit_test(test_option_values), cmocka_unit_test(test_kind_by_role),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_default_policies),
        cmocka_unit_test(test_syntax_errors), cmocka_unit_test(test_section_errors),
        cmocka_unit_test(test_job_errors),    cmocka_unit_test(test_file_name_as_job_name),
        cmocka_unit_test(test_run_errors),
        cmocka_unit_test(test_param_errors),  cmocka_unit_test(test_param_limits),
        cmocka_unit_test(test_space_errors),  cmocka_unit_test(test_state_errors),
        cmocka_unit_test(test_settling),
        cmocka_unit_test(test_column_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
