#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"

#include <inttypes.h>
#include <jansson.h>

static const char *status_of(int code)
{
    return code == COORD_DONE ? "done" : code == COORD_INTERRUPTED ? "interrupted" : "failed";
}

bool coord_json_replay(FILE *out, const coord_replay_result *r)
{
    json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:o, s:i, s:i, s:s, s:b, s:o}", "job", r->plan->job.name,
                               "from", (json_int_t)r->span->first, "to", (json_int_t)r->span->last, "step",
                               (json_int_t)r->step, "snapshot",
                               r->span->begin == 0 ? json_null() : json_integer((json_int_t)r->span->begin),
                               "workers", (int)r->workers, "threads", (int)r->threads, "status",
                               status_of(r->code), "same", r->code == COORD_DONE, "error",
                               r->error[0] == '\0' ? json_null() : json_string(r->error));
    bool done = object != NULL && json_dumpf(object, out, JSON_COMPACT) == 0 && fputc('\n', out) != EOF;

    json_decref(object);
    return done;
}
