#include "coordinator/coord_json.h"

#include "coordinator/coord_json_private.h"
#include "coordinator/coord_machine.h"
#include "coordinator/coord_verb.h"
#include "dataflow/df_build.h"

#include <inttypes.h>

static json_t *json_hash(uint64_t high, uint64_t low)
{
    return json_sprintf("%016" PRIx64 "%016" PRIx64, high, low);
}

/* ---- run ---- */

static json_t *run_operators(const coord_run_result *r)
{
    json_t *list = json_array();

    for (uint32_t i = 0; r->graph != NULL && i < r->plan->vertex_count; i++) {
        const df_vertex *v = &r->plan->vertices[i];
        df_vertex_stats stats;

        df_graph_vertex_stats_get(r->graph, i, &stats);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:f}", "name", v->name, "kind",
                            v->kind == NULL ? "state" : v->kind->name, "calls",
                            json_count(df_spans_count(&stats.calls)), "rows_in",
                            json_count(stats.rows_in), "rows_out", json_count(stats.rows_out),
                            "seconds", 1e-9 * (double)stats.calls.nanoseconds));
    }
    return list;
}

/* Rows that entered a step, on average: the states of steps 0 to `step`, and, before the last, the
 * one that step has made. */
static uint64_t run_rows(const coord_run_result *r, const df_graph_stats *stats)
{
    return stats->begun ? stats->rows / (stats->step + 1 + (stats->step < r->plan->job.steps)) : 0;
}

static void run_rates(json_t *object, const coord_run_result *r)
{
    double rate = r->seconds > 0 ? (double)r->row_steps / r->seconds : 0;

    json_object_set_new(object, "seconds_setup", json_real(r->seconds_setup));
    json_object_set_new(object, "seconds", json_real(r->seconds));
    json_object_set_new(object, "steps_measured", json_count(r->steps));
    json_object_set_new(object, "row_steps", json_count(r->row_steps));
    json_object_set_new(object, "row_steps_per_second", json_real(rate));
    json_object_set_new(object, "allocations", json_count(r->allocations));
    json_object_set_new(object, "late_steps", json_count(r->late_steps));
}

bool coord_json_run(FILE *out, const coord_run_result *r)
{
    df_graph_stats stats = { 0 };
    json_t *object = json_pack("{s:s, s:o, s:s, s:o}", "job", r->plan->job.name, "plan",
                               json_hash(r->plan->hash[0], r->plan->hash[1]), "status", r->status,
                               "steps", json_count(r->plan->job.steps));

    if (r->graph != NULL)
        df_graph_stats_get(r->graph, &stats);
    json_object_set_new(object, "step", stats.begun ? json_count(stats.step) : json_null());
    json_object_set_new(object, "threads", json_count(r->threads));
    json_object_set_new(object, "rows", json_count(run_rows(r, &stats)));
    run_rates(object, r);
    json_object_set_new(object, "pool_bytes", json_count(stats.pool_bytes));
    json_object_set_new(object, "memory_peak_bytes", json_count(coord_machine_memory_peak()));
    json_object_set_new(object, "tasks", json_count(stats.tasks));
    json_object_set_new(object, "steals", json_count(stats.steals));
    json_object_set_new(object, "sleeps", json_count(stats.sleeps));
    json_object_set_new(object, "fingerprint", r->have_fingerprint
                            ? json_hash(r->fingerprint.high, r->fingerprint.low) : json_null());
    json_object_set_new(object, "steps_verified", json_count(r->steps_verified));
    json_object_set_new(object, "directory", json_string(r->directory));
    json_object_set_new(object, "error", r->error == NULL ? json_null()
                                                          : json_string(r->error->text));
    json_object_set_new(object, "operators", run_operators(r));
    return json_print(out, object);
}

/* ---- check ---- */

static json_t *check_list(const df_report *report)
{
    json_t *list = json_array();

    for (uint32_t i = 0; report != NULL && i < report->count && i < DF_REPORT_MAX; i++) {
        const df_report_entry *e = &report->entries[i];

        json_array_append_new(list, json_pack("{s:i, s:i, s:s}", "line", (int)e->place.line, "column",
                                              (int)e->place.column, "text", e->text));
    }
    return list;
}

bool coord_json_check(FILE *out, const df_plan *plan, const df_report *report, const df_report *warnings)
{
    json_t *object = json_pack("{s:s, s:b, s:o, s:o, s:o}", "file", report->file, "ok", plan != NULL,
                               "error_count", json_count(report->count), "errors", check_list(report),
                               "warnings", check_list(warnings));

    if (plan != NULL) {
        json_object_set_new(object, "job", json_string(plan->job.name));
        json_object_set_new(object, "seed", json_sprintf("%" PRIu64, plan->job.seed));
        json_object_set_new(object, "steps", json_count(plan->job.steps));
        json_object_set_new(object, "plan", json_hash(plan->hash[0], plan->hash[1]));
        json_object_set_new(object, "key_groups", json_count(plan->key_groups));
        json_object_set_new(object, "stages", json_count(plan->stage_count));
    }
    return json_print(out, object);
}

/* ---- version ---- */

bool coord_json_version(FILE *out, const char *version, const char *commit)
{
    return json_print(out, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "version", version, "commit", commit,
                                     "compiler", df_build_compiler(), "level", df_build_level(),
                                     "operator_api", WEIR_API_VERSION, "source", df_build_source()));
}

/* ---- replay ---- */

bool coord_json_replay(FILE *out, const coord_replay_result *r)
{
    const char *status = r->code == COORD_DONE ? "done" : r->code == COORD_INTERRUPTED ? "interrupted" : "failed";

    return json_print(out, json_pack("{s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:s, s:b, s:o}", "job", r->plan->job.name,
                                     "from", json_count(r->span->first), "to", json_count(r->span->last),
                                     "step", json_count(r->step), "snapshot",
                                     r->span->begin == 0 ? json_null() : json_count(r->span->begin), "workers",
                                     (int)r->workers, "threads", (int)r->threads, "status", status, "same",
                                     r->code == COORD_DONE, "error",
                                     r->error[0] == '\0' ? json_null() : json_string(r->error)));
}
