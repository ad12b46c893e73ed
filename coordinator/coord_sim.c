/* weir sim: run schedules of faults under the simulator. */
#include "coordinator/coord_verb.h"
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sim_verb_options {
    coord_number seed, workers;
    const char *seeds, *mutant;
    bool trace_hash, json, kind, stall, sizes, log, list;
} sim_verb_options;

static const coord_option sim_table[] = {
    { .name = "seed", .value = "S", .help = "the one schedule to run", .type = COORD_NUMBER,
      .most = UINT64_MAX, .offset = offsetof(sim_verb_options, seed) },
    { .name = "seeds", .value = "A..B", .help = "all schedules from A to B", .type = COORD_TEXT,
      .offset = offsetof(sim_verb_options, seeds) },
    { .name = "workers", .value = "N",
      .help = "a play for so many instead: start, kill some, rescale by a tenth, restart the coordinator",
      .type = COORD_NUMBER, .least = 20, .most = SIM_WORKERS_MAX, .offset = offsetof(sim_verb_options, workers) },
    { .name = "mutant", .value = "NAME", .help = "leave a rule out; a violation is then expected",
      .type = COORD_TEXT, .offset = offsetof(sim_verb_options, mutant) },
    { .name = "mutants", .help = "list the rules that can be left out", .type = COORD_FLAG,
      .offset = offsetof(sim_verb_options, list) },
    { .name = "no-faults", .help = "a kind world: nothing fails", .type = COORD_FLAG,
      .offset = offsetof(sim_verb_options, kind) },
    { .name = "stall", .help = "a generation that stands still is ended: what a mutant breaks may heal",
      .type = COORD_FLAG, .offset = offsetof(sim_verb_options, stall) },
    { .name = "sizes", .help = "clients want each number of workers from 1 to 8 after each other one",
      .type = COORD_FLAG, .offset = offsetof(sim_verb_options, sizes) },
    { .name = "trace-hash", .help = "print the hash of each schedule's events",
      .type = COORD_FLAG, .offset = offsetof(sim_verb_options, trace_hash) },
    { .name = "log", .help = "print every message that arrives, on standard error",
      .type = COORD_FLAG, .offset = offsetof(sim_verb_options, log) },
    { .name = "json", .help = "print a JSON object per schedule that is violated, and one in all",
      .type = COORD_FLAG, .offset = offsetof(sim_verb_options, json) },
    { 0 },
};

static const struct {
    const char *name, *help;
} sim_mutants[] = {
#define SIM_MUTANT_ROW(bit, name, help) { #name, help },
    PROTO_MUTANTS(SIM_MUTANT_ROW)
};

static int sim_list(bool json)
{
    for (uint32_t i = 0; i < PROTO_MUTANT_COUNT; i++)
        if (json)
            printf("{\"mutant\":\"%s\",\"help\":\"%s\"}\n", sim_mutants[i].name,
                   sim_mutants[i].help);
        else
            printf("%-12s %s\n", sim_mutants[i].name, sim_mutants[i].help);
    return COORD_DONE;
}

/* "A..B" with whole numbers, A <= B. */
static bool sim_read_range(const char *text, uint64_t *first, uint64_t *last)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    *first = strtoull(text, &end, 10);
    if (strncmp(end, "..", 2) != 0 || end[2] < '0' || end[2] > '9')
        return false;
    *last = strtoull(end + 2, &end, 10);
    return *end == '\0' && *first <= *last && *last < UINT64_MAX;
}

static bool sim_read_mutant(const char *name, uint64_t *mutants)
{
    for (uint32_t i = 0; i < PROTO_MUTANT_COUNT; i++)
        if (strcmp(sim_mutants[i].name, name) == 0) {
            *mutants = 1ull << i;
            return true;
        }
    return false;
}

static void sim_print_one(const sim_verb_options *o, const sim_result *r)
{
    if (r->violated && o->json)
        printf("{\"seed\":%" PRIu64 ",\"violation\":\"%s\",\"events\":%" PRIu64 "}\n", r->seed, r->text,
               r->events);
    else if (r->violated)
        printf("seed %" PRIu64 ": %s (after %" PRIu64 " events)\n", r->seed, r->text, r->events);
    if (o->trace_hash)
        printf("seed %" PRIu64 " trace %016" PRIx64 "\n", r->seed, r->trace);
}

typedef struct sim_totals {
    uint64_t schedules, violations, events, faults, commits, generations, frames, rejected;
    uint64_t rescales, done, aborted, voided, refused, sizes, folds, shortened;
    uint64_t steps, installs, install_bytes, coord_ns, coord_frames;
} sim_totals;

static void sim_print_totals(const sim_totals *t, bool json, double seconds)
{
    if (json)
        printf("{\"schedules\":%" PRIu64 ",\"violations\":%" PRIu64 ",\"events\":%" PRIu64
               ",\"faults\":%" PRIu64 ",\"commits\":%" PRIu64 ",\"generations\":%" PRIu64
               ",\"frames\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"rescales\":%" PRIu64
               ",\"rescales_done\":%" PRIu64 ",\"rescales_aborted\":%" PRIu64
               ",\"rescales_voided\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"sizes\":%d,\"folds\":%" PRIu64 ",\"shortened\":%" PRIu64
               ",\"seconds\":%.3f}\n",
               t->schedules, t->violations, t->events, t->faults, t->commits, t->generations,
               t->frames, t->rejected, t->rescales, t->done, t->aborted, t->voided, t->refused,
               __builtin_popcountll(t->sizes), t->folds,
               t->shortened, seconds);
    else
        printf("%" PRIu64 " schedules, %" PRIu64 " violations; %" PRIu64 " events, %" PRIu64
               " faults, %" PRIu64 " generations, %" PRIu64 " commits, %" PRIu64 " rescales (%" PRIu64
               " done, %" PRIu64 " aborted, %" PRIu64 " voided), %" PRIu64 " folds, %" PRIu64
               " shorter logs, %" PRIu64 " frames in %.1f s\n",
               t->schedules, t->violations, t->events, t->faults, t->generations, t->commits,
               t->rescales, t->done, t->aborted, t->voided, t->folds, t->shortened, t->frames, seconds);
}

/* Of a crowd: what its size costs. */
static void sim_print_crowd(const sim_totals *t, uint64_t workers, bool json, double seconds)
{
    double ms = (double)t->coord_ns / 1e6, steps = t->steps == 0 ? 1 : (double)t->steps;

    if (json)
        printf("{\"workers\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"events_per_second\":%.0f,\"installs\":%" PRIu64
               ",\"install_bytes\":%" PRIu64 ",\"coordinator_frames\":%" PRIu64
               ",\"coordinator_ms_per_step\":%.3f}\n",
               workers, t->steps, (double)t->events / seconds, t->installs, t->install_bytes, t->coord_frames,
               ms / steps);
    else
        printf("%" PRIu64 " workers, %" PRIu64 " steps: %.0f events/s; %" PRIu64 " installs of %" PRIu64
               " bytes; the coordinator heard %.0f frames a step and took %.2f ms a step\n",
               workers, t->steps, (double)t->events / seconds, t->installs,
               t->installs == 0 ? 0 : t->install_bytes / t->installs, (double)t->coord_frames / steps, ms / steps);
}

static void sim_add(sim_totals *t, const sim_result *r)
{
    t->schedules++;
    t->violations += r->violated;
    t->events += r->events;
    t->faults += r->faults;
    t->commits += r->commits;
    t->generations += r->generations;
    t->frames += r->frames;
    t->rejected += r->rejected;
    t->rescales += r->rescales;
    t->done += r->rescales_ended[PROTO_RESCALE_DONE];
    t->aborted += r->rescales_ended[PROTO_RESCALE_ABORTED];
    t->voided += r->rescales_ended[PROTO_RESCALE_VOIDED];
    t->refused += r->refused;
    t->sizes |= r->sizes;
    t->folds += r->folds;
    t->shortened += r->shortened;
    t->steps += r->steps;
    t->installs += r->installs;
    t->install_bytes += r->install_bytes;
    t->coord_ns += r->coord_ns;
    t->coord_frames += r->coord_frames;
}

static int sim_verb_run(const coord_args *args, const void *options)
{
    const sim_verb_options *o = options;
    uint64_t first = o->seed.given ? o->seed.value : 1, last = first;
    sim_options run = { .faults = !o->kind, .stall = o->stall, .sizes = o->sizes,
                        .log = o->log ? stderr : NULL };
    sim_totals totals = { 0 };
    struct timespec begin, end;
    double seconds;

    (void)args;
    run.crowd = o->workers.given ? (uint32_t)o->workers.value : 0;
    if (o->list)
        return sim_list(o->json);
    if (o->seeds != NULL && (o->seed.given || !sim_read_range(o->seeds, &first, &last))) {
        fprintf(stderr, "weir sim: --seeds A..B: expected two whole numbers, and no --seed\n");
        return COORD_USAGE;
    }
    if (o->mutant != NULL && !sim_read_mutant(o->mutant, &run.mutants)) {
        fprintf(stderr, "weir sim: unknown mutant \"%.40s\"; --mutants lists them\n", o->mutant);
        return COORD_USAGE;
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = first; seed <= last; seed++) {
        sim_result result;

        run.seed = seed;
        sim_run(&run, &result);
        sim_add(&totals, &result);
        sim_print_one(o, &result);
        if (result.violated && o->mutant != NULL)
            break;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    sim_print_totals(&totals, o->json, seconds);
    if (run.crowd > 0)
        sim_print_crowd(&totals, run.crowd, o->json, seconds);
    return totals.violations == 0 ? COORD_DONE : COORD_FAILED;
}

const coord_verb coord_verb_sim = {
    .name = "sim",
    .arguments = "",
    .help = "run the protocols under the simulator, with faults",
    .more = "A schedule is a pure function of its seed: the same seed gives the same trace hash. With\n"
            "--mutant a rule is left out and the run ends at the first violation. Exit code 1 says\n"
            "that something was violated.\n",
    .options = sim_table,
    .options_size = sizeof(sim_verb_options),
    .run = sim_verb_run,
};
