/* Lists as JSON: a job's graph, the operator kinds, and what is damaged in a store. */
#include "coordinator/coord_json.h"

#include "coordinator/coord_json_private.h"
#include "coordinator/coord_kinds.h"
#include "dataflow/df_failpoint.h"

/* ---- graph ---- */

static json_t *list_inputs(const df_plan *p, const df_vertex *v)
{
    json_t *list = json_array();

    for (uint32_t q = 0; q < v->port_count; q++) {
        json_t *streams = json_array();

        for (uint32_t k = 0; k < v->ports[q].stream_count; k++)
            json_array_append_new(streams, json_string(p->streams[v->ports[q].streams[k]].name));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "port", v->ports[q].name, "exchange",
                                              v->role == DF_COMMIT
                                                  ? "commit" : coord_exchange_name(v->ports[q].exchange),
                                              "streams", streams));
    }
    return list;
}

static json_t *list_outputs(const df_plan *p, const df_vertex *v)
{
    json_t *list = json_array();

    for (uint32_t o = 0; o < v->out_count; o++) {
        const df_stream *s = &p->streams[v->outs[o]];
        json_t *columns = json_array();

        for (uint32_t c = 0; c < s->schema.column_count; c++)
            json_array_append_new(columns, json_pack("{s:s, s:s}", "name", s->schema.columns[c].name,
                                                     "type", weir_type_name(s->schema.columns[c].type)));
        json_array_append_new(list, json_pack("{s:s, s:i, s:o}", "stream", s->name, "key_groups",
                                              (int)s->partition.key_groups, "columns", columns));
    }
    return list;
}

bool coord_json_graph(FILE *out, const df_plan *plan)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->vertex_count; i++) {
        const df_vertex *v = &plan->vertices[i];

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "name", v->name, "kind",
                            v->kind == NULL ? "state" : v->kind->name, "role",
                            v->kind == NULL ? "state" : coord_role_name(v->kind->role), "stage",
                            (int)v->stage, "inputs", list_inputs(plan, v), "outputs",
                            list_outputs(plan, v)));
    }
    return json_print(out, json_pack("{s:s, s:o}", "job", plan->job.name, "vertices", list));
}

/* ---- failpoints ---- */

bool coord_json_failpoints(FILE *out)
{
    json_t *list = json_array();

    for (int i = 0; i < DF_FAILPOINT_COUNT; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:I}", "name", df_failpoint_list[i].name, "help",
                            df_failpoint_list[i].help, "error", (int)df_failpoint_list[i].fails,
                            "passes", (json_int_t)df_failpoint_passes((df_failpoint_id)i)));
    return json_print(out, json_pack("{s:o}", "failpoints", list));
}

/* ---- kinds ---- */

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *list_options(const weir_operator *kind)
{
    json_t *list = json_array();

    for (const weir_option *o = kind->options; o != NULL && o->name != NULL; o++) {
        char type[256];

        coord_option_type_text(o, type, sizeof type);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o}", "name", o->name, "help", o->help,
                            "type", type, "unit", text_or_null(o->unit), "default",
                            text_or_null(o->value), "required", o->value == NULL, "range",
                            text_or_null(o->range)));
    }
    return list;
}

static json_t *list_ports(const weir_operator *kind)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < WEIR_PORTS_MAX && kind->inputs[i].name != NULL; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", kind->inputs[i].name,
                                              "exchange", coord_exchange_name(kind->inputs[i].exchange),
                                              "help", text_or_null(kind->inputs[i].help)));
    return list;
}

static json_t *list_outs(const weir_operator *kind)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < WEIR_PORTS_MAX && kind->outputs[i] != NULL; i++)
        json_array_append_new(list, json_string(kind->outputs[i]));
    return list;
}

bool coord_json_kinds(FILE *out, const weir_operator *const *kinds, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", kinds[i]->name, "role",
                            coord_role_name(kinds[i]->role), "help", kinds[i]->help, "inputs",
                            list_ports(kinds[i]), "outputs", list_outs(kinds[i]), "options",
                            list_options(kinds[i])));
    return json_print(out, json_pack("{s:o}", "kinds", list));
}

/* ---- the verification of a store ---- */

/* Takes the object. */
static bool list_embed(FILE *out, json_t *object, size_t flags)
{
    bool done = object != NULL && json_dumpf(object, out, JSON_COMPACT | flags) == 0;

    json_decref(object);
    return done;
}

bool coord_json_verify_begin(FILE *out, const char *folder, const snap_store *store)
{
    json_t *head = store == NULL ? json_null() : json_integer((json_int_t)snap_store_head(store));

    fputc('{', out);
    return list_embed(out, json_pack("{s:s, s:o}", "store", folder, "head", head), JSON_EMBED) &&
           fputs(",\"damage\":[", out) != EOF;
}

bool coord_json_verify_damage(FILE *out, bool first, const snap_damage *d)
{
    json_t *object = json_pack("{s:s, s:I, s:s}", "file", d->file, "snapshot",
                               (json_int_t)d->snapshot, "text", d->text);

    if (object != NULL && d->state != NULL)
        json_object_update_new(object, json_pack("{s:s, s:i, s:s, s:i}", "state", d->state,
                                                 "key_group", (int)d->key_group, "column", d->column,
                                                 "chunk", (int)d->chunk));
    return (first || fputc(',', out) != EOF) && list_embed(out, object, 0);
}

bool coord_json_verify_end(FILE *out, const snap_verified *v, df_status status, const df_error *err)
{
    const char *text = status != DF_OK ? "failed" : v->damaged > 0 ? "damaged" : "whole";
    json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:I}", "status", text, "snapshots",
                               (json_int_t)v->snapshots, "chunks", (json_int_t)v->chunks, "bytes",
                               (json_int_t)v->bytes, "damaged", (json_int_t)v->damaged);

    if (object != NULL && status != DF_OK)
        json_object_set_new(object, "error", json_string(err->text));
    return fputs("],", out) != EOF && list_embed(out, object, JSON_EMBED) && fputs("}\n", out) != EOF;
}

/* ---- keys: public ones ---- */

static json_t *list_key(const coord_key *key)
{
    json_t *object = json_pack("{s:s, s:s}", "name", key->name, "key", key->public_key);

    if (key->role != COORD_ROLE_NONE)
        json_object_set_new(object, "role", json_string(coord_role_text(key->role)));
    return object;
}

static json_t *list_keys(const coord_key_list *keys)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < keys->count; i++)
        json_array_append_new(list, list_key(&keys->items[i]));
    return list;
}

bool coord_json_key(FILE *out, const char *folder, const coord_key *key)
{
    json_t *object = list_key(key);

    json_object_set_new(object, "folder", json_string(folder));
    return json_print(out, object);
}

bool coord_json_keys(FILE *out, const char *folder, const coord_key_list *keys,
                     const coord_key_list *allowed)
{
    return json_print(out, json_pack("{s:s, s:o, s:o}", "folder", folder, "keys", list_keys(keys),
                                     "allowed", list_keys(allowed)));
}
