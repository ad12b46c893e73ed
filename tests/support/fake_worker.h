/* A worker process whose job is the simulator's model, over the real transport, store and files: the
 * coordinator's counterpart in its tests. */
#ifndef SUPPORT_FAKE_WORKER_H
#define SUPPORT_FAKE_WORKER_H

#include "coordinator/coord_server.h"
#include "coordinator/sim_job.h"

#define FAKE_WORKER_FILLER 1000u

/* The job in a text, which is what a worker is told of it. */
void fake_worker_text(char text[64], uint64_t seed, uint32_t groups, uint64_t steps);
void fake_worker_job(sim_job *job, const char *text, size_t size);
/* What a snapshot of it consists of: a table "cells" of one column, and what is carried. */
void fake_worker_shape(coord_shape *shape);

/* `worker --join ADDRESS --id N`: runs until it is told to stop. */
int fake_worker_main(int argc, char **argv);

/* The value of a key group in a snapshot; false: it is not there, or its parts do not agree. */
bool fake_worker_value(snap_store *store, uint64_t snapshot, uint32_t group, uint64_t *value);

#endif
