/* What is done without being asked: rebalancing ([placement] auto) and scaling ([scaling]), by samples of what workers
 * have told and decisions of coord_scale.h; and taking in who comes for one that was lost, in a service. */
#include "coordinator/coord_server_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static df_scaling rules_of(const coord_server *s)
{
    df_scaling rules = s->job.policy->scaling;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (rules.max == 0)
        rules.max = cores > 1 ? (uint32_t)cores : 1;
    return rules;
}

static void begin(coord_server *s, const coord_rescale_ask *ask, const char *why)
{
    df_error err;

    if (server_change_begin(s, ask, why, &err) != DF_OK)
        fprintf(stderr, "weir: %s was decided (%s), and cannot be: %s\n", ask->what, why, err.text);
    else
        fprintf(stderr, "weir: %s: %s\n", ask->what, why);
}

static bool scale(coord_server *s)
{
    df_scaling rules = rules_of(s);
    coord_scale_sample sample;
    coord_scale_decision decision;
    coord_rescale_ask ask = { .what = "rescale" };

    if (!rules.on || !server_scale_sample(s, &sample))
        return false;
    coord_scale_step(&s->change.scale, &rules, &sample, &decision);
    snprintf(s->scale_text, sizeof s->scale_text, "%s", decision.text);
    if (decision.change == 0)
        return false;
    ask.workers = (uint32_t)((int64_t)sample.workers + decision.change);
    begin(s, &ask, decision.text);
    return true;
}

/* The service has sent another one for one that was lost. */
static bool refill(coord_server *s)
{
    coord_rescale_ask ask = { .what = "rescale" };

    if (!s->options.pool || s->job.policy->scaling.on || !server_could_refill(s, &ask.workers))
        return false;
    begin(s, &ask, "as many workers again as the job is to have");
    return true;
}

static void balance(coord_server *s, uint64_t now_us)
{
    coord_rescale_ask ask = { .what = "rebalance" };
    coord_balance_sample sample = { .now_us = now_us };
    char text[192];

    if (!s->job.policy->placement.automatic ||
        !server_could_balance(s, &sample.busiest, &sample.could_be))
        return;
    if (coord_scale_balance(&s->change.balance, &sample, text))
        begin(s, &ask, text);
}

/* A sample each time that workers tell what their units cost, which is about once a second. */
void server_scale_turn(coord_server *server, uint64_t now_us, const proto_coord_stats *stats)
{
    if (now_us < server->change.look_us || !stats->running || stats->paused ||
        stats->end != PROTO_END_NOT)
        return;
    server->change.look_us = now_us + SERVER_SCALE_US;
    if (!refill(server) && !scale(server))
        balance(server, now_us);
}
