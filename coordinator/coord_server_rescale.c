/* Changes of a running job's workers and owners: asked for, planned (coord_place.h), carried out by the state
 * machine, watched, and noted in the state folder's `rescales`.
 *
 * One at a time. A change to more workers than there are first starts local ones, and waits for them; what
 * is moved then is decided with what they have told. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_times.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is(const coord_rescale_ask *ask, const char *what)
{
    return strcmp(ask->what, what) == 0;
}

/* ---- planning ---- */

/* What a change comes to. The lists of ids are of the state machine's words. */
typedef struct change_plan {
    server_view view;        /* s->workers is of the same moment */
    uint64_t *owners;        /* [key groups of the plan, sinks' too]: ids */
    uint32_t *after;         /* [unit] */
    coord_place_step *steps;
    uint64_t *admit, *dismiss;
    proto_move *moves;
    uint32_t step_count, admit_count, dismiss_count, waves, to;
    uint64_t bytes;
    coord_place_outcome outcome;
} change_plan;

static void plan_free(change_plan *p)
{
    server_view_free(&p->view);
    free(p->owners);
    free(p->after);
    free(p->steps);
    free(p->admit);
    free(p->dismiss);
    free(p->moves);
    *p = (change_plan){ 0 };
}

/* `more`: workers that are not there yet, and are shown as idle ones. */
static df_status plan_open(change_plan *p, coord_server *s, uint32_t more, df_error *err)
{
    uint32_t groups = s->job.plan->group_count;

    *p = (change_plan){ 0 };
    if (!server_view_make(s, &p->view))
        return df_fail(err, DF_EIO, "no worker is known");
    if (!server_view_extend(&p->view, more))
        return df_fail(err, DF_ENOMEM, "out of memory");
    p->owners = calloc(groups + 1, sizeof *p->owners);
    p->after = calloc(p->view.input.unit_count + 1, sizeof *p->after);
    p->steps = calloc(p->view.input.unit_count + 1, sizeof *p->steps);
    p->moves = calloc(p->view.input.unit_count + 1, sizeof *p->moves);
    p->admit = calloc(p->view.input.worker_count, sizeof *p->admit);
    p->dismiss = calloc(p->view.input.worker_count, sizeof *p->dismiss);
    if (p->owners == NULL || p->after == NULL || p->steps == NULL || p->moves == NULL ||
        p->admit == NULL || p->dismiss == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    proto_coord_owners_get(s->coord, p->owners);
    for (uint32_t u = 0; u < p->view.input.unit_count; u++)
        p->view.units[u].owner = server_view_place(&p->view, p->owners[u]);
    return DF_OK;
}

static bool is_member(const coord_server *s, const change_plan *p, uint32_t place)
{
    return place < p->view.known && s->workers[place].member && !s->workers[place].leaving;
}

/* Who runs the sinks, or gathers the fingerprints of a job that has none, does so as long as it is there. */
static uint32_t sinks_place(const coord_server *s, const change_plan *p)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    return server_view_place(&p->view, stats.gatherer);
}

static bool has_sinks(const coord_server *s, const change_plan *p)
{
    return s->job.plan->group_count > p->view.input.unit_count;
}

static uint32_t place_named(const change_plan *p, const char *label)
{
    for (uint32_t i = 0; i < p->view.known; i++)
        if (strcmp(p->view.labels[i], label) == 0)
            return i;
    return COORD_PLACE_NONE;
}

static df_status fail_named(const char *label, df_error *err)
{
    return df_fail(err, DF_EINVAL, "there is no worker \"%s\": weir workers lists them", label);
}

/* Everybody but the chosen ones leaves; the sinks' worker is always chosen. */
static df_status choose(coord_server *s, change_plan *p, uint32_t count, df_error *err)
{
    uint32_t *places = calloc(p->view.input.worker_count + 1, sizeof *places);
    uint32_t sinks = sinks_place(s, p), last = count - 1;
    bool have = sinks == COORD_PLACE_NONE;
    df_status status;

    if (places == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < p->view.known; i++)
        p->view.workers[i].leaving = s->workers[i].leaving;
    status = coord_place_pick(&p->view.input, count, places, err);
    for (uint32_t i = 0; status == DF_OK && i < count; i++)
        have |= places[i] == sinks;
    if (status == DF_OK && !have)
        places[last] = sinks;
    for (uint32_t i = 0; status == DF_OK && i < p->view.input.worker_count; i++)
        p->view.workers[i].leaving = true;
    for (uint32_t i = 0; status == DF_OK && i < count; i++)
        p->view.workers[places[i]].leaving = false;
    free(places);
    return status;
}

/* Only members have a part in it, and not the one at `but`. */
static void choose_members(const coord_server *s, change_plan *p, uint32_t but)
{
    for (uint32_t i = 0; i < p->view.input.worker_count; i++)
        p->view.workers[i].leaving = i == but || !is_member(s, p, i);
}

static df_status plan_drain(coord_server *s, change_plan *p, const coord_rescale_ask *ask, df_error *err)
{
    uint32_t place = place_named(p, ask->worker);

    if (place == COORD_PLACE_NONE)
        return fail_named(ask->worker, err);
    if (!is_member(s, p, place))
        return df_fail(err, DF_EINVAL, "%s owns nothing", ask->worker);
    if (place == sinks_place(s, p))
        return df_fail(err, DF_EINVAL, has_sinks(s, p) ? "%s runs the sinks, which stay where they are"
                                                       : "%s gathers the fingerprints, and stays", ask->worker);
    choose_members(s, p, place);
    return coord_place_fit(&p->view.input, p->after, &p->outcome, err);
}

static df_status plan_move(coord_server *s, change_plan *p, const coord_rescale_ask *ask, df_error *err)
{
    uint32_t to = place_named(p, ask->worker);

    if (to == COORD_PLACE_NONE)
        return fail_named(ask->worker, err);
    if (ask->first > ask->last || ask->last >= p->view.input.unit_count)
        return df_fail(err, DF_EINVAL, "key groups %u to %u: the job has 0 to %u", ask->first, ask->last,
                       p->view.input.unit_count - 1);
    for (uint32_t i = 0; i < p->view.known; i++)
        p->view.workers[i].leaving = s->workers[i].leaving;
    return coord_place_move(&p->view.input, ask->first, ask->last, to, p->after, &p->outcome, err);
}

/* Who comes, who goes, and what moves in which waves. */
static df_status plan_steps(coord_server *s, change_plan *p, const coord_rescale_ask *ask, df_error *err)
{
    const coord_place_input *in = &p->view.input;
    bool sizes = is(ask, "rescale") || is(ask, "drain-worker");
    uint64_t budget = coord_place_budget(in->units, in->unit_count, ask->budget);
    df_status status;

    p->step_count = coord_place_steps(in, p->after, p->steps);
    status = coord_place_waves(p->steps, p->step_count, budget, &p->waves, err);
    for (uint32_t i = 0; i < in->worker_count; i++) {
        bool member = is_member(s, p, i), gains = false;

        for (uint32_t k = 0; k < p->step_count && !gains; k++)
            gains = p->steps[k].to == i;
        if (!member && (gains || (is(ask, "rescale") && !in->workers[i].leaving)))
            p->admit[p->admit_count++] = in->workers[i].id;
        if (member && sizes && in->workers[i].leaving)
            p->dismiss[p->dismiss_count++] = in->workers[i].id;
        p->to += member;
    }
    p->to += p->admit_count - p->dismiss_count;
    for (uint32_t k = 0; k < p->step_count; k++) {
        const coord_place_step *step = &p->steps[k];

        p->bytes += step->bytes;
        p->moves[k] = (proto_move){ step->unit, in->workers[step->to].id, step->wave };
    }
    return status;
}

static df_status plan_make(change_plan *p, coord_server *s, const coord_rescale_ask *ask, uint32_t more,
                           df_error *err)
{
    df_status status = plan_open(p, s, more, err);

    if (status == DF_OK && is(ask, "rescale")) {
        status = choose(s, p, ask->workers, err);
        if (status == DF_OK)
            status = coord_place_fit(&p->view.input, p->after, &p->outcome, err);
    } else if (status == DF_OK && is(ask, "rebalance")) {
        choose_members(s, p, COORD_PLACE_NONE);
        status = coord_place_balance(&p->view.input, p->after, &p->outcome, err);
    } else if (status == DF_OK && is(ask, "drain-worker")) {
        status = plan_drain(s, p, ask, err);
    } else if (status == DF_OK) {
        status = plan_move(s, p, ask, err);
    }
    return status == DF_OK ? plan_steps(s, p, ask, err) : status;
}

static void row_of_plan(coord_rescale_row *row, const change_plan *p)
{
    row->to = p->to;
    row->key_groups = p->step_count;
    row->waves = p->waves;
    row->bytes = p->bytes;
    if (row->why[0] == '\0')
        snprintf(row->why, sizeof row->why, "%s", p->outcome.text);
}

/* ---- the history of them ---- */

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void rows_write(const coord_server *s)
{
    char *text = coord_json_rescales(NULL, s->rescales, s->rescale_count);

    if (text == NULL || coord_state_write(s->options.state, "rescales", text, strlen(text), NULL) != DF_OK)
        fprintf(stderr, "weir: %s/rescales cannot be written\n", s->options.state);
    free(text);
}

void server_rescales_read(coord_server *s)
{
    coord_rescale_row running;
    char *text;
    size_t size;
    df_error err;

    if (coord_state_read(s->options.state, "rescales", &text, &size, NULL) != DF_OK)
        return;
    if (!coord_json_rescales_read(&running, s->rescales, COORD_RESCALES_KEPT, &s->rescale_count, text,
                                  size, &err))
        fprintf(stderr, "weir: %s/rescales: %s\n", s->options.state, err.text);
    free(text);
}

static void rows_put(coord_server *s, const coord_rescale_row *row)
{
    if (s->rescale_count == COORD_RESCALES_KEPT)
        memmove(s->rescales, s->rescales + 1, --s->rescale_count * sizeof *s->rescales);
    s->rescales[s->rescale_count++] = *row;
    rows_write(s);
}

/* ---- carrying out ---- */

static uint32_t member_count(const coord_server *s, uint32_t *spare)
{
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX), members = 0;

    *spare = 0;
    for (uint32_t i = 0; i < count; i++) {
        const server_peer *peer = server_peer_find(s, s->workers[i].id);
        bool told = peer != NULL && peer->here && peer->load_us != 0;

        members += s->workers[i].member && !s->workers[i].leaving;
        *spare += !s->workers[i].member && !s->workers[i].leaving && told;
    }
    return members;
}

/* It has come to nothing: who was to leave stays, and who was started for it and is not needed, leaves. */
static void change_undo(coord_server *s)
{
    const server_change *c = &s->change;
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX), slot;

    for (uint32_t i = 0; i < c->leaving_count; i++)
        if (coord_children_has(s->children, c->leaving[i], &slot))
            coord_children_vacate(s->children, c->leaving[i], false);
        else
            coord_children_more(s->children, 1); /* it has ended meanwhile */
    if (c->started > 0)
        coord_children_fewer(s->children, c->started, s->workers, count);
}

static void change_end(coord_server *s, const char *end)
{
    server_change *c = &s->change;

    if (strcmp(end, "done") != 0)
        change_undo(s);
    df_failpoint_pass(DF_FAILPOINT_rescale_left);
    snprintf(c->row.end, sizeof c->row.end, "%s", end);
    c->row.phase[0] = '\0';
    c->row.seconds = 1e-6 * (double)(server_now_us() - c->begun_us);
    rows_put(s, &c->row);
    coord_rescale_totals_put(&s->seen.rescales, &c->row);
    free(c->leaving);
    *c = (server_change){ .looked = true, .scale = c->scale, .balance = c->balance, .look_us = c->look_us };
}

static void change_failed(coord_server *s, const df_error *err)
{
    snprintf(s->change.row.why, sizeof s->change.row.why, "%.255s", err->text);
    fprintf(stderr, "weir: %s: %s\n", s->change.row.what, err->text);
    change_end(s, "failed");
}

/* A local worker that ends because it is dismissed is not started again. Without memory only an abort could not
 * take that back. */
static void change_leaves(coord_server *s, uint64_t worker)
{
    server_change *c = &s->change;
    uint32_t slot;

    if (!coord_children_has(s->children, worker, &slot))
        return;
    if (c->leaving == NULL)
        c->leaving = calloc(PROTO_MEMBERS_MAX, sizeof *c->leaving);
    if (c->leaving != NULL && c->leaving_count < PROTO_MEMBERS_MAX)
        c->leaving[c->leaving_count++] = worker;
    coord_children_vacate(s->children, worker, true);
}

/* Hand the plan to the state machine. DF_END: there is nothing to be done. */
static df_status change_start(coord_server *s, change_plan *p, df_error *err)
{
    server_change *c = &s->change;
    proto_coord_stats stats;
    proto_rescale op = { .admit = p->admit, .admit_count = p->admit_count, .dismiss = p->dismiss,
                         .dismiss_count = p->dismiss_count, .moves = p->moves,
                         .move_count = p->step_count };
    const char *why;

    row_of_plan(&c->row, p);
    if (p->step_count + p->admit_count + p->dismiss_count == 0)
        return DF_END;
    proto_coord_stats_get(s->coord, &stats);
    op.id = stats.rescale.next_id;
    if (proto_coord_rescale(s->coord, server_now_us(), &op, &why) != PROTO_ANSWER_OK)
        return df_fail(err, DF_EINVAL, "%s", why);
    df_failpoint_pass(DF_FAILPOINT_rescale_begun);
    c->row.id = op.id;
    c->starting = false;
    c->low = stats.low;
    c->low_us = server_now_us();
    for (uint32_t i = 0; i < p->dismiss_count; i++)
        change_leaves(s, p->dismiss[i]);
    server_view_reserve(s, &p->view, p->after);
    return DF_OK;
}

/* What a change that has not begun waits for. */
static void change_phase(coord_server *s)
{
    server_change *c = &s->change;
    uint32_t spare, members = member_count(s, &spare), there = members + spare;

    if (is(&c->ask, "rescale") && there < c->ask.workers)
        snprintf(c->row.phase, sizeof c->row.phase, "waiting for %u worker%s", c->ask.workers - there,
                 c->ask.workers - there == 1 ? "" : "s");
    else
        snprintf(c->row.phase, sizeof c->row.phase, "waiting to hear what key groups hold");
}

static df_status change_plan_and_start(coord_server *s, df_error *err)
{
    change_plan p;
    df_status status = plan_make(&p, s, &s->change.ask, 0, err);

    if (status == DF_OK)
        status = change_start(s, &p, err);
    plan_free(&p);
    return status;
}

/* For workers, or what key groups hold: without it no budget could be kept. */
static df_status change_await(coord_server *s)
{
    s->change.starting = true;
    s->change.until_us = server_now_us() + COORD_START_US;
    change_phase(s);
    return DF_OK;
}

/* How many workers are missing for it; those that this machine can start are. */
static df_status change_workers(coord_server *s, uint32_t members, uint32_t spare, df_error *err)
{
    server_change *c = &s->change;
    uint32_t wanted = c->ask.workers, there = members + spare, missing, more;

    if (!is(&c->ask, "rescale") || wanted <= there) {
        if (server_units_known(s))
            return change_plan_and_start(s, err);
        return change_await(s);
    }
    missing = wanted - there;
    if (s->options.workers == 0)
        return df_fail(err, DF_EINVAL, "%u worker%s missing, and this coordinator starts none: weir worker "
                       "--join", missing, missing == 1 ? " is" : "s are");
    more = coord_children_more(s->children, missing);
    c->started = more;
    if (more < missing) {
        change_undo(s);
        c->started = 0;
        return df_fail(err, DF_ELIMIT, "on one machine there may be %d workers", COORD_CHILDREN_MAX);
    }
    df_failpoint_pass(DF_FAILPOINT_rescale_await);
    return change_await(s);
}

static df_status ask_check(const coord_server *s, const coord_rescale_ask *ask, df_error *err)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    if (!is(ask, "rescale") && !is(ask, "rebalance") && !is(ask, "drain-worker") && !is(ask, "move"))
        return df_fail(err, DF_EINVAL, "the request is not known");
    if (is(ask, "rescale") && (ask->workers == 0 || ask->workers > PROTO_MEMBERS_MAX))
        return df_fail(err, DF_EINVAL, "%u workers: 1 to %u", ask->workers, PROTO_MEMBERS_MAX);
    if (s->change.row.what[0] != '\0')
        return df_fail(err, DF_EINVAL, "a %s runs since %.0f s: %s; --abort ends it", s->change.row.what,
                       1e-6 * (double)(server_now_us() - s->change.begun_us),
                       s->change.row.phase);
    if (!stats.running)
        return df_fail(err, DF_EINVAL, "the job is not running: it waits for %s", stats.waiting);
    return DF_OK;
}

/* On success s->change holds it, or *row says that nothing was to be done. */
static df_status change_begin(coord_server *s, const coord_rescale_ask *ask, const char *why,
                              coord_rescale_row *row, df_error *err)
{
    server_change *c = &s->change;
    uint32_t spare, members = member_count(s, &spare);
    df_status status = ask_check(s, ask, err);

    if (status != DF_OK)
        return status;
    c->ask = *ask;
    c->begun_us = server_now_us();
    c->row = (coord_rescale_row){ .begun_ms = wall_ms(), .from = members, .to = ask->workers };
    snprintf(c->row.what, sizeof c->row.what, "%s", ask->what);
    snprintf(c->row.why, sizeof c->row.why, "%s", why);
    status = change_workers(s, members, spare, err);
    *row = c->row;
    if (status == DF_OK)
        return DF_OK;
    c->row = (coord_rescale_row){ 0 };
    snprintf(row->end, sizeof row->end, "done");
    return status == DF_END ? DF_OK : status;
}

static df_status dry_run(coord_server *s, const coord_rescale_ask *ask, coord_rescale_row *row,
                         df_error *err)
{
    uint32_t spare, members = member_count(s, &spare);
    uint32_t more = is(ask, "rescale") && ask->workers > members + spare ? ask->workers - members - spare
                                                                        : 0;
    change_plan p = { 0 };
    df_status status = ask_check(s, ask, err);

    *row = (coord_rescale_row){ .begun_ms = wall_ms(), .from = members };
    snprintf(row->what, sizeof row->what, "%s", ask->what);
    if (status == DF_OK && !server_units_known(s))
        status = df_fail(err, DF_EIO, "workers have not yet told what key groups hold: they do each second");
    if (status == DF_OK)
        status = plan_make(&p, s, ask, more, err);
    if (status == DF_OK)
        row_of_plan(row, &p);
    plan_free(&p);
    return status;
}

static df_status change_abort(coord_server *s, coord_rescale_row *row, df_error *err)
{
    const char *why;

    *row = s->change.row;
    if (s->change.row.what[0] == '\0')
        return df_fail(err, DF_EINVAL, "nothing is being changed");
    if (s->change.starting) {
        change_end(s, "aborted");
        return DF_OK;
    }
    if (proto_coord_rescale_abort(s->coord, server_now_us(), &why) != PROTO_ANSWER_OK)
        return df_fail(err, DF_EINVAL, "%s", why);
    return DF_OK;
}

/* ---- asking ---- */

static df_status operate(coord_server *s, const proto_operate *o, coord_rescale_row *row, df_error *err)
{
    coord_rescale_ask ask;

    if (!coord_json_rescale_ask_read(&ask, (const char *)o->text.data, o->text.size))
        return df_fail(err, DF_EINVAL, "the request makes no sense");
    if (is(&ask, "abort"))
        return change_abort(s, row, err);
    return ask.dry_run ? dry_run(s, &ask, row, err) : change_begin(s, &ask, "", row, err);
}

/* Asked again, because the reply was lost, it is replied to again and not done twice. */
void server_take_operate(coord_server *server, const proto_msg *msg)
{
    proto_msg out = { .header = { .type = PROTO_TYPE_reply, .job = server->number } };
    bool again = msg->operate.number == server->operated && msg->header.sender == server->operated_by;
    coord_rescale_row row = server->operated_row;
    df_error err = { 0 };
    df_status status = again ? DF_OK : operate(server, &msg->operate, &row, &err);
    char *text;

    if (status == DF_OK) {
        server->operated = msg->operate.number;
        server->operated_by = msg->header.sender;
        server->operated_row = row;
    }
    text = status == DF_OK ? coord_json_rescale(&row) : coord_json_error(err.text);
    if (text == NULL)
        return;
    out.reply.number = msg->operate.number;
    out.reply.text = (proto_bytes){ (const uint8_t *)text, (uint32_t)strlen(text) };
    server_send(server, msg->header.sender, &out);
    free(text);
}

char *server_rescales(const coord_server *server)
{
    const coord_rescale_row *running = &server->change.row;

    return coord_json_rescales(running->what[0] == '\0' ? NULL : running, server->rescales,
                               server->rescale_count);
}

/* ---- watching ---- */

/* The time between two steps, as far as the coordinator sees them. */
static void watch_longest(coord_server *s, uint64_t now_us, uint64_t low)
{
    server_change *c = &s->change;
    double steps = low > c->low ? (double)(low - c->low) : 1;
    double ms = 1e-3 * (double)(now_us - c->low_us) / steps;

    if (ms > c->row.longest_ms)
        c->row.longest_ms = ms;
    if (low <= c->low)
        return;
    c->low = low;
    c->low_us = now_us;
}

static void watch_starting(coord_server *s, uint64_t now_us)
{
    uint32_t spare, members = member_count(s, &spare);
    df_error err = { 0 };
    df_status status = DF_OK;

    bool come = !is(&s->change.ask, "rescale") || members + spare >= s->change.ask.workers;

    change_phase(s);
    if (come && server_units_known(s))
        status = change_plan_and_start(s, &err);
    else if (now_us >= s->change.until_us && come)
        status = df_fail(&err, DF_EIO, "workers do not tell what their key groups hold");
    else if (now_us >= s->change.until_us)
        status = df_fail(&err, DF_EIO, "%u of %u workers have come; %s/worker-N.log says why",
                         members + spare, s->change.ask.workers, s->options.state);
    if (status == DF_END)
        change_end(s, "done");
    else if (status != DF_OK)
        change_failed(s, &err);
}

static const char *end_text(proto_rescale_end end)
{
    static const char *const texts[] = { "voided", "done", "aborted", "voided" };

    return texts[end];
}

/* Members whose places an earlier coordinator has vacated: they leave with the change that runs, or stay, if it
 * was lost. */
static void watch_vacated(coord_server *s, bool runs)
{
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);

    for (uint32_t i = 0; i < count; i++) {
        const proto_coord_worker *w = &s->workers[i];

        if (!w->member || w->leaving || !coord_children_is_vacated(s->children, w->id))
            continue;
        if (runs)
            change_leaves(s, w->id);
        else
            coord_children_vacate(s->children, w->id, false);
    }
    s->change.looked = true;
}

/* One that an earlier coordinator began, and this one goes on with. */
static void watch_found(coord_server *s, const proto_rescale_stats *r, uint32_t members)
{
    server_change *c = &s->change;

    c->started = r->admit;
    watch_vacated(s, true);

    c->begun_us = server_now_us() - r->since_us;
    c->row = (coord_rescale_row){ .id = r->id, .begun_ms = wall_ms() - r->since_us / 1000,
                                  .from = members, .to = members + r->admit - r->dismiss };
    snprintf(c->row.what, sizeof c->row.what, "rescale");
    snprintf(c->row.why, sizeof c->row.why, "begun before the coordinator was started again");
}

static void watch_running(coord_server *s, uint64_t now_us, const proto_coord_stats *stats)
{
    const proto_rescale_stats *r = &stats->rescale;
    coord_rescale_row *row = &s->change.row;

    if (r->id == row->id) {
        snprintf(row->phase, sizeof row->phase, "%s%s", r->aborting ? "going back: " : "", r->phase);
        row->key_groups = r->moves;
        row->key_groups_done = r->moves_done;
        row->waves = r->waves;
        if (r->waves_done > row->waves_done && r->waves_done < r->waves)
            df_failpoint_pass(DF_FAILPOINT_rescale_moving);
        row->waves_done = r->waves_done;
        row->seconds = 1e-6 * (double)(now_us - s->change.begun_us);
        watch_longest(s, now_us, stats->low);
    } else {
        row->key_groups_done = r->last_end == PROTO_RESCALE_DONE ? row->key_groups : row->key_groups_done;
        row->waves_done = r->last_end == PROTO_RESCALE_DONE ? row->waves : row->waves_done;
        change_end(s, end_text(r->last_end));
    }
}

void server_rescale_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats)
{
    server_change *c = &server->change;

    if (c->starting)
        watch_starting(server, now_us);
    else if (c->row.id != 0)
        watch_running(server, now_us, stats);
    else if (stats->rescale.id != 0)
        watch_found(server, &stats->rescale, stats->members);
    else if (!c->looked && stats->running)
        watch_vacated(server, false);
    else
        server_scale_turn(server, now_us, stats);
}

/* ---- what nobody asked for ---- */

df_status server_change_begin(coord_server *server, const coord_rescale_ask *ask, const char *why,
                              df_error *err)
{
    coord_rescale_row row;

    return change_begin(server, ask, why, &row, err);
}

bool server_could_balance(coord_server *server, double *busiest, double *could_be)
{
    coord_rescale_ask ask = { .what = "rebalance" };
    change_plan p = { 0 };
    df_error err;
    bool known = plan_make(&p, server, &ask, 0, &err) == DF_OK;

    *busiest = p.outcome.before;
    *could_be = p.outcome.after;
    plan_free(&p);
    return known;
}
