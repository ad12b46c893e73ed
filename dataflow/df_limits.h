/* Every named maximum of the engine. Beyond it DF_ELIMIT (or an error of the job file) is returned. */
#ifndef DF_LIMITS_H
#define DF_LIMITS_H

#define DF_SPACES_MAX     64
#define DF_STATES_MAX     64
#define DF_OPERATORS_MAX  1024   /* operators and sinks together */
#define DF_UNION_MAX      16     /* streams in one list of streams */
#define DF_KEY_GROUPS_MAX 65536
#define DF_TILES_MAX      (1u << 18) /* of all spaces together */
#define DF_WINDOW_MAX     64     /* steps that a key group may be ahead */
#define DF_THREADS_MAX    256
#define DF_WORKERS_MAX    1024   /* that a job file names */
#define DF_ADDRESS_MAX    256    /* bytes of an address, the final zero included */
#define DF_STEPS_MAX      (1ull << 40)
#define DF_CELLS_MAX      (1u << 31) /* of one space */
#define DF_JOB_SIZE_MAX   (1u << 20) /* bytes of a job file */

#endif
