/* Messages over the transport: frames are encoded and decoded here. */
#ifndef COORD_WIRE_H
#define COORD_WIRE_H

#include "coordinator/coord_net.h"
#include "coordinator/proto_msg.h"

#define COORD_WIRE_COORDINATOR 0u /* the coordinator's number on the net */

typedef struct coord_wire {
    uint8_t *out; /* [PROTO_FRAME_SIZE_MAX] */
    uint64_t rejected[PROTO_REJECT_COUNT];
    uint64_t versions_told; /* refusals when the last one was told */
} coord_wire;

bool coord_wire_init(coord_wire *wire);
void coord_wire_fini(coord_wire *wire);

/* What cannot be sent now is lost: the protocol says it again. */
void coord_wire_send(coord_wire *wire, coord_net *net, uint64_t to, const proto_msg *msg);
/* Where the payload of a message that is sent next may be put together; null: elsewhere. What ends it has its size. */
uint8_t *coord_wire_room(coord_net *net, uint64_t to, const proto_msg *msg, uint32_t payload_size);
/* The message of a frame; valid as long as the event is. What is refused is counted. */
proto_reject coord_wire_take(coord_wire *wire, const coord_net_event *event, proto_msg *msg);
/* A frame was refused because it is of another version of the protocol: say so on standard error, now and then, and
 * answer with a message in ours, so that its sender sees it, too. */
void coord_wire_refuse_version(coord_wire *wire, coord_net *net, const coord_net_event *event, uint64_t job);
/* Whether a message is one between workers. */
bool coord_wire_between(uint16_t type);

#endif
