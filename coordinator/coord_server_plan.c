/* What a change of workers or owners comes to: who comes, who goes, what moves in which waves (coord_place.h). */
#include "coordinator/coord_server_private.h"

#include <stdlib.h>
#include <string.h>

bool server_ask_is(const coord_rescale_ask *ask, const char *what)
{
    return strcmp(ask->what, what) == 0;
}

void server_plan_free(server_plan *plan)
{
    server_view_free(&plan->view);
    free(plan->owners);
    free(plan->after);
    free(plan->steps);
    free(plan->admit);
    free(plan->dismiss);
    free(plan->moves);
    *plan = (server_plan){ 0 };
}

/* `more`: workers that are not there yet, and are shown as idle ones. */
static df_status plan_open(server_plan *p, coord_server *s, uint32_t more, df_error *err)
{
    uint32_t groups = s->job.plan->group_count;

    *p = (server_plan){ 0 };
    if (!server_view_make(s, &p->view))
        return df_fail(err, DF_EIO, "no worker is known");
    if (!server_view_extend(s, &p->view, more))
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

static bool is_member(const coord_server *s, const server_plan *p, uint32_t place)
{
    return place < p->view.known && s->workers[place].member && !s->workers[place].leaving;
}

/* Who runs the sinks, or gathers the fingerprints of a job that has none, does so as long as it is there. */
static uint32_t sinks_place(const coord_server *s, const server_plan *p)
{
    proto_coord_stats stats;

    proto_coord_stats_get(s->coord, &stats);
    return server_view_place(&p->view, stats.gatherer);
}

static bool has_sinks(const coord_server *s, const server_plan *p)
{
    return s->job.plan->group_count > p->view.input.unit_count;
}

static uint32_t place_named(const server_plan *p, const char *label)
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
static df_status choose(coord_server *s, server_plan *p, uint32_t count, df_error *err)
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
static void choose_members(const coord_server *s, server_plan *p, uint32_t but)
{
    for (uint32_t i = 0; i < p->view.input.worker_count; i++)
        p->view.workers[i].leaving = i == but || !is_member(s, p, i);
}

static df_status plan_drain(coord_server *s, server_plan *p, const coord_rescale_ask *ask, df_error *err)
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

static df_status plan_move(coord_server *s, server_plan *p, const coord_rescale_ask *ask, df_error *err)
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
static df_status plan_steps(coord_server *s, server_plan *p, const coord_rescale_ask *ask, df_error *err)
{
    const coord_place_input *in = &p->view.input;
    bool sizes = server_ask_is(ask, "rescale") || server_ask_is(ask, "drain-worker");
    uint64_t budget = coord_place_budget(in->units, in->unit_count, ask->budget);
    df_status status;

    p->step_count = coord_place_steps(in, p->after, p->steps);
    status = coord_place_waves(p->steps, p->step_count, budget, &p->waves, err);
    for (uint32_t i = 0; i < in->worker_count; i++) {
        bool member = is_member(s, p, i), gains = false;

        for (uint32_t k = 0; k < p->step_count && !gains; k++)
            gains = p->steps[k].to == i;
        if (!member && (gains || (server_ask_is(ask, "rescale") && !in->workers[i].leaving)))
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

df_status server_plan_make(server_plan *plan, coord_server *server, const coord_rescale_ask *ask, uint32_t more,
                           df_error *err)
{
    df_status status = plan_open(plan, server, more, err);

    if (status == DF_OK && server_ask_is(ask, "rescale")) {
        status = choose(server, plan, ask->workers, err);
        if (status == DF_OK)
            status = coord_place_fit(&plan->view.input, plan->after, &plan->outcome, err);
    } else if (status == DF_OK && server_ask_is(ask, "rebalance")) {
        choose_members(server, plan, COORD_PLACE_NONE);
        status = coord_place_balance(&plan->view.input, plan->after, &plan->outcome, err);
    } else if (status == DF_OK && server_ask_is(ask, "drain-worker")) {
        status = plan_drain(server, plan, ask, err);
    } else if (status == DF_OK) {
        status = plan_move(server, plan, ask, err);
    }
    return status == DF_OK ? plan_steps(server, plan, ask, err) : status;
}
