/* What comes to a worker: parcels, whole or in pieces.
 *
 * A piece of a state that moves goes right to where it stays, one state of each member at a time; they come one after
 * the other. Other parcels, which come whole mostly, are put together first (coord_piece.h). */
#include "coordinator/coord_flow_private.h"

static bool deliver(coord_flow *f, const proto_data *d, const uint8_t *bytes, uint32_t size)
{
    df_error err;

    return df_graph_deliver(f->graph, d->edge, d->step, d->src, bytes, size, &err) == DF_OK;
}

/* ---- states ---- */

static bool arrival_is_of(const flow_arrival *a, const proto_data *d)
{
    return d->edge == DF_PARCEL_MOVE && a->arrival != NULL && a->step == d->step && a->group == d->src;
}

/* Begin one with a state's first piece. False: it is refused; that it is another way's is no failure. */
static bool arrival_begin(coord_flow *f, flow_arrival *a, const proto_data *d)
{
    df_error err;

    if (d->edge != DF_PARCEL_MOVE || d->offset != 0 || a->arrival != NULL || d->total > FLOW_ARRIVAL_MAX)
        return true;
    *a = (flow_arrival){ .step = d->step, .group = d->src };
    return df_arrival_begin(f->graph, d->step, d->src, d->total, d->payload.data, d->payload.size, &a->arrival,
                            &err) == DF_OK;
}

static bool arrival_go_on(coord_flow *f, flow_arrival *a, const proto_data *d)
{
    df_error err;

    if (df_arrival_put(f->graph, a->arrival, d->offset, d->payload.data, d->payload.size, &err) != DF_OK) {
        df_arrival_drop(f->graph, &a->arrival);
        return false;
    }
    return !df_arrival_whole(a->arrival) || df_arrival_end(f->graph, &a->arrival, &err) == DF_OK;
}

/* ---- any parcel ---- */

static bool take_piece(coord_flow *f, uint32_t member, const proto_data *d)
{
    const coord_piece *whole;
    coord_piece_end end = coord_piece_put(&f->pieces, member, d, &whole);

    return end == COORD_PIECE_MORE || (end == COORD_PIECE_WHOLE && deliver(f, d, whole->bytes, whole->size));
}

bool flow_take(coord_flow *f, uint32_t member, const proto_data *d)
{
    flow_arrival *a = &f->arrivals[member];

    if (d->payload.size == d->total)
        return deliver(f, d, d->payload.data, d->total);
    if (arrival_is_of(a, d))
        return arrival_go_on(f, a, d);
    if (!arrival_begin(f, a, d))
        return false;
    return arrival_is_of(a, d) || take_piece(f, member, d);
}

void flow_take_drop(coord_flow *f, uint32_t member)
{
    if (f->graph != NULL)
        df_arrival_drop(f->graph, &f->arrivals[member].arrival);
}
