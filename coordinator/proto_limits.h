/* Every named maximum of the two protocols. A frame or a command beyond one is refused and counted. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define PROTO_MEMBERS_MAX    1000u    /* workers of one generation */
#define PROTO_WORKERS_MAX    1024u    /* workers known to a coordinator, spare ones too */
#define PROTO_GROUPS_MAX     32768u   /* key groups, sinks included */
#define PROTO_STAGES_MAX     64u
#define PROTO_EDGES_MAX      128u
#define PROTO_WINDOW_MAX     64u      /* steps between the lowest unfinished one and the grant */
#define PROTO_FRAME_SIZE_MAX (1u << 20) /* of any frame, header included */
#define PROTO_PAYLOAD_SIZE_MAX (PROTO_FRAME_SIZE_MAX - 1024u)
#define PROTO_JOB_SIZE_MAX   (PROTO_FRAME_SIZE_MAX - 131072u) /* a job file, a reply in JSON */
#define PROTO_BATCH_SIZE_MAX (1u << 30) /* of one key group on one edge, or of its state */
#define PROTO_TEXT_SIZE_MAX  512u     /* an address, a label, an error's text */
#define PROTO_INPUT_SIZE_MAX 65536u   /* bytes of one injected input */
#define PROTO_PIECE_SIZE     (256u << 10) /* of what is streamed; only the last piece is shorter */
#define PROTO_STREAM_WINDOW  (1u << 20)   /* bytes of a stream that are under way or not yet used */
#define PROTO_STREAMS_MAX    16u      /* to, and from, a coordinator at a time; others wait */
#define PROTO_CLIENTS_MAX    1024u    /* whose last number is remembered; those that were only answered may be forgotten */
#define PROTO_PARKED_MAX     4096u    /* frames of a generation that has not arrived here yet */
#define PROTO_OWNER_VERSIONS 4u       /* pending owner changes of a key group, the current one too */
#define PROTO_ORDERS_BURST   64u      /* orders sent at once to a worker that lags behind */
#define PROTO_VOID_MAX       (1u << 20) /* orders between others that mean nothing any more */
#define PROTO_ORDERS_MAX     (1u << 31) /* in the history */
#define PROTO_RETRIES_MAX    100u     /* of one task */

#endif
