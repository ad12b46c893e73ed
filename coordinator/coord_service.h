/* A coordinator as a service for several jobs: `weir coordinator --config FILE`.
 *
 * The service computes nothing and decides nothing about a job. It keeps the list of jobs, durable, in
 * DIRECTORY/.weir; starts one `weir coordinator` process per job, and again when it ends before the job;
 * lends the workers of its pool to the jobs; and tells whoever asks where a job's coordinator is. So a
 * fault in one job harms no other one, and one in the service harms none: coordinators and workers live
 * on, and the next service takes them back. */
#ifndef COORD_SERVICE_H
#define COORD_SERVICE_H

#define COORD_SERVICE_FOLDER ".weir" /* in the service's directory */

/* Until it is asked to end (SIGTERM, Ctrl-C). Returns a coord_exit. */
int coord_service_run(const char *config);

#endif
