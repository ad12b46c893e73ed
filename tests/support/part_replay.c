#include "tests/support/part_replay.h"

#include "config/cfg.h"
#include "operators/op_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char replay_text[] =
    "[job]\nname = \"replay\"\nseed = 3\nsteps = 6\ndt = 0.01\n"
    "[run]\nkey_groups = 8\nwindow = 2\n"
    "[space.sky]\naxes = [\"x\", \"y\", \"z\"]\nsize = 4\nedges = \"closed\"\n"
    "[space.field]\naxes = [\"x\", \"y\"]\nsize = 8\nedges = \"periodic\"\n"
    "[state.birds]\nspace = \"sky\"\ncolumns.f32 = [\"x\", \"y\", \"z\", \"vx\", \"vy\", \"vz\"]\n"
    "first = \"hatch\"\nnext = \"fly\"\nskin = 0.4\nsettle_every = 4\n"
    "[state.herd]\nspace = \"field\"\ncolumns.f32 = [\"x\", \"y\"]\nfirst = \"graze\"\nnext = \"breed\"\n"
    "[state.boys]\ncolumns.u32 = [\"school\"]\ncolumns.u8 = [\"ill\", \"immune\"]\nfirst = \"term\"\nnext = \"catch\"\n"
    "[operator.hatch]\nkind = \"uniform\"\nrows = 40\nspeed = [0.5, 1.0]\n"
    "[operator.fly]\nkind = \"boids\"\nin = \"birds\"\nradius = 0.6\nseparation_radius = 0.2\nscale = 0.1\n"
    "speed = [0.5, 1.0]\n"
    "[operator.graze]\nkind = \"uniform\"\nrows = 30\n"
    "[operator.breed]\nkind = \"./replay.so:breed\"\nin = \"herd\"\n"
    "[operator.term]\nkind = \"population\"\nplaces = 12\nsize = 4\nplace = \"school\"\nill = 1\n"
    "[operator.mix]\nkind = \"aggregate\"\nin = \"boys\"\nby = \"school\"\ncompute.boys = \"count()\"\n"
    "compute.ill = \"sum(ill)\"\n"
    "[operator.catch]\nkind = \"sir\"\nin.agents = \"boys\"\nin.places = \"mix\"\nplace = \"school\"\ninfection = 60\n"
    "recovery = 20\n"
    "[operator.sick]\nkind = \"aggregate\"\nin = \"catch\"\nby = \"ill\"\ncompute.n = \"count()\"\n"
    "[operator.mean]\nkind = \"aggregate\"\nin = \"birds\"\ncompute.vx = \"mean(vx)\"\n"
    "[sink.sick]\nkind = \"null\"\nin = \"sick\"\n"
    "[sink.mean]\nkind = \"null\"\nin = \"mean\"\n";

/* ---- a kind that carries, and bears ---- */

static weir_status breed_plan(weir_plan *plan, void *options)
{
    (void)options;
    weir_plan_add(plan, 0, "x", WEIR_F32);
    weir_plan_add(plan, 0, "y", WEIR_F32);
    weir_plan_carry(plan, "seen", WEIR_U64);
    weir_plan_births(plan);
    return WEIR_OK;
}

/* All go on, round the edge; one is born where an even number has been seen so far. */
static weir_status breed_process(weir_task *task)
{
    const weir_batch *in = task->inputs[0].batches[0];
    uint64_t *seen = task->carry->columns[0];
    uint32_t born = *seen % 2 == 0 && in->row_count > 0;
    weir_batch *out = weir_output(task, 0, in->row_count + born);

    *seen += in->row_count;
    if (out == NULL || weir_new_keys(task, born, out->keys + in->row_count) != WEIR_OK)
        return WEIR_FAILED;
    for (uint32_t i = 0; i < in->row_count + born; i++) {
        uint32_t from = i < in->row_count ? i : 0;
        float x = ((const float *)in->columns[0])[from] + 0.7f;

        if (i < in->row_count)
            out->keys[i] = in->keys[i];
        ((float *)out->columns[0])[i] = x >= 8 ? x - 8 : x;
        ((float *)out->columns[1])[i] = ((const float *)in->columns[1])[from];
    }
    return WEIR_OK;
}

static const weir_option breed_options[] = { { 0 } };

static const weir_operator breed = {
    .api_version = WEIR_API_VERSION, .name = "breed", .help = "", .role = WEIR_PHASE,
    .inputs = { { "in", WEIR_FORWARD, "" } }, .outputs = { "out" }, .options = breed_options,
    .plan = breed_plan, .process = breed_process,
};

static const weir_operator *replay_load(void *user, const char *path, const char *symbol, char error[256])
{
    (void)user;
    (void)path;
    (void)symbol;
    (void)error;
    return &breed;
}

/* Half of the units are the second member's; some change at two ticks, there and back. */
const replay_job replay_all = {
    .text = replay_text, .load = replay_load, .owners = { 0, 1, 0, 1, 0, 1, 0, 1 },
    .changes = { { 3, { { 1, 0 }, { 2, 1 }, { 7, 0 } }, 3 }, { 6, { { 1, 1 }, { 2, 0 }, { 3, 0 } }, 3 } },
};

static df_plan *replay_plan(const replay_job *job)
{
    static df_report report;
    cfg_options options = { .kinds = &op_kinds, .load = job->load };
    df_draft *draft;
    df_plan *plan;

    df_report_init(&report, "replay.toml");
    if (cfg_read(&draft, "replay.toml", ".", job->text, strlen(job->text), &options, &report) != DF_OK ||
        df_plan_new(&plan, &draft, &report) != DF_OK) {
        df_report_print(&report, stderr);
        abort();
    }
    return plan;
}

/* ---- a member ---- */

void replay_check(df_status status, const df_error *err)
{
    if (status == DF_OK)
        return;
    fprintf(stderr, "replay: %s\n", err->text);
    abort();
}

static void replay_wake(void *user)
{
    replay_member *m = user;

    pthread_mutex_lock(&m->lock);
    m->woken = true;
    pthread_cond_signal(&m->cond);
    pthread_mutex_unlock(&m->lock);
}

/* What leaves lies together from now on. */
static void replay_send(void *user, const df_parcel *parcel)
{
    replay_member *m = user;
    df_parcel copy = *parcel;

    copy.bytes = parcel->size == 0 ? NULL : malloc(parcel->size);
    if (parcel->spread) {
        df_spread_copy(parcel->bytes, 0, copy.bytes, parcel->size);
        df_spread_release(m->graph, parcel->bytes);
    } else if (parcel->size > 0) {
        memcpy(copy.bytes, parcel->bytes, parcel->size);
        df_parcel_release(m->graph, parcel->bytes);
    }
    copy.spread = false;
    pthread_mutex_lock(&m->lock);
    if (m->keeps != NULL) {
        m->keeps->parcels = realloc(m->keeps->parcels, (m->keeps->count + 1) * sizeof copy);
        m->keeps->parcels[m->keeps->count++] = copy;
    } else {
        free(copy.bytes);
    }
    pthread_mutex_unlock(&m->lock);
    replay_wake(user);
}

static void replay_sent(void *user, uint32_t edge, uint64_t tick)
{
    (void)user;
    (void)edge;
    (void)tick;
}

static void replay_start(const replay *r, replay_member *m, uint32_t index)
{
    df_part part = { .member = index, .member_count = REPLAY_MEMBERS, .owners = r->job->owners, .user = m,
                     .send = replay_send, .sent = replay_sent, .wake = replay_wake };
    df_graph_options options = { .threads = 1, .directory = ".", .fingerprint_steps = true,
                                 .part = &part };
    df_error err = { 0 };

    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->cond, NULL);
    replay_check(df_graph_new(&m->graph, r->plan, &options, &err), &err);
    replay_check(df_graph_start(m->graph, &err), &err);
    for (uint32_t i = 0; i < REPLAY_CHANGES; i++) {
        const replay_change *c = &r->job->changes[i];

        if (c->count > 0)
            replay_check(df_graph_owners(m->graph, c->tick, c->units, c->count, &err), &err);
    }
}

static void replay_stop(replay_member *m)
{
    df_graph_halt(m->graph);
    df_graph_free(&m->graph);
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->cond);
}

/* Let it do what it may, given how far all are. Returns whether it got on. */
static bool replay_advance(replay_member *m, uint64_t worked, uint64_t bound)
{
    df_progress before = m->progress;

    df_graph_complete(m->graph, worked);
    df_graph_grant(m->graph, bound);
    df_graph_help(m->graph);
    df_graph_progress(m->graph, &m->progress);
    df_graph_help(m->graph); /* sinks may have been let go on */
    return m->progress.done != before.done || m->progress.worked != before.worked;
}

/* Until something has happened, at most so many milliseconds (0: as long as it takes). False: nothing has. */
static bool replay_wait(replay_member *m, uint32_t most_ms)
{
    struct timespec until;
    int late = 0;
    bool woken;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += most_ms * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000l;
    until.tv_nsec %= 1000000000l;
    pthread_mutex_lock(&m->lock);
    while (!m->woken && late == 0)
        late = most_ms == 0 ? pthread_cond_wait(&m->cond, &m->lock) : pthread_cond_timedwait(&m->cond, &m->lock, &until);
    woken = m->woken;
    m->woken = false;
    pthread_mutex_unlock(&m->lock);
    return woken;
}

static uint64_t replay_last(const replay *r)
{
    return r->plan->job.steps + 2;
}

/* ---- recording ---- */

static bool replay_take(replay_member *sender, replay *sent, size_t at, df_parcel *parcel)
{
    bool there;

    pthread_mutex_lock(&sender->lock);
    there = at < sent->count;
    if (there)
        *parcel = sent->parcels[at];
    pthread_mutex_unlock(&sender->lock);
    return there;
}

/* Give a member what the other one has sent, and let it go on. */
static void replay_turn(replay_member *m, replay_member *sender, replay *sent, size_t *given, uint64_t worked,
                        uint64_t bound)
{
    df_error err = { 0 };
    df_parcel parcel;

    while (replay_take(sender, sent, *given, &parcel)) {
        replay_check(df_graph_deliver(m->graph, parcel.edge, parcel.tick, parcel.key_group, parcel.bytes, parcel.size,
                                      &err), &err);
        ++*given;
    }
    replay_advance(m, worked, bound);
    if (m->progress.failed)
        replay_check(DF_EINVAL, &m->progress.error);
}

void replay_record(replay *r, const replay_job *job)
{
    replay back = { 0 };
    replay_member m[REPLAY_MEMBERS] = { { .keeps = &back }, { .keeps = r } };
    size_t given[REPLAY_MEMBERS] = { 0 };
    uint64_t step, done = 0, worked = 0;

    r->job = job;
    r->plan = replay_plan(job);
    for (uint32_t i = 0; i < REPLAY_MEMBERS; i++)
        replay_start(r, &m[i], i);
    while (done < replay_last(r)) {
        replay_turn(&m[0], &m[1], r, &given[0], worked, done + r->plan->window);
        replay_turn(&m[1], &m[0], &back, &given[1], worked, done + r->plan->window);
        done = m[0].progress.done < m[1].progress.done ? m[0].progress.done : m[1].progress.done;
        worked = m[0].progress.worked < m[1].progress.worked ? m[0].progress.worked : m[1].progress.worked;
    }
    if (!df_graph_fingerprint(m[0].graph, &step, &r->expected) || step != r->plan->job.steps)
        abort();
    for (uint32_t i = 0; i < REPLAY_MEMBERS; i++)
        replay_stop(&m[i]);
    for (size_t i = 0; i < back.count; i++)
        free(back.parcels[i].bytes);
    free(back.parcels);
}

void replay_free(replay *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->parcels[i].bytes);
    free(r->parcels);
    df_plan_free(&r->plan);
}

/* ---- running alone ---- */

void replay_begin(replay_run *r, const replay *recorded)
{
    *r = (replay_run){ .replay = recorded };
    replay_start(recorded, &r->member, 0);
}

bool replay_over(const replay_run *r)
{
    const df_progress *p = &r->member.progress;

    return p->done >= replay_last(r->replay) || p->ended || p->failed || r->stuck;
}

void replay_go_on(replay_run *r)
{
    const df_progress *p = &r->member.progress;

    while (replay_advance(&r->member, p->worked, p->done + r->replay->plan->window) && !replay_over(r))
        ;
}

const df_parcel *replay_next(replay_run *r)
{
    const df_parcel *p = &r->replay->parcels[r->given];

    replay_go_on(r);
    while (r->given < r->replay->count && !replay_over(r)) {
        if (p->tick <= r->member.progress.done + r->replay->plan->window + 1) {
            r->given++;
            return p;
        }
        r->stuck = !replay_wait(&r->member, r->patience_ms);
        replay_go_on(r);
    }
    return NULL;
}

void replay_finish(replay_run *r)
{
    replay_go_on(r);
    while (!replay_over(r)) {
        r->stuck = !replay_wait(&r->member, r->patience_ms);
        replay_go_on(r);
    }
}

bool replay_same(const replay_run *r)
{
    df_hash hash;
    uint64_t step;

    return df_graph_fingerprint(r->member.graph, &step, &hash) && step == r->replay->plan->job.steps &&
           memcmp(&hash, &r->replay->expected, sizeof hash) == 0;
}

void replay_end(replay_run *r)
{
    replay_stop(&r->member);
}
