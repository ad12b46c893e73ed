/* How long the processes of a cluster wait for what. All are of the wall clock, and none reaches a
 * result. */
#ifndef COORD_TIMES_H
#define COORD_TIMES_H

/* ---- the protocol, in microseconds ---- */
#define COORD_BEAT_US     200000ull   /* a heartbeat; what was lost is said again with it */
#define COORD_SILENCE_US  2000000ull  /* a member that is silent for so long is lost */
#define COORD_ATTACH_US   5000000ull  /* for members to report to a coordinator that started again */
#define COORD_INSTALL_US  60000000ull /* for members to load a snapshot */
#define COORD_ATTEMPT_US  300000000ull /* for members to write one, from when its step has begun */

#define COORD_STREAM_US   2000000ull  /* what was asked for and did not come is asked for again; doubled up to 16 times */
#define COORD_RETRY_US    500000ull  /* after a snapshot that was given up; doubled up to 16 times */

/* ---- local workers ---- */
#define COORD_START_PAUSE_US 200000ull  /* before a worker that ended badly is started again; doubled up to 64 times */
#define COORD_START_GOOD_US  10000000ull /* a worker that lived so long was started well */
#define COORD_START_US       60000000ull /* for a worker to be there */
#define COORD_START_TRIES    4u          /* bad starts one after the other, until its place is given up */
#define COORD_LEAVE_US       5000000ull  /* for workers to leave when the job has ended */
#define COORD_ORPHAN_SECONDS 600u        /* for a coordinator that has died to be started again; then its workers end */

/* ---- clients ---- */
#define COORD_ANSWER_US   5000000ull /* for a coordinator to answer a question */
#define COORD_SUBMIT_US   60000000ull /* for a service to start a coordinator for a new job */
#define COORD_ASK_US      200000ull  /* an unanswered command is said again */

#endif
