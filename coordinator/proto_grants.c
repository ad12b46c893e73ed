/* Grants: the coordinator's one lever on time. The bound is exclusive: steps below it may start. */
#include "coordinator/proto_coord_private.h"

/* The lowest step that some member has not finished. */
uint64_t coord_low(const proto_coord *c)
{
    uint64_t low = UINT64_MAX;

    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && coord_counts(c, i) && w->done < low)
            low = w->done;
    }
    return low == UINT64_MAX ? c->base_step : low;
}

/* Rule 21: a sink shows a step when it is computed everywhere, so that what is shown before an error
 * does not depend on timing. */
static void complete_advance(proto_coord *c)
{
    uint64_t complete = UINT64_MAX;

    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w != NULL && coord_counts(c, i) && w->worked < complete)
            complete = w->worked;
    }
    if (complete != UINT64_MAX && complete > c->complete)
        c->complete = complete;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A final barrier is passed by one, so that it is captured; nothing runs behind it. */
static uint64_t grant_end(const proto_coord *c)
{
    const coord_attempt *a = &c->attempt;

    return c->final_step +
           (a->index != 0 && a->final && (a->index <= c->order_synced || MUTANT(c, sendfirst)));
}

/* How far everything but the pace lets the bound go. */
static uint64_t grant_room(const proto_coord *c)
{
    uint64_t room = coord_low(c) + c->config.window;

    room = least(room, grant_end(c));
    room = least(room, coord_orders_hold(c));
    if (!MUTANT(c, noceiling))
        room = least(room, c->ceiling_synced);
    return c->paused ? least(room, c->bound) : room;
}

/* ---- the pace ---- */

/* It is kept from the first step of a generation on, which takes as long as it takes, and anew from where a pause
 * began and ended. What is late then is made up for. */
static void pace_begin(proto_coord *c)
{
    if (c->pace_begun || coord_low(c) <= c->base_step)
        return;
    c->pace_begun = true;
    coord_pace_anew(c);
}

void coord_pace_anew(proto_coord *c)
{
    c->pace_since_us = c->now_us;
    c->pace_base = c->pace_low = c->bound;
}

static uint64_t pace_bound(const proto_coord *c)
{
    double steps = (double)(c->now_us - c->pace_since_us) * c->config.steps_per_second / 1e6;

    return c->pace_begun ? c->pace_base + 1 + (uint64_t)steps : c->base_step + 1;
}

/* Since the pace began, until it lets the bound be above this one; rounded up. */
static uint64_t pace_us(const proto_coord *c, uint64_t bound)
{
    return 1 + (uint64_t)((double)(bound - c->pace_base) * 1e6 / c->config.steps_per_second);
}

uint64_t coord_grant_due(const proto_coord *c)
{
    if (c->phase != COORD_RUNNING || c->config.steps_per_second <= 0 || !c->pace_begun ||
        grant_room(c) <= c->bound)
        return UINT64_MAX;
    return c->pace_since_us + pace_us(c, c->bound);
}

/* A step is late if it is not done everywhere when the pace lets the next one begin. Of several that are seen to be
 * done together the first took the longest. */
static void pace_watch(proto_coord *c)
{
    uint64_t low = coord_low(c), late = least(low, pace_bound(c) - 1);

    if (!c->pace_begun || low <= c->pace_low)
        return;
    c->stats.late_steps += late > c->pace_low ? late - c->pace_low : 0;
    c->stats.step_us = c->now_us - c->pace_since_us - pace_us(c, c->pace_low);
    c->pace_low = low;
}

static uint64_t grant_target(proto_coord *c)
{
    uint64_t room = grant_room(c);

    if (c->config.steps_per_second <= 0)
        return room;
    pace_begin(c);
    pace_watch(c);
    return least(room, pace_bound(c));
}

/* ---- */

/* About a second of steps, whatever a step takes: a floor far ahead would keep inputs waiting. */
static void ceiling_adapt(proto_coord *c)
{
    uint64_t lasted_us = c->now_us - c->ceiling_us;

    if (lasted_us < 500000 && 2 * c->ceiling_span <= c->config.ceiling_span_max)
        c->ceiling_span *= 2;
    else if (lasted_us > 2000000 && c->ceiling_span / 2 >= c->config.ceiling_span)
        c->ceiling_span /= 2;
    c->ceiling_us = c->now_us;
}

/* The ceiling is asked for in time: half a span before the bound meets it. */
static void ceiling_advance(proto_coord *c)
{
    proto_record record = { .kind = PROTO_RECORD_CEILING };

    if (c->ceiling_at != 0 && c->ceiling_at <= c->synced)
        c->ceiling_synced = c->ceiling;
    if (c->ceiling != c->ceiling_synced || c->bound + c->ceiling_span / 2 < c->ceiling ||
        MUTANT(c, noceiling))
        return;
    ceiling_adapt(c);
    c->ceiling = record.number = c->bound + c->ceiling_span + 1;
    c->ceiling_at = coord_append(c, &record);
}

static void grant_send(proto_coord *c, coord_worker *w)
{
    proto_msg msg = { .grant = { .bound = c->bound, .history = coord_orders_sendable(c),
                                 .complete = c->complete } };

    w->sent_bound = c->bound;
    w->sent_complete = c->complete;
    coord_send(c, w->id, &msg, PROTO_TYPE_grant);
}

void coord_grants_advance(proto_coord *c)
{
    uint64_t target;

    if (c->phase != COORD_RUNNING)
        return;
    complete_advance(c);
    ceiling_advance(c);
    target = grant_target(c);
    if (target > c->bound)
        c->bound = target;
    for (uint32_t i = 0; i < c->member_count; i++) {
        coord_worker *w = coord_member(c, i);

        if (w == NULL || (c->since[i] != 0 && !w->installed))
            continue;
        if (w->sent_bound < c->bound ||
            (w->sent_complete < c->complete && w->host == c->config.sink_host))
            grant_send(c, w);
    }
}

/* What was lost is said again. */
void coord_grants_tick(proto_coord *c)
{
    for (uint32_t i = 0; c->phase == COORD_RUNNING && i < c->member_count; i++) {
        coord_worker *w = coord_member(c, i);

        if (w == NULL || (c->since[i] != 0 && !w->installed))
            continue;
        if (w->applied < coord_orders_sendable(c))
            w->sent_order = w->applied;
        if (w->bound < c->bound || w->done < w->worked)
            w->sent_bound = 0;
    }
}

/* The member that is farthest behind; null: all have done what is granted. */
static const coord_worker *member_behind(proto_coord *c)
{
    uint64_t end = least(c->bound, c->final_step);
    const coord_worker *behind = NULL;

    for (uint32_t i = 0; i < c->member_count; i++) {
        const coord_worker *w = coord_member(c, i);

        if (w == NULL || !coord_counts(c, i))
            continue;
        if (w->done < end && (behind == NULL || w->worked < behind->worked))
            behind = w;
    }
    return behind;
}

void coord_stall_tick(proto_coord *c)
{
    const coord_worker *behind = c->phase == COORD_RUNNING ? member_behind(c) : NULL;

    if (behind == NULL)
        c->moved_us = c->now_us;
    if (c->config.stall_us == 0 || c->now_us - c->moved_us < c->config.stall_us)
        return;
    c->stats.stalls++;
    c->stats.missing = behind->id;
    c->moved_us = c->now_us;
    coord_fence(c);
}
