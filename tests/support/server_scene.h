/* A coordinator's server with the simulator's model job in a folder of its own, for tests that run real
 * worker processes: the test's own program, whose main hands over to fake_worker_main. */
#ifndef SUPPORT_SERVER_SCENE_H
#define SUPPORT_SERVER_SCENE_H

#include "tests/support/fake_worker.h"

#define SCENE_GROUPS   5u
#define SCENE_STEPS    60u
#define SCENE_SEED     4711u
#define SCENE_LIMIT_US 60000000u /* of any wait */

typedef struct server_scene {
    char folder[64], state[96], text[64], printed[4096];
    sim_job model;
    coord_shape shape;
    df_policy policy;
    coord_server_job job;
    coord_server_options options;
    coord_status *status;
} server_scene;

/* All of these fail the test when something goes wrong. */
server_scene *server_scene_at(const char *folder);
server_scene *server_scene_new(void);
/* Removes the folder. */
void server_scene_free(server_scene *s);
coord_server *server_scene_open(server_scene *s);
uint64_t server_scene_now_us(void);

/* Turn until something is so (null: never); returns the status of the last turn. */
df_status server_scene_turn_until(server_scene *s, coord_server *server,
                           bool (*so)(const coord_status *status));
bool server_scene_so_running(const coord_status *s);
bool server_scene_so_snapshot(const coord_status *s);
bool server_scene_so_paused(const coord_status *s);

/* The sink's file holds so many ticks, and no more. */
void server_scene_check_file(const server_scene *s, uint64_t steps);
/* The newest snapshot holds what enters that tick. */
void server_scene_check_store(const server_scene *s, uint64_t ticks);
/* The job is done, and all is right; closes the server. */
void server_scene_run_to_end(server_scene *s, coord_server *server);

#endif
