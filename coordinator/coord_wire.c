#include "coordinator/coord_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_TELL_EVERY 1000u
#define WIRE_CUT_MIN    (16u << 10) /* a smaller frame is copied: two parts cost the transport more */

bool coord_wire_init(coord_wire *wire)
{
    wire->out = malloc(PROTO_FRAME_SIZE_MAX);
    memset(wire->rejected, 0, sizeof wire->rejected);
    wire->versions_told = 0;
    return wire->out != NULL;
}

void coord_wire_fini(coord_wire *wire)
{
    free(wire->out);
    wire->out = NULL;
}

static bool wire_cuts(const proto_msg *msg)
{
    return coord_wire_between(msg->header.type) && proto_encoded_size(msg) >= WIRE_CUT_MIN;
}

uint8_t *coord_wire_room(coord_net *net, uint64_t to, const proto_msg *msg, uint32_t payload_size)
{
    return wire_cuts(msg) ? coord_net_room(net, to, proto_encoded_size(msg) - payload_size, payload_size) : NULL;
}

/* Rows and states go to the transport from where they lie. */
void coord_wire_send(coord_wire *wire, coord_net *net, uint64_t to, const proto_msg *msg)
{
    coord_net_frame frame = { .head = wire->out };
    proto_bytes tail = { NULL, 0 };
    df_error err;

    if (wire_cuts(msg))
        frame.head_size = proto_encode_cut(msg, wire->out, PROTO_FRAME_SIZE_MAX, &tail);
    else
        frame.head_size = proto_encode(msg, wire->out, PROTO_FRAME_SIZE_MAX);
    frame.payload = tail.data;
    frame.payload_size = tail.size;
    if (frame.head_size == 0)
        wire->rejected[PROTO_REJECT_length]++;
    else if (coord_net_send(net, to, &frame, &err) != DF_OK)
        return;
}

proto_reject coord_wire_take(coord_wire *wire, const coord_net_event *e, proto_msg *msg)
{
    proto_reject reject = PROTO_REJECT_length;

    if (e->size <= PROTO_FRAME_SIZE_MAX && e->payload_size <= PROTO_FRAME_SIZE_MAX)
        reject = proto_decode_cut(msg, e->bytes, e->size, (proto_bytes){ e->payload, (uint32_t)e->payload_size });
    if (reject != PROTO_REJECT_ok)
        wire->rejected[reject]++;
    return reject;
}

void coord_wire_refuse_version(coord_wire *wire, coord_net *net, const coord_net_event *e, uint64_t job)
{
    proto_msg msg = { .header = { .type = PROTO_TYPE_stop, .job = job } };
    char text[160];

    if (wire->versions_told == 0 || wire->rejected[PROTO_REJECT_version] >= wire->versions_told + WIRE_TELL_EVERY) {
        wire->versions_told = wire->rejected[PROTO_REJECT_version];
        proto_version_tell(text, sizeof text, e->bytes, e->size);
        fprintf(stderr, "weir: somebody is refused: %s\n", text);
    }
    coord_wire_send(wire, net, e->peer, &msg);
}

bool coord_wire_between(uint16_t type)
{
    return type >= PROTO_TYPE_data && type <= PROTO_TYPE_ack;
}
