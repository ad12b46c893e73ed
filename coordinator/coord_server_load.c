/* What workers have told of their loads and of what their units cost: kept as the newest of each, and made
 * into what placement decides from and `weir workers` shows. */
#include "coordinator/coord_server_private.h"

#include "coordinator/coord_process.h"
#include "coordinator/coord_usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_STALE_SAMPLES 4u       /* that may be missing until a load is too old to be used */
#define LOAD_STALE_US      1000000u /* at least */

/* The job's key groups; each sink has one of its own behind them, which stays where it is. */
static uint32_t unit_count(const coord_server *s)
{
    uint32_t count = s->job.plan->group_count;

    for (uint32_t i = 0; i < s->job.plan->stage_count; i++)
        if (s->job.plan->stages[i].sink)
            count -= s->job.plan->stages[i].group_count;
    return count;
}

/* ---- hearing ---- */

static bool take_units(coord_server *s, uint64_t from, const coord_load *load)
{
    uint32_t count = unit_count(s);

    if (load->unit_count > 0 && load->units[load->unit_count - 1].unit >= count)
        return false;
    if (s->units == NULL)
        s->units = calloc((size_t)count + 1, sizeof *s->units);
    if (s->units == NULL)
        return true; /* without memory the figures are missing */
    for (uint32_t i = 0; i < load->unit_count; i++) {
        const coord_load_unit *u = &load->units[i];

        s->units[u->unit] = (server_unit){ from, server_now_us(), u->cost_ns, u->rows, u->bytes };
    }
    return true;
}

void server_take_load(coord_server *server, const proto_msg *msg)
{
    server_peer *peer = server_peer_find(server, msg->header.sender);
    coord_load load;

    if (peer == NULL || msg->header.job != server->number) {
        server->wire.rejected[peer == NULL ? PROTO_REJECT_sender : PROTO_REJECT_job]++;
        return;
    }
    if (coord_load_decode(&load, msg->load.payload.data, msg->load.payload.size, NULL) != DF_OK) {
        server->wire.rejected[PROTO_REJECT_field]++;
        return;
    }
    if (!load.units_told || take_units(server, peer->id, &load)) {
        peer->load = load;
        peer->load.units = NULL;
        peer->load_us = server_now_us();
        peer->reserved_bytes = 0;
        peer->reserved_load = 0;
    } else {
        server->wire.rejected[PROTO_REJECT_field]++;
    }
    coord_load_fini(&load);
}

/* ---- what placement wants ---- */

uint64_t server_stale_us(const coord_server *s)
{
    double us = 1e6 * s->job.policy->placement.sample_seconds * LOAD_STALE_SAMPLES;

    return us > LOAD_STALE_US ? (uint64_t)us : LOAD_STALE_US;
}

static uint32_t priority_of(const coord_server *s, const char *label)
{
    for (uint32_t i = 0; i < s->job.worker_count; i++)
        if (strcmp(s->job.workers[i].label.text, label) == 0)
            return s->job.workers[i].priority;
    return 0;
}

static void view_worker(const coord_server *s, uint64_t id, const char *label, coord_place_worker *w)
{
    const server_peer *peer = server_peer_find(s, id);

    *w = (coord_place_worker){ .id = id, .label = label, .host = "?", .threads = 1,
                               .priority = priority_of(s, label) };
    if (peer == NULL || peer->load_us == 0)
        return;
    w->host = peer->load.host;
    w->threads = peer->load.threads;
    w->compute_capability = peer->load.compute_capability;
    w->sampled_us = peer->load_us;
    w->free_bytes = peer->load.free_bytes;
    w->load = (double)peer->load.host_load / COORD_LOAD_WHOLE;
    w->reserved_bytes = peer->reserved_bytes;
    w->reserved_load = peer->reserved_load;
}

/* What a member has it keeps, however little memory is left: that says only who may be given more. */
bool server_refuses(const coord_server *server, uint64_t id, bool member, char text[160])
{
    df_placement hints = server->job.policy->placement;
    char label[WEIR_NAME_MAX];
    coord_place_worker w;
    coord_place_input in = { &w, 1, NULL, 0, &hints, server_now_us(), server_stale_us(server), NULL };

    if (server_peer_find(server, id) == NULL)
        return false;
    if (member)
        hints.min_free_bytes = 0;
    server_label(server, id, label);
    view_worker(server, id, label, &w);
    return coord_place_refusal(&in, 0, text);
}

uint32_t server_local_refused(const coord_server *server)
{
    uint32_t count = 0, slot;
    char text[160];

    for (uint32_t i = 0; i < server->peer_count; i++) {
        const server_peer *peer = &server->peers[i];

        count += peer->load_us != 0 && coord_children_has(server->children, peer->id, &slot) &&
                 server_refuses(server, peer->id, proto_coord_has_member(server->coord, peer->id), text);
    }
    return count;
}

uint32_t server_view_place(const server_view *view, uint64_t id)
{
    for (uint32_t i = 0; i < view->input.worker_count; i++)
        if (view->workers[i].id == id)
            return i;
    return COORD_PLACE_NONE;
}

bool server_units_known(const coord_server *s)
{
    uint32_t count = unit_count(s);

    for (uint32_t u = 0; u < count; u++)
        if (s->units == NULL || s->stepped_us == 0 || s->units[u].told_us < s->stepped_us)
            return false;
    return true;
}

/* Who told of a unit is mostly who told of the one before. */
static void view_units(const coord_server *s, server_view *view)
{
    uint64_t from = 0;
    uint32_t place = COORD_PLACE_NONE;

    for (uint32_t u = 0; u < view->input.unit_count; u++) {
        const server_unit none = { 0 }, *unit = s->units == NULL ? &none : &s->units[u];

        if (unit->from != from) {
            from = unit->from;
            place = server_view_place(view, from);
        }
        view->units[u] = (coord_place_unit){ place, unit->rows, unit->bytes, unit->cost_ns };
    }
}

bool server_view_make(coord_server *s, server_view *view)
{
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);
    uint32_t units = unit_count(s);

    *view = (server_view){
        .workers = calloc(count + 1, sizeof *view->workers),
        .labels = calloc(count + 1, sizeof *view->labels),
        .units = calloc(units + 1, sizeof *view->units),
    };
    if (count == 0 || view->workers == NULL || view->labels == NULL || view->units == NULL) {
        server_view_free(view);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        server_label(s, s->workers[i].id, view->labels[i]);
        view_worker(s, s->workers[i].id, view->labels[i], &view->workers[i]);
    }
    view->input = (coord_place_input){ view->workers, count, view->units, units,
                                       &s->job.policy->placement, server_now_us(), server_stale_us(s),
                                       s->job.plan->faces };
    view->known = count;
    view_units(s, view);
    return true;
}

/* A local worker that has told its load; null: none has. */
static const server_peer *local_peer(const coord_server *s)
{
    uint32_t slot;

    for (uint32_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].load_us != 0 && coord_children_has(s->children, s->peers[i].id, &slot))
            return &s->peers[i];
    return NULL;
}

/* What hints would see of one that is started now: this machine's memory, the label of its place, the others' device. */
static coord_place_worker view_new(const coord_server *s, uint32_t nth, uint32_t threads, char label[WEIR_NAME_MAX])
{
    const server_peer *local = local_peer(s);
    coord_usage nothing = { 0 };
    coord_load load = { 0 };

    server_place_label(s, coord_children_next(s->children, nth) + 1, label);
    coord_usage_take(&nothing, 1, &load);
    return (coord_place_worker){ .id = UINT64_MAX - nth, .label = label, .host = "?",
                                 .threads = local == NULL ? threads : local->load.threads,
                                 .priority = priority_of(s, label), .sampled_us = server_now_us(),
                                 .compute_capability = local == NULL ? 0 : local->load.compute_capability,
                                 .free_bytes = load.free_bytes };
}

bool server_view_extend(const coord_server *s, server_view *view, uint32_t more)
{
    uint32_t count = view->input.worker_count;
    coord_place_worker *workers;

    if (more == 0)
        return true;
    view->more = calloc(more, sizeof *view->more);
    if (view->more == NULL)
        return false;
    workers = realloc(view->workers, (count + more) * sizeof *workers);
    if (workers == NULL)
        return false;
    for (uint32_t i = 0; i < more; i++)
        workers[count + i] = view_new(s, i, workers[0].threads, view->more[i]);
    view->workers = workers;
    view->input.workers = workers;
    view->input.worker_count = count + more;
    return true;
}

void server_view_free(server_view *view)
{
    free(view->workers);
    free(view->labels);
    free(view->more);
    free(view->units);
    *view = (server_view){ 0 };
}

void server_view_reserve(coord_server *s, server_view *view, const uint32_t *after)
{
    coord_place_reserve(view->workers, &view->input, after);
    for (uint32_t i = 0; i < view->known; i++) {
        server_peer *peer = server_peer_find(s, view->workers[i].id);

        if (peer == NULL)
            continue;
        peer->reserved_bytes = view->workers[i].reserved_bytes;
        peer->reserved_load = view->workers[i].reserved_load;
    }
}

/* ---- what people want ---- */

static void row_of(const coord_server *s, const server_view *view, uint32_t i, coord_workers_row *row)
{
    const proto_coord_worker *w = &s->workers[i];
    const server_peer *peer = server_peer_find(s, w->id);
    const coord_load *load = peer == NULL ? NULL : &peer->load;

    *row = (coord_workers_row){ .id = w->id, .pid = coord_process_pid(w->process), .member = w->member,
                                .key_groups = w->groups, .units_age_us = UINT64_MAX,
                                .priority = view->workers[i].priority };
    memcpy(row->label, view->labels[i], sizeof row->label);
    if (!coord_place_refusal(&view->input, i, row->refused))
        row->refused[0] = '\0';
    if (load == NULL || peer->load_us == 0)
        return;
    row->told = true;
    memcpy(row->host, load->host, sizeof row->host);
    memcpy(row->backend, load->backend, sizeof row->backend);
    row->threads = load->threads;
    row->compute_capability = load->compute_capability;
    row->busy = (double)load->busy / COORD_LOAD_WHOLE;
    row->host_load = (double)load->host_load / COORD_LOAD_WHOLE;
    row->free_bytes = load->free_bytes;
    row->total_bytes = load->total_bytes;
    row->process_bytes = load->process_bytes;
    row->age_us = view->input.now_us - peer->load_us;
}

coord_metrics_group *server_groups(const coord_server *s, uint32_t *count)
{
    coord_metrics_group *groups;

    *count = unit_count(s);
    groups = calloc((size_t)*count + 1, sizeof *groups);
    for (uint32_t u = 0; groups != NULL && s->units != NULL && u < *count; u++)
        groups[u] = (coord_metrics_group){ s->units[u].from, s->units[u].cost_ns, s->units[u].rows,
                                           s->units[u].bytes };
    return groups;
}

uint32_t server_workers(coord_server *s, coord_workers_row *rows)
{
    server_view view;
    uint32_t count;

    if (!server_view_make(s, &view))
        return 0;
    count = view.input.worker_count;
    for (uint32_t i = 0; i < count; i++)
        row_of(s, &view, i, &rows[i]);
    for (uint32_t u = 0; u < view.input.unit_count; u++) {
        const coord_place_unit *unit = &view.units[u];
        uint64_t age;

        if (unit->owner == COORD_PLACE_NONE)
            continue;
        age = view.input.now_us - s->units[u].told_us;
        rows[unit->owner].rows += unit->rows;
        rows[unit->owner].bytes += unit->bytes;
        rows[unit->owner].cost_ns += unit->cost_ns;
        if (age < rows[unit->owner].units_age_us)
            rows[unit->owner].units_age_us = age;
    }
    server_view_free(&view);
    return count;
}

/* Spare workers stay spare, and nobody is moved whose owner has not told of it. */
static void view_members(const coord_server *s, server_view *view)
{
    for (uint32_t i = 0; i < view->input.worker_count; i++)
        view->workers[i].leaving = !s->workers[i].member;
}

static bool view_is_whole(const server_view *view)
{
    for (uint32_t u = 0; u < view->input.unit_count; u++)
        if (view->units[u].owner == COORD_PLACE_NONE || view->workers[view->units[u].owner].leaving)
            return false;
    return true;
}

void server_balance_text(coord_server *s, char text[256])
{
    coord_place_outcome outcome;
    server_view view;
    uint32_t *after;

    text[0] = '\0';
    if (!server_view_make(s, &view))
        return;
    view_members(s, &view);
    after = calloc((size_t)view.input.unit_count + 1, sizeof *after);
    if (after != NULL && view_is_whole(&view) &&
        coord_place_balance(&view.input, after, &outcome, NULL) == DF_OK)
        memcpy(text, outcome.text, sizeof outcome.text);
    free(after);
    server_view_free(&view);
}

bool server_scale_sample(coord_server *s, coord_scale_sample *sample)
{
    uint32_t count = proto_coord_workers_get(s->coord, s->workers, PROTO_WORKERS_MAX);

    *sample = (coord_scale_sample){ .now_us = server_now_us() };
    for (uint32_t i = 0; i < count; i++) {
        const server_peer *peer = server_peer_find(s, s->workers[i].id);

        if (!s->workers[i].member || s->workers[i].leaving)
            continue;
        sample->workers++;
        if (peer == NULL || peer->load_us == 0 || sample->now_us - peer->load_us > server_stale_us(s))
            continue;
        sample->fresh++;
        sample->utilisation += (double)peer->load.busy / COORD_LOAD_WHOLE;
    }
    if (sample->fresh > 0)
        sample->utilisation /= sample->fresh;
    return sample->workers > 0;
}
