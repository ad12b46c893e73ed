/* A job as a service keeps it: what was submitted, under a number of its own, the ticket. In the service's
 * folder, SERVICE/jobs/TICKET/:
 *
 *   job.toml  sets   the job file's text as it was then, and its overrides, a line each
 *   record           all else of the submission; written last: without it there is no job
 *   end              when and how it ended: milliseconds, then the coordinator's last status in JSON
 *   said  log        what the coordinator that runs prints: its last status, and complaints
 *
 * The state folder of the job holds `ticket`, the mark: which submission its run is of, which process has it, and how
 * many workers that wants. */
#ifndef COORD_TICKET_H
#define COORD_TICKET_H

#include "coordinator/coord_state.h"
#include "coordinator/proto_limits.h"
#include "dataflow/weir/operator.h"

#define COORD_TICKET_SIZE_MAX 2048u /* bytes of a record */
#define COORD_TICKET_MARK     "ticket"

typedef struct coord_ticket {
    uint64_t number;
    char name[WEIR_NAME_MAX];           /* of the job */
    char file[PROTO_TEXT_SIZE_MAX + 1]; /* that was submitted: an absolute path */
    uint32_t workers;                   /* that it wants at first */
    uint64_t submitted_ms;              /* Unix time */
    uint64_t client, question;          /* who submitted it, with which message */
} coord_ticket;

/* Whether a name can be a job's: letters, digits, '_' and '-', first a letter or '_'. */
bool coord_ticket_name_is(const char *name);
/* An absolute path, and nothing in it that could not stand in a line. */
bool coord_ticket_file_is(const char *file);

/* A record as text with a checksum, and back. Returns the size. */
size_t coord_ticket_print(const coord_ticket *ticket, char text[COORD_TICKET_SIZE_MAX]);
/* DF_ECORRUPT: it is no record, or damaged. */
df_status coord_ticket_parse(coord_ticket *ticket, const char *text, size_t size, df_error *err)
    DF_MUST_CHECK;

typedef struct coord_ticket_mark {
    uint64_t number, process;
    uint32_t workers; /* that the job wants now: a rescale changes it */
} coord_ticket_mark;

/* DF_END: nobody has said. */
df_status coord_ticket_mark_read(const char *state, coord_ticket_mark *mark, df_error *err) DF_MUST_CHECK;
df_status coord_ticket_mark_write(const char *state, const coord_ticket_mark *mark, df_error *err) DF_MUST_CHECK;

#endif
