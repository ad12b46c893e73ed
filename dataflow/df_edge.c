/* What leaves a task and comes to it: an edge's payloads, who reads them, and when they are dropped. */
#include "dataflow/df_task_private.h"

/* The partial rows of one key group, for an aggregate that is `edge`'s reader. Null: failed. */
static df_batch *combine(graph_thread *t, const df_edge *e, uint32_t key_group, uint32_t slot,
                         df_batch *batch)
{
    const df_vertex *v = &t->graph->plan->vertices[e->vertex];
    const weir_batch *list[1] = { &batch->view };
    task_frame f;
    bool ok;

    task_start(&f, t, e->vertex, key_group, slot);
    f.combining = true;
    f.task.input_count = 1;
    f.inputs[0] = (weir_input){ .exchange = WEIR_FORWARD, .batch_count = 1, .batches = list };
    ok = v->kind->combine(&f.task) == WEIR_OK && !f.failed && task_complete_outputs(&f, 1);
    if (!ok) {
        task_fail_finally(&f, 1);
        task_drop_outputs(&f);
    }
    return f.outputs[0];
}

/* Whether partial rows that are not routed are all this key group's own, as the plan has proved. */
static bool check_partial(df_graph *g, const df_edge *e, uint32_t slot, const df_batch *partial)
{
    const df_vertex *v = &g->plan->vertices[e->vertex];
    const weir_batch *rows = &partial->view;
    uint32_t stranger;

    if (v->ports[e->port].exchange != WEIR_KEY_BY)
        return true;
    stranger = graph_find_stranger(&v->partition, rows->key_group, rows->keys, rows->row_count);
    if (stranger < rows->row_count)
        graph_fail(g, g->ticks[slot].tick, e->vertex, rows->key_group, WEIR_NO_ROW, DF_EINVAL,
                   GRAPH_NOT_AT_HOME, (unsigned long long)rows->keys[stranger]);
    return stranger == rows->row_count;
}

/* What travels to an aggregate with partial rows. */
static df_batch *make_partial(graph_thread *t, const df_edge *e, uint32_t key_group, uint32_t slot,
                              df_batch *batch)
{
    df_batch *partial = combine(t, e, key_group, slot, batch), *payload = partial;

    if (partial != NULL && e->routed)
        payload = graph_route(t, e, slot, partial);
    else if (partial != NULL && !check_partial(t->graph, e, slot, partial))
        payload = NULL;
    if (payload != partial)
        df_batch_unref(t->memory, partial);
    return payload;
}

/* Own key groups only: nobody here would clear those of others, and they may become own ones. */
static void set_masks(df_graph *g, uint32_t edge, uint32_t slot, uint32_t from,
                      const df_batch *payload)
{
    graph_edge *ge = &g->edges[edge];
    const uint8_t *own = g->ticks[slot].owners->stages[g->plan->edges[edge].to].own;

    for (uint32_t to = 0; to < ge->to_groups && ge->mask_words > 0; to++)
        if (own[to] && payload->offsets[to] != payload->offsets[to + 1])
            atomic_fetch_or_explicit(
                &ge->masks[((size_t)slot * ge->to_groups + to) * ge->mask_words + from / 64],
                1ull << (from % 64), memory_order_relaxed);
}

void graph_put(df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot, df_batch *payload)
{
    graph_slot *to = graph_slot_at(g, edge, slot, key_group);
    const df_edge *e = &g->plan->edges[edge];

    if (payload == NULL)
        atomic_fetch_add_explicit(&g->edges[edge].ticks[slot].failed, 1, memory_order_relaxed);
    else if (e->routed)
        set_masks(g, edge, slot, key_group, payload);
    to->batch = payload;
    if (e->fan == DF_FAN_NEIGHBOURS)
        atomic_store_explicit(&to->readers, graph_own_readers(g, g->ticks[slot].owners, edge, key_group),
                              memory_order_relaxed);
}

/* What travels of a stream's batch on an edge; null: failed. */
static df_batch *payload_of(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const df_edge *e = &t->graph->plan->edges[edge];
    const df_vertex *reader = &t->graph->plan->vertices[e->vertex];
    df_batch *batch = t->local[e->stream], *payload = batch;

    if (batch != NULL && reader->partial != NULL && e->port == 0)
        payload = make_partial(t, e, key_group, slot, batch);
    else if (batch != NULL)
        payload = e->routed && !graph_edge_rests(t->graph, edge, slot) ? graph_route(t, e, slot, batch)
                                                                        : df_batch_ref(batch);
    return payload;
}

/* Whether any of a part's own key groups reads it: mostly the same key group does, on an edge to its neighbours. */
static bool read_here(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const df_edge *e = &g->plan->edges[edge];

    return !g->parted ||
           (e->fan == DF_FAN_NEIGHBOURS && g->ticks[slot].owners->stages[e->to].own[key_group]) ||
           graph_own_readers(g, g->ticks[slot].owners, edge, key_group) > 0;
}

/* Takes the payload. */
static void put_here(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot,
                     df_batch *payload)
{
    if (read_here(t->graph, edge, key_group, slot))
        graph_put(t->graph, edge, key_group, slot, payload);
    else
        df_batch_unref(t->memory, payload);
}

void graph_publish(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    df_batch *payload = payload_of(t, edge, key_group, slot);

    if (t->graph->parted)
        graph_send(t, edge, key_group, slot, payload);
    put_here(t, edge, key_group, slot, payload);
}

void graph_publish_here(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    put_here(t, edge, key_group, slot, payload_of(t, edge, key_group, slot));
}

static void drop_slot(graph_thread *t, graph_slot *slot)
{
    df_batch_unref(t->memory, slot->batch);
    slot->batch = NULL;
}

/* Who had rows for this key group, until the ring's slot is used again. */
static void clear_mask(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const graph_edge *e = &g->edges[edge];
    size_t row = ((size_t)slot * e->to_groups + key_group) * e->mask_words;

    for (uint32_t w = 0; w < e->mask_words; w++)
        atomic_store_explicit(&e->masks[row + w], 0, memory_order_relaxed);
}

void graph_release(graph_thread *t, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    df_graph *g = t->graph;
    const df_edge *e = &g->plan->edges[edge];

    if (e->fan == DF_FAN_SAME) {
        drop_slot(t, graph_slot_at(g, edge, slot, key_group));
    } else if (e->fan == DF_FAN_ALL) {
        clear_mask(g, edge, key_group, slot);
        if (graph_last(g, &g->edges[edge].ticks[slot].depart))
            for (uint32_t i = 0; i < g->edges[edge].from_groups; i++)
                drop_slot(t, graph_slot_at(g, edge, slot, i));
    } else {
        const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
        for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++) {
            graph_slot *from = graph_slot_at(g, edge, slot, space->near[i].key_group);
            if (graph_last(g, &from->readers))
                drop_slot(t, from);
        }
    }
}

bool graph_input_failed(const df_graph *g, uint32_t edge, uint32_t key_group, uint32_t slot)
{
    const df_edge *e = &g->plan->edges[edge];

    if (atomic_load_explicit(&g->edges[edge].ticks[slot].failed, memory_order_relaxed) == 0)
        return false; /* mostly: not one of them is looked at */
    if (e->fan == DF_FAN_ALL)
        return true;
    if (e->fan == DF_FAN_SAME)
        return graph_slot_at(g, edge, slot, key_group)->batch == NULL;
    const graph_space *space = &g->spaces[g->plan->streams[e->stream].partition.space];
    for (uint32_t i = space->first[key_group]; i < space->first[key_group + 1]; i++)
        if (graph_slot_at(g, edge, slot, space->near[i].key_group)->batch == NULL)
            return true;
    return false;
}
