/* A play for many workers, without faults of the network: they start, run steps, take a snapshot; some are killed; a
 * tenth leaves while the job runs, the coordinator is killed, a tenth comes; the job is drained. All that is checked in
 * a schedule of faults is checked here, too. What it is for is size: whatever costs the square of the number of
 * workers is seen at once. */
#include "coordinator/sim_world.h"

#include <inttypes.h>
#include <string.h>

#define CROWD_LOOK_US    1000u
#define CROWD_CLIENT     (SIM_PROCESSES_MAX + 1u)
#define CROWD_WAVE       16u  /* key groups that move at one step */
#define CROWD_STEPS      SIM_STEPS_MAX

static uint32_t crowd_tenth(const sim_world *w)
{
    return w->config.workers / 10 > 0 ? w->config.workers / 10 : 1;
}

void sim_crowd_draw(sim_world *w)
{
    uint32_t workers = w->options.crowd, groups = workers + workers / 10;

    w->config = (sim_config){ .workers = workers, .member_min = workers, .member_max = workers, .slow = 8,
                              .delay_us = 40, .jitter_us = 60, .task_us = 50, .disk_us = 600, .turn_us = 200,
                              .order_ahead = 2 };
    for (uint32_t i = 0; i < workers; i++)
        w->worker_host[i] = i % 2;
    w->stream = (proto_stream_limits){ 400, 1600, 8000 };
    sim_job_init(&w->job, sim_random(&w->rng), groups, CROWD_STEPS, 40);
    sim_job_make_sparse(&w->job);
    w->file = proto_zero((size_t)CROWD_STEPS * 16 * groups, 1);
    sim_push(w, &(sim_event){ .kind = SIM_CROWD }, CROWD_LOOK_US);
}

void sim_crowd_config(proto_coord_config *config)
{
    config->window = 8;
    config->ceiling_span = 32;
    config->snapshot_every = 12;
    config->attempt_us = 60000000;
    config->steps_per_second = 250; /* of the world's time: what is done between steps is then done in few of them */
}

/* ---- rescales ---- */

typedef struct crowd_plan {
    uint64_t owners[SIM_GROUPS_MAX + 1];
    uint64_t members[SIM_WORKERS_MAX], spare[SIM_WORKERS_MAX];
    uint32_t member_count, spare_count, move_count;
    proto_move moves[SIM_GROUPS_MAX];
} crowd_plan;

static void plan_read(const proto_coord *c, crowd_plan *plan)
{
    static proto_coord_worker list[SIM_PROCESSES_MAX]; /* one thread */
    uint32_t count = proto_coord_workers_get(c, list, SIM_PROCESSES_MAX);

    memset(plan, 0, sizeof *plan);
    for (uint32_t i = 0; i < count; i++)
        if (list[i].member)
            plan->members[plan->member_count++] = list[i].id;
        else if (!list[i].leaving && plan->spare_count < SIM_WORKERS_MAX)
            plan->spare[plan->spare_count++] = list[i].id;
    proto_coord_owners_get(c, plan->owners);
}

static void plan_move(crowd_plan *plan, uint32_t group, uint64_t to)
{
    plan->moves[plan->move_count] = (proto_move){ group, to, plan->move_count / CROWD_WAVE };
    plan->move_count++;
}

static void crowd_rescale(sim_world *w, sim_process *p, proto_rescale *op, const crowd_plan *plan)
{
    const char *why = NULL;
    proto_coord_stats s;

    proto_coord_stats_get(p->coord, &s);
    op->id = w->crowd.rescale = s.rescale.next_id;
    op->moves = plan->moves;
    op->move_count = plan->move_count;
    op->deadline_us = 60000000;
    if (proto_coord_rescale(p->coord, sim_local(p), op, &why) != PROTO_ANSWER_OK)
        sim_violate(w, "a rescale of the crowd was refused: %s", why);
    w->result->rescales++;
}

/* Who has the sink stays; what the others had goes to those who stay, one after the other. */
static void crowd_shrink(sim_world *w, sim_process *p)
{
    static crowd_plan plan;
    uint64_t leave[SIM_WORKERS_MAX], stay[SIM_WORKERS_MAX];
    uint32_t leave_count = 0, stay_count = 0;

    plan_read(p->coord, &plan);
    for (uint32_t i = 0; i < plan.member_count; i++)
        if (leave_count < crowd_tenth(w) && plan.members[i] != plan.owners[w->job.groups])
            leave[leave_count++] = plan.members[i];
        else
            stay[stay_count++] = plan.members[i];
    for (uint32_t g = 0; g < w->job.groups; g++)
        for (uint32_t i = 0; i < leave_count; i++)
            if (plan.owners[g] == leave[i])
                plan_move(&plan, g, stay[plan.move_count % stay_count]);
    crowd_rescale(w, p, &(proto_rescale){ .dismiss = leave, .dismiss_count = leave_count }, &plan);
}

/* Each who comes gets a key group of one who has several. */
static void crowd_grow(sim_world *w, sim_process *p)
{
    static crowd_plan plan;
    uint32_t count = crowd_tenth(w);

    plan_read(p->coord, &plan);
    for (uint32_t g = 0; g < w->job.groups && plan.move_count < count; g++) {
        uint32_t had = 0;

        for (uint32_t i = g + 1; i < w->job.groups; i++)
            had += plan.owners[i] == plan.owners[g];
        if (had > 0)
            plan_move(&plan, g, plan.spare[plan.move_count]);
    }
    crowd_rescale(w, p, &(proto_rescale){ .admit = plan.spare, .admit_count = count }, &plan);
}

static bool spares_here(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    static crowd_plan plan;

    (void)s;
    plan_read(p->coord, &plan);
    return plan.spare_count >= crowd_tenth(w);
}

static bool rescale_over(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    (void)p;
    if (s->rescale.last_id == w->crowd.rescale && s->rescale.last_end != PROTO_RESCALE_DONE)
        sim_violate(w, "a rescale of the crowd was not done");
    return s->rescale.last_id == w->crowd.rescale;
}

/* ---- the other acts ---- */

static bool start_over(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    (void)w;
    (void)p;
    return s->running && s->low >= 6;
}

static bool snapshot_over(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    (void)p;
    (void)s;
    return w->snapshot_count > 0;
}

static void crowd_kill(sim_world *w, sim_process *p)
{
    uint32_t every = w->config.workers / 5 + 1;

    (void)p;
    for (uint32_t slot = w->config.workers / 7; slot < w->config.workers; slot += every)
        if (w->worker_of[slot] != PROTO_NONE)
            sim_process_end(w, &w->processes[w->worker_of[slot]]);
}

static bool kill_over(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    (void)p;
    return s->running && s->generation > w->crowd.generation && s->low > w->crowd.low;
}

static void crowd_restart(sim_world *w, sim_process *p)
{
    sim_commit_settle(w, w->coord_now);
    sim_process_end(w, p);
}

static bool restart_over(sim_world *w, const sim_process *p, const proto_coord_stats *s)
{
    (void)p;
    return s->running && s->incarnation > w->crowd.incarnation && s->low > w->crowd.low;
}

static void crowd_drain(sim_world *w, sim_process *p)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_command, .job = 7, .sender = CROWD_CLIENT },
                      .command = { .number = 1, .verb = PROTO_VERB_DRAIN } };

    (void)w;
    proto_coord_receive(p->coord, sim_local(p), &msg);
    proto_coord_tick(p->coord, sim_local(p));
}

/* ---- the play ---- */

static const struct {
    const char *name;
    void (*begin)(sim_world *w, sim_process *p); /* null: it goes on by itself */
    bool (*over)(sim_world *w, const sim_process *p, const proto_coord_stats *s); /* null: the last */
} acts[] = {
    { "start", NULL, start_over },
    { "snapshot", NULL, snapshot_over },
    { "kill", crowd_kill, kill_over },
    { "shrink", crowd_shrink, rescale_over },
    { "restart", crowd_restart, restart_over },
    { "spares", NULL, spares_here },
    { "grow", crowd_grow, rescale_over },
    { "drain", crowd_drain, NULL },
};

static void act_begin(sim_world *w, sim_process *p, const proto_coord_stats *s)
{
    w->crowd.act++;
    w->crowd.low = s->low;
    w->crowd.generation = s->generation;
    w->crowd.incarnation = s->incarnation;
    w->faults_end_us = w->now_us;
    if (acts[w->crowd.act].begin != NULL)
        acts[w->crowd.act].begin(w, p);
}

void sim_crowd_turn(sim_world *w)
{
    sim_process *p = w->coord_now == PROTO_NONE ? NULL : &w->processes[w->coord_now];
    proto_coord_stats s;

    if (p != NULL) {
        proto_coord_stats_get(p->coord, &s);
        if (acts[w->crowd.act].over(w, p, &s))
            act_begin(w, p, &s);
    }
    if (acts[w->crowd.act].over != NULL)
        sim_push(w, &(sim_event){ .kind = SIM_CROWD }, CROWD_LOOK_US);
}

void sim_crowd_end(sim_world *w)
{
    if (acts[w->crowd.act].over != NULL)
        sim_violate(w, "the job ended during the act \"%s\" of the crowd's play", acts[w->crowd.act].name);
}
