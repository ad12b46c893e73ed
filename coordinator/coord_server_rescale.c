/* Changes of a running job's workers and owners: asked for, planned (coord_place.h), carried out by the state
 * machine, watched, and noted in the state folder's `rescales`.
 *
 * One at a time. A change to more workers than there are first starts local ones, or has a service send them
 * (coord_server_wanted), and waits for them; what is moved then is decided with what they have told. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_json_cluster.h"
#include "coordinator/coord_times.h"
#include "dataflow/df_failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the history of them ---- */

static void row_of_plan(coord_rescale_row *row, const server_plan *p)
{
    row->to = p->to;
    row->key_groups = p->step_count;
    row->waves = p->waves;
    row->bytes = p->bytes;
    if (row->why[0] == '\0')
        snprintf(row->why, sizeof row->why, "%s", p->outcome.text);
}

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void rows_write(const coord_server *s)
{
    char *text = coord_json_rescales(NULL, s->rescales, s->rescale_count);
    df_error err = { .text = "out of memory" };

    if (text == NULL || coord_state_write(s->options.state, COORD_RESCALES_FILE, text, strlen(text), &err) != DF_OK)
        fprintf(stderr, "weir: %s/" COORD_RESCALES_FILE " cannot be written: %s\n", s->options.state, err.text);
    free(text);
}

void server_rescales_read(coord_server *s)
{
    coord_rescale_row running;
    char *text = NULL;
    df_error err;

    if (coord_rescales_kept(&text, s->options.state, &err) != DF_OK ||
        !coord_json_rescales_read(&running, s->rescales, COORD_RESCALES_KEPT, &s->rescale_count, text, strlen(text),
                                  &err))
        fprintf(stderr, "weir: %s/" COORD_RESCALES_FILE ": %s\n", s->options.state, err.text);
    free(text);
}

static void rows_put(coord_server *s, const coord_rescale_row *row)
{
    if (s->rescale_count == COORD_RESCALES_KEPT)
        memmove(s->rescales, s->rescales + 1, --s->rescale_count * sizeof *s->rescales);
    s->rescales[s->rescale_count++] = *row;
    rows_write(s);
}

/* ---- what steps take meanwhile ---- */

static void steps_from(server_change *c, const proto_coord_stats *stats)
{
    c->low = stats->low;
    c->low_us = server_now_us();
    c->late_steps = stats->late_steps;
}

/* As far as the coordinator sees them. */
static void steps_watch(coord_server *s, uint64_t now_us, const proto_coord_stats *stats)
{
    server_change *c = &s->change;
    uint64_t low = stats->low;
    double steps = low > c->low ? (double)(low - c->low) : 1;
    double ms = 1e-3 * (s->job.pace > 0 ? (double)stats->step_us : (double)(now_us - c->low_us) / steps);

    c->row.late_steps = stats->late_steps - c->late_steps;
    if (ms > c->row.longest_ms && (s->job.pace <= 0 || low > c->low))
        c->row.longest_ms = ms;
    if (low <= c->low)
        return;
    c->low = low;
    c->low_us = now_us;
}

/* ---- how many there are to be ---- */

/* Without the change that runs. */
static uint32_t size_settled(const coord_server *s)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    return stats.rescale.size > 0 ? stats.rescale.size : s->options.expect;
}

uint32_t coord_server_wanted(const coord_server *server)
{
    const coord_rescale_row *row = &server->change.row;
    uint32_t settled = size_settled(server);

    return row->what[0] != '\0' && row->to > settled ? row->to : settled;
}

/* ---- carrying out ---- */

/* Who is there. Spare ones count once they have told their load: then it is known whether hints refuse them. */
typedef struct server_crowd {
    uint32_t members, spare, refused;
} server_crowd;

static server_crowd crowd_count(const coord_server *s)
{
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);
    server_crowd crowd = { 0 };
    char why[160];

    for (uint32_t i = 0; i < count; i++) {
        const proto_coord_worker *w = &s->workers[i];
        const server_peer *peer = server_peer_find(s, w->id);

        if (w->leaving)
            continue;
        if (w->member)
            crowd.members++;
        else if (peer != NULL && peer->here && peer->load_us != 0 && server_refuses(s, w->id, false, why))
            crowd.refused++;
        else if (peer != NULL && peer->here && peer->load_us != 0)
            crowd.spare++;
    }
    return crowd;
}

/* Spare ones beyond what is wanted go back to the service. */
static void spare_release(coord_server *s, uint32_t count)
{
    uint32_t there = 0, wanted = size_settled(s);

    for (uint32_t i = 0; i < count; i++)
        there += s->workers[i].here && !s->workers[i].leaving;
    for (uint32_t i = 0; i < count && there > wanted; i++)
        if (!s->workers[i].member && s->workers[i].here && !s->workers[i].leaving) {
            proto_coord_release(s->coord, s->workers[i].id);
            there--;
        }
}

/* It has come to nothing: who was to leave stays, and who came for it and is not needed, leaves. */
static void change_undo(coord_server *s)
{
    const server_change *c = &s->change;
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX), slot;

    if (s->options.pool)
        spare_release(s, count);
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

    if (strcmp(end, "done") != 0) {
        change_undo(s);
        c->look_us = server_now_us() + SERVER_AGAIN_US;
    }
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
static df_status change_start(coord_server *s, server_plan *p, df_error *err)
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
    for (uint32_t i = 0; i < p->dismiss_count; i++)
        change_leaves(s, p->dismiss[i]);
    server_view_reserve(s, &p->view, p->after);
    return DF_OK;
}

/* What a change that has not begun waits for. */
static void change_phase(coord_server *s)
{
    server_change *c = &s->change;
    server_crowd crowd = crowd_count(s);
    uint32_t there = crowd.members + crowd.spare;

    if (server_ask_is(&c->ask, "rescale") && there < c->ask.workers)
        snprintf(c->row.phase, sizeof c->row.phase, "waiting for %u worker%s%s", c->ask.workers - there,
                 c->ask.workers - there == 1 ? "" : "s", s->options.pool ? " of the service's pool" : "");
    else
        snprintf(c->row.phase, sizeof c->row.phase, "waiting to hear what key groups hold");
}

static df_status change_plan_and_start(coord_server *s, df_error *err)
{
    server_plan p;
    df_status status = server_plan_make(&p, s, &s->change.ask, 0, err);

    if (status == DF_OK)
        status = change_start(s, &p, err);
    server_plan_free(&p);
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

/* If some are there and refused, the plan says why of each. */
static df_status fail_missing(coord_server *s, uint32_t missing, uint32_t refused, df_error *err)
{
    server_plan p;
    df_status status = DF_OK;

    if (refused > 0) {
        status = server_plan_make(&p, s, &s->change.ask, 0, err);
        server_plan_free(&p);
    }
    return status != DF_OK ? status
                           : df_fail(err, DF_EINVAL, "%u worker%s missing, and this coordinator starts none: weir "
                                     "worker --join", missing, missing == 1 ? " is" : "s are");
}

/* How many workers are missing for it; those that this machine can start are. */
static df_status change_workers(coord_server *s, const server_crowd *crowd, df_error *err)
{
    server_change *c = &s->change;
    uint32_t wanted = c->ask.workers, there = crowd->members + crowd->spare, missing, more, slot;

    if (!server_ask_is(&c->ask, "rescale") || wanted <= there) {
        if (server_units_known(s))
            return change_plan_and_start(s, err);
        return change_await(s);
    }
    missing = wanted - there;
    c->refused = crowd->refused;
    if (s->options.pool)
        return change_await(s);
    if (s->options.workers == 0)
        return fail_missing(s, missing, crowd->refused, err);
    c->given_up = coord_children_given_up(s->children, &slot);
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
    if (!server_ask_is(ask, "rescale") && !server_ask_is(ask, "rebalance") && !server_ask_is(ask, "drain-worker") && !server_ask_is(ask, "move"))
        return df_fail(err, DF_EINVAL, "the request is not known");
    if (server_ask_is(ask, "rescale") && (ask->workers == 0 || ask->workers > PROTO_MEMBERS_MAX))
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
    server_crowd crowd = crowd_count(s);
    df_status status = ask_check(s, ask, err);
    proto_coord_stats stats;

    if (status != DF_OK)
        return status;
    proto_coord_stats_get(s->coord, &stats);
    steps_from(c, &stats);
    c->ask = *ask;
    c->begun_us = server_now_us();
    c->row = (coord_rescale_row){ .begun_ms = wall_ms(), .from = crowd.members, .to = ask->workers };
    snprintf(c->row.what, sizeof c->row.what, "%s", ask->what);
    snprintf(c->row.why, sizeof c->row.why, "%s", why);
    status = change_workers(s, &crowd, err);
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
    server_crowd crowd = crowd_count(s);
    uint32_t there = crowd.members + crowd.spare;
    uint32_t more = server_ask_is(ask, "rescale") && ask->workers > there ? ask->workers - there : 0;
    server_plan p = { 0 };
    df_status status = ask_check(s, ask, err);

    *row = (coord_rescale_row){ .begun_ms = wall_ms(), .from = crowd.members };
    snprintf(row->what, sizeof row->what, "%s", ask->what);
    if (status == DF_OK && !server_units_known(s))
        status = df_fail(err, DF_EIO, "workers have not yet told what key groups hold: they do each second");
    if (status == DF_OK)
        status = server_plan_make(&p, s, ask, more, err);
    if (status == DF_OK)
        row_of_plan(row, &p);
    server_plan_free(&p);
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
    if (server_ask_is(&ask, "abort"))
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

/* One that was started for it came to nothing, again and again. */
static df_status fail_given_up(const coord_server *s, df_error *err)
{
    char said[COORD_CHILDREN_SAID];
    uint32_t slot = 0;

    if (coord_children_given_up(s->children, &slot) <= s->change.given_up)
        return DF_OK;
    coord_children_said(s->children, slot, said);
    return df_fail(err, DF_EIO, "a worker cannot be started; worker-%u.log says why%s%s", slot + 1,
                   said[0] == '\0' ? "" : ": ", said);
}

static void watch_starting(coord_server *s, uint64_t now_us)
{
    server_crowd crowd = crowd_count(s);
    uint32_t there = crowd.members + crowd.spare, wanted = s->change.ask.workers;
    bool come = !server_ask_is(&s->change.ask, "rescale") || there >= wanted;
    df_error err = { 0 };
    df_status status = DF_OK;

    change_phase(s);
    if (!come && there + crowd.refused >= wanted + s->change.refused)
        status = fail_missing(s, wanted - there, crowd.refused, &err); /* nobody else is to come */
    else if (come && server_units_known(s))
        status = change_plan_and_start(s, &err);
    else if (!come && now_us < s->change.until_us)
        status = fail_given_up(s, &err);
    else if (now_us >= s->change.until_us && come)
        status = df_fail(&err, DF_EIO, "workers do not tell what their key groups hold");
    else if (now_us >= s->change.until_us && s->options.pool)
        status = df_fail(&err, DF_EIO, "%u of %u workers have come: the service has no more that are free", there, wanted);
    else if (now_us >= s->change.until_us)
        status = df_fail(&err, DF_EIO, "%u of %u workers have come; %s/worker-N.log says why", there, wanted,
                         s->options.state);
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
static void watch_found(coord_server *s, const proto_coord_stats *stats)
{
    const proto_rescale_stats *r = &stats->rescale;
    server_change *c = &s->change;

    c->started = r->admit;
    watch_vacated(s, true);
    steps_from(c, stats);
    c->begun_us = server_now_us() - r->since_us;
    c->row = (coord_rescale_row){ .id = r->id, .begun_ms = wall_ms() - r->since_us / 1000,
                                  .from = stats->members, .to = stats->members + r->admit - r->dismiss };
    snprintf(c->row.what, sizeof c->row.what, "rescale");
    snprintf(c->row.why, sizeof c->row.why, "begun before the coordinator was started again");
}

/* Why it is not done comes first. */
static void watch_lost(coord_server *s, const proto_coord_stats *stats)
{
    coord_rescale_row *row = &s->change.row;
    char label[WEIR_NAME_MAX], why[sizeof row->why];

    if (stats->rescale.last_lost == 0)
        return;
    server_lost_label(s, stats->rescale.last_lost, label);
    memcpy(why, row->why, sizeof why);
    snprintf(row->why, sizeof row->why, "worker %s was lost%s%.160s", label, why[0] == '\0' ? "" : "; ", why);
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
    } else {
        row->key_groups_done = r->last_end == PROTO_RESCALE_DONE ? row->key_groups : row->key_groups_done;
        row->waves_done = r->last_end == PROTO_RESCALE_DONE ? row->waves : row->waves_done;
        watch_lost(s, stats);
        change_end(s, end_text(r->last_end));
    }
}

void server_rescale_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats)
{
    server_change *c = &server->change;

    if (c->row.what[0] != '\0')
        steps_watch(server, now_us, stats);
    if (c->starting)
        watch_starting(server, now_us);
    else if (c->row.id != 0)
        watch_running(server, now_us, stats);
    else if (stats->rescale.id != 0)
        watch_found(server, stats);
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

bool server_could_refill(const coord_server *server, uint32_t *workers)
{
    server_crowd crowd = crowd_count(server);
    uint32_t wanted = size_settled(server), there = crowd.members + crowd.spare;

    *workers = there < wanted ? there : wanted;
    return *workers > crowd.members;
}

bool server_could_balance(coord_server *server, double *busiest, double *could_be)
{
    coord_rescale_ask ask = { .what = "rebalance" };
    server_plan p = { 0 };
    df_error err;
    bool known = server_plan_make(&p, server, &ask, 0, &err) == DF_OK;

    *busiest = p.outcome.before;
    *could_be = p.outcome.after;
    server_plan_free(&p);
    return known;
}
