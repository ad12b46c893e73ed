/* Who runs when.
 *
 * Each task (stage, key group, tick) has a counter of what it waits for: one for its tick to be
 * opened, one per key group or edge it reads from, and, in a serial stage, one for the same key
 * group's task before. Whoever brings a counter to zero pushes the task on its own deque. A thread
 * takes its newest task, or steals another's oldest, or sleeps.
 *
 * Why no counter is touched at the wrong time. Ticks are opened only up to done + window, where
 * `done` counts complete ticks, so a running task's tick t is in [done, done + window]. It counts
 * down for tasks of t and t + 1, and, serial, of at most t + window. Counters of tick T are set when
 * tick T - ring is complete, that is for every T < done + ring = done + 2 * window + 2. So whatever a
 * running task counts down was set before, and is not yet set again. In a part they are set for all key
 * groups, since who owns them is not known yet (df_owners.c); those of others never come to zero, for a
 * tick is opened for own ones only.
 *
 * Why results do not depend on any of this: a task sees only the batches it waited for. */
#include "dataflow/df_graph_private.h"

/* A task in a deque: ring slot, stage, key group. */
#define TASK_GROUP_BITS 20
#define TASK_STAGE_BITS 12

static uint32_t task_stage(uint64_t item)
{
    return (uint32_t)(item >> TASK_GROUP_BITS) & ((1u << TASK_STAGE_BITS) - 1);
}

static uint32_t task_group(uint64_t item)
{
    return item & ((1u << TASK_GROUP_BITS) - 1);
}

static uint64_t task_pack(uint32_t slot, uint32_t stage, uint32_t key_group)
{
    return ((uint64_t)slot << (TASK_GROUP_BITS + TASK_STAGE_BITS)) |
           ((uint64_t)stage << TASK_GROUP_BITS) | key_group;
}

/* ---- sleeping ---- */

/* Wake up to `count` sleepers. The fence makes the new tasks visible to whoever announced its sleep
 * too late to be counted here. */
static void wake(df_graph *g, uint32_t count)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (count == 0 || atomic_load_explicit(&g->sleepers, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&g->sleep_lock);
    g->wakes++;
    if (count == 1)
        pthread_cond_signal(&g->sleep_cond);
    else
        pthread_cond_broadcast(&g->sleep_cond);
    pthread_mutex_unlock(&g->sleep_lock);
}

static bool work_somewhere(const df_graph *g)
{
    for (uint32_t i = 0; i <= g->thread_count; i++)
        if (df_deque_count(&g->threads[i].deque) > 0)
            return true;
    return false;
}

static void sleep_until_work(graph_thread *t)
{
    df_graph *g = t->graph;
    struct timespec until;
    uint64_t wakes;

    pthread_mutex_lock(&g->sleep_lock);
    atomic_fetch_add_explicit(&g->sleepers, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    wakes = g->wakes;
    graph_count(&t->sleeps, 1);
    while (!work_somewhere(g) && !atomic_load(&g->finished) && wakes == g->wakes)
        if (!graph_parked_until(g, &until))
            pthread_cond_wait(&g->sleep_cond, &g->sleep_lock);
        else if (pthread_cond_timedwait(&g->sleep_cond, &g->sleep_lock, &until) != 0)
            break; /* one is due */
    atomic_fetch_sub_explicit(&g->sleepers, 1, memory_order_relaxed);
    pthread_mutex_unlock(&g->sleep_lock);
}

static void finish(df_graph *g)
{
    atomic_store(&g->finished, true);
    pthread_mutex_lock(&g->sleep_lock);
    pthread_cond_broadcast(&g->sleep_cond);
    pthread_mutex_unlock(&g->sleep_lock);
}

/* ---- counting down ---- */

/* Returns 1 if the task became ready. */
static uint32_t arrive(graph_thread *t, uint32_t stage, uint32_t slot, uint32_t group)
{
    _Atomic uint32_t *missing = graph_missing_of(t->graph, stage, slot, group);

    if (!graph_last(t->graph, missing))
        return 0;
    df_deque_push(&t->deque, task_pack(slot, stage, group));
    return 1;
}

static uint32_t arrive_all(graph_thread *t, uint32_t stage, uint32_t slot)
{
    /* Read once: when the last own task has become ready, the tick may be over before this ends. The
     * table itself is the feeder's to drop, and no task's tick is over while it is in here. */
    const uint8_t *own = t->graph->ticks[slot].owners->stages[stage].own;
    uint32_t ready = 0;

    for (uint32_t g = 0; g < t->graph->plan->stages[stage].partition.key_groups; g++)
        if (own[g])
            ready += arrive(t, stage, slot, g);
    return ready;
}

/* The results of (stage, key group) at a tick have been handed to `edge`: tell its readers. */
static uint32_t arrive_edge(graph_thread *t, uint32_t edge, uint32_t slot, uint32_t group)
{
    df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[edge];
    const graph_stage *to = &g->ticks[slot].owners->stages[e->to];
    uint32_t ready = 0;

    if (e->fan == DF_FAN_SAME)
        return to->own[group] ? arrive(t, e->to, slot, group) : 0;
    if (e->fan == DF_FAN_ALL) {
        graph_edge_tick *et = &g->edges[edge].ticks[slot];
        if (!graph_last(g, &et->arrive))
            return 0;
        return arrive_all(t, e->to, slot);
    }
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    for (uint32_t i = space->first[group]; i < space->first[group + 1]; i++)
        if (to->own[space->near[i].key_group])
            ready += arrive(t, e->to, slot, space->near[i].key_group);
    return ready;
}

/* ---- opening ticks ---- */

/* Open a tick for all stages but sinks, or, once everything else of it is complete, for sinks. */
static uint32_t open_tick(graph_thread *t, uint64_t number, bool sinks)
{
    const df_graph *g = t->graph;
    uint32_t slot = graph_ring_slot(g, number), ready = 0;

    for (uint32_t s = 0; s < g->plan->stage_count; s++)
        if (g->plan->stages[s].sink == sinks && g->ticks[slot].stages[s])
            ready += arrive_all(t, s, slot);
    return ready;
}

/* Nothing later than this tick is wanted any more. */
static void end_before(df_graph *g, uint64_t tick)
{
    pthread_mutex_lock(&g->fail_lock);
    if (atomic_load(&g->fail_tick) > tick)
        atomic_store(&g->fail_tick, tick);
    pthread_mutex_unlock(&g->fail_lock);
}

static void step_complete(df_graph *g, uint64_t tick)
{
    df_step_print print;
    df_status status;

    if (tick == 0 || !g->ticks[graph_ring_slot(g, tick)].print_streams || g->print_count == 0 ||
        (g->parted && g->part.member != g->part.sink_member))
        return;
    print = graph_print_step(g, tick - 1);
    if (g->options.on_step == NULL)
        return;
    status = g->options.on_step(g->options.user, &print, &g->step_error);
    g->step_error.status = status;
    if (status != DF_OK)
        end_before(g, tick + 1);
}

/* Whether every task of the failed tick that can run has run, and all ticks before are complete. */
static bool failed_tick_ended(const df_graph *g, uint64_t done, uint64_t fail)
{
    const graph_tick *tick = &g->ticks[graph_ring_slot(g, fail)];

    return done == fail && atomic_load_explicit(&tick->work, memory_order_acquire) == 0 &&
           (g->observed <= fail || atomic_load_explicit(&tick->sink_work, memory_order_acquire) == 0);
}

bool graph_failure_ended(const df_graph *g)
{
    uint64_t fail = atomic_load(&g->fail_tick);

    return fail != NO_TICK && failed_tick_ended(g, atomic_load(&g->done), fail);
}

/* At a snapshot's tick the sinks wait until they were asked where they stand. */
static bool capture_holds(const df_graph *g, uint64_t tick)
{
    return tick >= g->capture.view.tick && !g->capture.marked;
}

/* Move the frontier as far as it goes. Called with the lock held. Returns how many tasks became
 * ready. */
static uint32_t advance(graph_thread *t)
{
    df_graph *g = t->graph;
    uint32_t ready = 0;
    bool moved = true;

    while (moved) {
        uint64_t done = atomic_load_explicit(&g->done, memory_order_relaxed);
        uint64_t fail = atomic_load(&g->fail_tick), end;

        moved = false;
        while (g->worked < g->open && g->worked < fail &&
               atomic_load_explicit(&g->ticks[graph_ring_slot(g, g->worked)].work,
                                    memory_order_acquire) == 0)
            g->worked++;
        if (g->parted)
            graph_move_worked(t);
        /* A step is shown when all sinks have written the step before: or, when one of them fails,
         * it would depend on timing how far the others got. */
        if (g->observed < g->worked && g->observed < fail && g->observed == done &&
            g->observed < g->complete && !capture_holds(g, done)) {
            step_complete(g, g->observed);
            ready += open_tick(t, g->observed++, true);
            moved = true;
        }
        while (done < g->observed && done < fail &&
               atomic_load_explicit(&g->ticks[graph_ring_slot(g, done)].sink_work,
                                    memory_order_acquire) == 0) {
            atomic_store(&g->done, ++done);
            if (done == 1 && df_pool_idle(g->sources))
                df_pool_free(&g->sources);
            graph_prepare_up_to(g, done + g->ring);
            if (done == g->capture.view.tick)
                graph_capture_rest(g);
            moved = true;
        }
        if (atomic_load(&g->stopping) && g->target > g->open)
            g->target = g->open;
        end = done + g->plan->window + 1 < g->target ? done + g->plan->window + 1 : g->target;
        /* Filling the states holds every row twice: no step begins before it has ended. */
        end = done == 0 && end > 1 ? 1 : end;
        /* The tick that failed is opened, too, if its failure was found a tick before, where a state's
         * rows are combined for it: all of it that can run does, so that the report is the same. */
        while (g->open < end && g->open <= fail) {
            ready += open_tick(t, g->open++, false);
            moved = true;
        }
        if (!g->parted && (done == g->target || failed_tick_ended(g, done, fail)))
            finish(g);
    }
    return ready;
}

/* ---- running ---- */

/* What was left for other members is fetched when a thread has nothing to do, or after some tasks: who
 * reads it is mostly busy too, and to be woken for each parcel costs the feeder, and the thread that it
 * takes the processor from, more than what it is woken for. But where tasks are large, the reader may
 * have run out of others by then, and a wake costs little beside one. So small tasks are as many as take
 * two milliseconds together, and are told of at both ends of the way: the reader's feeder wakes for it, too. It is
 * what they took that counts, and not what tasks take on average: of an uneven state most take next to nothing, and
 * eight of the others are half a step. */
#define LEFT_TASKS     8u       /* at least */
#define LEFT_TASKS_MAX 64u
#define LEFT_NS        2000000u /* of all of them */
#define LEFT_TASK_NS   500000u  /* as large is told of at once */

void graph_left(df_graph *g)
{
    atomic_store(&g->left, true);
}

static bool left_is_due(graph_thread *t)
{
    t->left_tasks++;
    t->left_ns += t->last_ns;
    return t->last_ns >= LEFT_TASK_NS || t->left_tasks >= LEFT_TASKS_MAX ||
           (t->left_tasks >= LEFT_TASKS && t->left_ns >= LEFT_NS);
}

/* The feeder, too, is woken for several parcels that have come, not for each: while so much is ready for every thread,
 * nobody waits for what they bring. */
#define BUSY_NS 1000000u

static bool enough_ready(const df_graph *g)
{
    uint64_t ready = 0;

    for (uint32_t i = 0; i <= g->thread_count; i++) {
        int64_t count = df_deque_count(&g->threads[i].deque);
        ready += count > 0 ? (uint64_t)count : 0;
    }
    return ready * atomic_load_explicit(&g->task_ns, memory_order_relaxed) >= (uint64_t)BUSY_NS * g->thread_count;
}

/* A thread takes a task and then looks whether the feeder naps; the feeder says so and then looks how many there are:
 * one of the two sees the other. */
bool df_graph_busy(df_graph *g)
{
    bool busy;

    atomic_store(&g->naps, true);
    atomic_thread_fence(memory_order_seq_cst);
    busy = enough_ready(g);
    if (!busy)
        atomic_store(&g->naps, false);
    return busy;
}

static void end_nap(df_graph *g)
{
    if (atomic_load(&g->naps) && !enough_ready(g) && atomic_exchange(&g->naps, false))
        g->part.wake(g->part.user);
}

static void tell_left(graph_thread *t)
{
    df_graph *g = t->graph;

    t->left_tasks = 0;
    t->left_ns = 0;
    if (atomic_load_explicit(&g->left, memory_order_relaxed) && atomic_exchange(&g->left, false))
        g->part.wake(g->part.user);
}

/* The last of this part's key groups to send on an edge says so. */
void graph_count_sent(df_graph *g, uint32_t edge, uint32_t slot)
{
    if (g->parted && g->plan->edges[edge].fan == DF_FAN_ALL &&
        atomic_fetch_sub_explicit(&g->edges[edge].ticks[slot].unsent, 1, memory_order_acq_rel) == 1) {
        g->part.sent(g->part.user, edge, g->ticks[slot].tick);
        graph_left(g);
    }
}

static void complete(graph_thread *t, uint32_t stage, uint32_t group, uint32_t slot)
{
    df_graph *g = t->graph;
    const df_stage *s = &g->plan->stages[stage];
    graph_tick *tick = &g->ticks[slot];
    uint32_t ready = 0;
    uint64_t number = tick->tick, partner;

    for (uint32_t i = 0; i < s->out_count; i++) {
        uint32_t edge = s->out_edges[i];
        uint32_t at = graph_ring_slot(g, number + g->plan->edges[edge].ticks);
        if (!g->ticks[at].edges[edge] || (t->held && g->plan->edges[edge].ticks == 1))
            continue;
        ready += arrive_edge(t, edge, at, group);
        graph_count_sent(g, edge, at);
    }
    if (s->serial && (partner = graph_serial_partner(g, stage, number, 1)) != NO_TICK)
        ready += arrive(t, stage, graph_ring_slot(g, partner), group);
    if (graph_last(g, s->sink ? &tick->sink_work : &tick->work)) {
        pthread_mutex_lock(&g->lock);
        ready += advance(t);
        pthread_mutex_unlock(&g->lock);
        t->clock = 0; /* a step may have been shown */
        if (g->parted)
            g->part.wake(g->part.user);
    }
    /* This thread goes on with one of them itself; the feeder, perhaps with all. */
    if (t->index == g->thread_count)
        g->feeder_ready += ready;
    else if (ready > 1 && !g->alone)
        wake(g, ready - 1);
}

static uint64_t next_random(graph_thread *t)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return t->random >> 33;
}

static bool steal(graph_thread *t, uint64_t *item)
{
    df_graph *g = t->graph;
    uint32_t start = g->options.shuffle_seed ? (uint32_t)next_random(t) % (g->thread_count + 1)
                                             : t->index + 1;

    for (uint32_t i = 0; i <= g->thread_count; i++) {
        graph_thread *victim = &g->threads[(start + i) % (g->thread_count + 1)];
        while (df_deque_count(&victim->deque) > 0)
            if (df_deque_steal(&victim->deque, item)) {
                graph_count(&t->steals, victim != t);
                return true;
            }
    }
    return false;
}

/* The next task. The shuffling scheduler sometimes takes from the far end of its own deque. */
static bool take(graph_thread *t, uint64_t *item)
{
    if (t->graph->options.shuffle_seed && next_random(t) % 2 == 0 && steal(t, item))
        return true;
    return df_deque_pop(&t->deque, item) || steal(t, item);
}

static void run_item(graph_thread *t, uint64_t item)
{
    uint32_t group = task_group(item), stage = task_stage(item);
    uint32_t slot = (uint32_t)(item >> (TASK_GROUP_BITS + TASK_STAGE_BITS));

    if (!graph_task_run(t, stage, group, slot, NULL))
        return;
    graph_count(&t->tasks, 1);
    complete(t, stage, group, slot);
}

static void run_parked(graph_thread *t, graph_parked *p)
{
    uint32_t stage = p->stage, group = p->key_group, slot = p->slot;

    if (!graph_task_run(t, stage, group, slot, p))
        return;
    graph_count(&t->tasks, 1);
    complete(t, stage, group, slot);
}

/* A task that takes less than it takes to wake a thread is run by the feeder itself, if there are few. While it runs
 * one that takes long nothing is sent and nothing taken in. */
#define HELP_TASK_NS   20000u
#define HELP_TASKS     16u

static bool help_one(graph_thread *t)
{
    uint64_t item;

    if (!df_deque_pop(&t->deque, &item))
        return false;
    if (graph_unit_task_ns(t->graph, task_stage(item), task_group(item)) > HELP_TASK_NS) {
        df_deque_push(&t->deque, item);
        return false;
    }
    run_item(t, item);
    return true;
}

void df_graph_help(df_graph *g)
{
    graph_thread *t = &g->threads[g->thread_count];
    uint32_t ready = g->feeder_ready, run = 0;

    g->feeder_ready = 0;
    t->clock = 0;
    if (!g->started || ready > HELP_TASKS) {
        wake(g, ready);
        return;
    }
    while (run < HELP_TASKS && help_one(t))
        run++;
    g->feeder_ready = 0;
    wake(g, (uint32_t)df_deque_count(&t->deque));
}

static void *thread_main(void *argument)
{
    graph_thread *t = argument;
    df_graph *g = t->graph;
    uint64_t item;

    t->clock = 0;
    while (!atomic_load_explicit(&g->finished, memory_order_acquire)) {
        graph_parked *parked = graph_unpark(g);

        if (parked != NULL) {
            run_parked(t, parked);
            continue;
        }
        if (!take(t, &item)) {
            tell_left(t);
            end_nap(g);
            sleep_until_work(t);
            t->clock = 0;
            continue;
        }
        end_nap(g);
        run_item(t, item);
        if (left_is_due(t))
            tell_left(t);
    }
    return NULL;
}

/* ---- the feeder ---- */

void graph_arrived(df_graph *g, uint32_t edge, uint32_t slot, uint32_t key_group)
{
    g->feeder_ready += arrive_edge(&g->threads[g->thread_count], edge, slot, key_group);
}

void graph_advance(df_graph *g)
{
    uint32_t ready;

    pthread_mutex_lock(&g->lock);
    ready = advance(&g->threads[g->thread_count]);
    pthread_mutex_unlock(&g->lock);
    g->feeder_ready += ready;
}

void graph_carried_arrived(df_graph *g, uint32_t stage, uint32_t slot, uint32_t key_group)
{
    g->feeder_ready += arrive(&g->threads[g->thread_count], stage, slot, key_group);
}

void graph_await(df_graph *g, uint32_t stage, uint32_t slot, uint32_t key_group, bool more)
{
    if (more)
        atomic_fetch_add_explicit(graph_missing_of(g, stage, slot, key_group), 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(graph_missing_of(g, stage, slot, key_group), 1, memory_order_relaxed);
}

void graph_work_arrived(df_graph *g, uint32_t slot)
{
    if (atomic_fetch_sub_explicit(&g->ticks[slot].work, 1, memory_order_acq_rel) == 1)
        graph_advance(g);
}

df_status graph_threads_start(df_graph *g, df_error *err)
{
    atomic_store(&g->finished, false);
    for (uint32_t i = 0; i < g->thread_count; i++)
        if (pthread_create(&g->threads[i].handle, NULL, thread_main, &g->threads[i])) {
            finish(g);
            while (i-- > 0)
                pthread_join(g->threads[i].handle, NULL);
            return df_fail(err, DF_EIO, "cannot start a thread");
        }
    g->started = true;
    return DF_OK;
}

void graph_threads_stop(df_graph *g)
{
    if (!g->started)
        return;
    finish(g);
    for (uint32_t i = 0; i < g->thread_count; i++)
        pthread_join(g->threads[i].handle, NULL);
    g->started = false;
}

/* ---- a graph without parts ---- */

static df_status run_threads(df_graph *g, df_error *err)
{
    uint32_t started = 1;
    df_status status = DF_OK;

    for (; started < g->thread_count; started++)
        if (pthread_create(&g->threads[started].handle, NULL, thread_main, &g->threads[started])) {
            status = df_fail(err, DF_EIO, "cannot start thread %u", started);
            finish(g);
            break;
        }
    if (status == DF_OK)
        thread_main(&g->threads[0]); /* the caller is thread 0 */
    for (uint32_t i = 1; i < started; i++)
        pthread_join(g->threads[i].handle, NULL);
    return status;
}

df_status df_graph_run(df_graph *g, uint64_t step, df_error *err)
{
    df_status status;

    if (step > g->plan->job.steps)
        step = g->plan->job.steps;
    if (g->failed)
        return df_fail(err, DF_EINVAL, "the job has failed and cannot go on");
    if (g->step_error.status != DF_OK)
        return df_fail(err, g->step_error.status, "%s", g->step_error.text);
    if (atomic_load(&g->done) >= step + 2)
        return DF_OK; /* it has been reached */
    g->target = step + 2;
    atomic_store(&g->finished, false);
    pthread_mutex_lock(&g->lock);
    (void)advance(&g->threads[0]);
    pthread_mutex_unlock(&g->lock);
    status = run_threads(g, err);
    if (status != DF_OK)
        return status;
    if (g->step_error.status != DF_OK)
        return df_fail(err, g->step_error.status, "%s", g->step_error.text);
    g->failed = g->failure.tick < g->target; /* a later one waits for its step to be asked for */
    if (g->failed)
        return df_fail(err, g->failure.error.status, "%s", g->failure.error.text);
    return atomic_load(&g->done) < step + 2 ? DF_END : DF_OK;
}

void df_graph_stop(df_graph *g)
{
    atomic_store(&g->stopping, true);
}
