/* Tests of sinks: a sink taken from its options to its closed file, as the engine does it, with
 * files in a folder of the test program's own. Include it in one .c of a test program. */
#ifndef SINK_RUN_H
#define SINK_RUN_H

#include "tests/support/fake_weir.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/weir-sinks-XXXXXX";

static const weir_schema schema_birds = {
    .column_count = 3,
    .columns = { { "x", WEIR_F32 }, { "energy", WEIR_F64 }, { "ill", WEIR_U8 } },
};

/* One key group: rows with x = key + 0.5, energy = -key / 3, ill = key mod 2. */
static __attribute__((unused)) weir_batch *birds(uint64_t first_key, uint32_t rows)
{
    weir_batch *batch = fake_batch(&schema_birds, rows);

    for (uint32_t i = 0; i < rows; i++) {
        uint64_t key = first_key + i;
        batch->keys[i] = key;
        ((float *)batch->columns[0])[i] = (float)key + 0.5f;
        ((double *)batch->columns[1])[i] = -(double)key / 3;
        ((uint8_t *)batch->columns[2])[i] = (uint8_t)(key % 2);
    }
    return batch;
}

/* A sink from its options to its handle, with the job around it. */
typedef struct run {
    const weir_operator *kind;
    void *options;
    weir_plan plan;
    weir_sink sink;
} run;

static __attribute__((unused)) weir_status run_plan(run *r, const weir_operator *kind, void *options,
                            const weir_schema *schema)
{
    memset(r, 0, sizeof(*r));
    r->kind = kind;
    r->options = options;
    r->plan.job = (weir_job){ .name = "test", .time_unit = "day", .seed = 7, .steps = 100,
                              .dt = 0.25, .time_start = 1 };
    r->plan.input = *schema;
    return kind->plan(&r->plan, options);
}

/* Go on at a mark; null: begin anew. */
static __attribute__((unused)) weir_status run_resume(run *r, const char *directory, FILE *console,
                                                      const weir_mark *mark)
{
    weir_status status;

    r->sink = (weir_sink){ .options = r->options, .job = &r->plan.job, .schema = &r->plan.input,
                           .space = r->plan.space, .directory = directory, .console = console,
                           .resume = mark };
    status = r->kind->open == NULL ? WEIR_OK : r->kind->open(&r->sink);
    r->sink.resume = NULL; /* valid during open only */
    return status;
}

static __attribute__((unused)) weir_status run_open(run *r, const char *directory, FILE *console)
{
    return run_resume(r, directory, console, NULL);
}

static __attribute__((unused)) weir_status run_step(run *r, uint64_t step, uint32_t count, weir_batch *const *batches)
{
    weir_input input = { .exchange = WEIR_GATHER, .batch_count = count,
                         .batches = (const weir_batch *const *)batches };
    weir_task task = { .options = r->options, .job = &r->plan.job, .step = step,
                       .time = r->plan.job.time_start + (double)step * r->plan.job.dt,
                       .input_count = 1, .inputs = &input, .handle = r->sink.handle };

    fake_failure[0] = '\0';
    return r->kind->process(&task);
}

static __attribute__((unused)) weir_status run_close(run *r)
{
    return r->kind->close == NULL ? WEIR_OK : r->kind->close(&r->sink);
}

static __attribute__((unused)) const char *path_of(const char *file)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    return path;
}

/* The kinds' own structs are private: a test fills options through the option table, as the engine
 * does. */
typedef struct options {
    _Alignas(16) char bytes[16384];
} options;

static __attribute__((unused)) void set_option(const weir_operator *kind, options *o, const char *name, const void *value,
                       size_t size)
{
    const weir_option *option = kind->options;

    while (option->name != NULL && strcmp(option->name, name) != 0)
        option++;
    assert_non_null(option->name);
    assert_true(option->offset + size <= kind->options_size);
    memcpy(o->bytes + option->offset, value, size);
}

static __attribute__((unused)) void set_text(const weir_operator *kind, options *o, const char *name, const char *text)
{
    set_option(kind, o, name, &text, sizeof(text));
}

static __attribute__((unused)) void set_names(const weir_operator *kind, options *o, const char *name, uint32_t count,
                      const char *const *names)
{
    weir_names value = { count, names };

    set_option(kind, o, name, &value, sizeof(value));
}

/* From here on no file can grow beyond `size` bytes: the full disk of these tests. Returns the
 * limit that stood before, for setrlimit. */
static __attribute__((unused)) struct rlimit limit_files(rlim_t size)
{
    struct rlimit before, limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return before;
}

static int make_folder(void **unused)
{
    (void)unused;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **unused)
{
    char command[128];

    (void)unused;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

#endif
