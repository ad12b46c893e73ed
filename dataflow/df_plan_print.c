/* Pictures of a plan for people: Graphviz, a drawing in text, and the layout of spaces and streams. */
#include "dataflow/df_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *exchange_name(weir_exchange exchange)
{
    static const char *const names[] = {
        [WEIR_FORWARD] = "forward", [WEIR_HALO] = "halo",           [WEIR_KEY_BY] = "key_by",
        [WEIR_LOOKUP] = "lookup",   [WEIR_BROADCAST] = "broadcast", [WEIR_GATHER] = "gather",
    };

    return names[exchange];
}

/* What an edge is called: the exchange, and for a commit what it is to the state. */
static void edge_label(const df_plan *p, const df_vertex *v, const df_port *port, char *text,
                       size_t size)
{
    if (v->role == DF_COMMIT)
        snprintf(text, size, "%s", port->name);
    else if (port->column >= 0)
        snprintf(text, size, "%s %s", exchange_name(port->exchange),
                 p->streams[v->ports[0].streams[0]].schema.columns[port->column].name);
    else
        snprintf(text, size, "%s", exchange_name(port->exchange));
}

static const char *kind_name(const df_vertex *v)
{
    return v->role == DF_COMMIT ? "state" : v->kind->name;
}

/* ---- DOT ---- */

static const char *dot_style(const df_vertex *v)
{
    if (v->role == DF_COMMIT)
        return "shape=cylinder, style=filled, fillcolor=\"#dbe9f6\"";
    if (v->kind->role == WEIR_SINK)
        return "shape=note, style=filled, fillcolor=\"#f3f3f3\"";
    if (v->kind->role == WEIR_SOURCE)
        return "shape=box, style=\"rounded,filled\", fillcolor=\"#e3f3dd\"";
    return "shape=box, style=\"rounded,filled\", fillcolor=\"#fff6da\"";
}

static void dot_stage(const df_plan *p, uint32_t stage, FILE *out)
{
    const df_stage *s = &p->stages[stage];

    if (s->vertex_count > 1)
        fprintf(out, "  subgraph cluster_%u {\n    label=\"one task\"; color=\"#aaaaaa\"; "
                     "fontcolor=\"#888888\";\n", stage);
    for (uint32_t i = 0; i < s->vertex_count; i++) {
        const df_vertex *v = &p->vertices[s->vertices[i]];
        fprintf(out, "    v%u [label=\"%s\\n%s\", %s];\n", s->vertices[i], v->name, kind_name(v),
                dot_style(v));
    }
    if (s->vertex_count > 1)
        fprintf(out, "  }\n");
}

void df_plan_print_dot(const df_plan *p, void *out)
{
    char label[2 * WEIR_NAME_MAX];

    fprintf(out, "digraph \"%s\" {\n  rankdir=LR; node [fontname=\"sans-serif\"]; "
                 "edge [fontname=\"sans-serif\", fontsize=10];\n", p->job.name);
    for (uint32_t s = 0; s < p->stage_count; s++)
        dot_stage(p, s, out);
    for (uint32_t i = 0; i < p->vertex_count; i++)
        for (uint32_t q = 0; q < p->vertices[i].port_count; q++)
            for (uint32_t k = 0; k < p->vertices[i].ports[q].stream_count; k++) {
                const df_vertex *v = &p->vertices[i];
                const df_stream *s = &p->streams[v->ports[q].streams[k]];
                edge_label(p, v, &v->ports[q], label, sizeof label);
                fprintf(out, "  v%u -> v%u [label=\"%s\"%s];\n", s->vertex, i, label,
                        v->role == DF_COMMIT && q == 0   ? ", style=dashed"
                        : v->role == DF_COMMIT && q == 1 ? ", color=\"#3b6ea5\", penwidth=2"
                                                         : "");
            }
    fprintf(out, "}\n");
}

/* ---- text ---- */

static void text_schema(const weir_schema *schema, FILE *out)
{
    for (uint32_t c = 0; c < schema->column_count; c++)
        fprintf(out, "%s%s:%s", c > 0 ? " " : "", schema->columns[c].name,
                weir_type_name(schema->columns[c].type));
}

static void text_inputs(const df_plan *p, const df_vertex *v, FILE *out)
{
    char label[2 * WEIR_NAME_MAX];

    for (uint32_t q = 0; q < v->port_count; q++)
        for (uint32_t k = 0; k < v->ports[q].stream_count; k++) {
            edge_label(p, v, &v->ports[q], label, sizeof label);
            fprintf(out, "        <= %s  (%s)\n", p->streams[v->ports[q].streams[k]].name, label);
        }
}

static void text_vertex(const df_plan *p, const df_vertex *v, bool again, FILE *out)
{
    fprintf(out, "  %s %-16s %s", again ? "then" : "    ", v->name, kind_name(v));
    if (v->every_steps != 1)
        fprintf(out, ", every %" PRIu64 " steps", v->every_steps);
    if (v->at_end)
        fprintf(out, ", at the end");
    fprintf(out, "\n");
    text_inputs(p, v, out);
    for (uint32_t o = 0; o < v->out_count; o++) {
        fprintf(out, "        => %s  [", p->streams[v->outs[o]].name);
        text_schema(&p->streams[v->outs[o]].schema, out);
        fprintf(out, "]\n");
    }
}

void df_plan_print_text(const df_plan *p, void *out)
{
    fprintf(out, "job %s  plan %016" PRIx64 "%016" PRIx64 "\n", p->job.name, p->hash[0], p->hash[1]);
    for (uint32_t s = 0; s < p->stage_count; s++) {
        fprintf(out, "\nstage %u, %u key group%s%s\n", s, p->stages[s].partition.key_groups,
                p->stages[s].partition.key_groups == 1 ? "" : "s",
                p->stages[s].serial ? ", step after step" : "");
        for (uint32_t i = 0; i < p->stages[s].vertex_count; i++)
            text_vertex(p, &p->vertices[p->stages[s].vertices[i]], i > 0, out);
    }
}

/* ---- layout ---- */

static void layout_space(const df_space *s, FILE *out)
{
    const weir_space *v = &s->view;
    uint64_t cells = (uint64_t)v->cells[0] * v->cells[1] * v->cells[2];

    fprintf(out, "space %s: ", v->name);
    for (uint32_t a = 0; a < v->axis_count; a++)
        fprintf(out, "%s%s 0..%.6g%s", a > 0 ? ", " : "", v->axes[a], v->size[a],
                v->periodic[a] ? " periodic" : "");
    fprintf(out, "\n  %" PRIu64 " cells (", cells);
    for (uint32_t a = 0; a < v->axis_count; a++)
        fprintf(out, "%s%u", a > 0 ? " x " : "", v->cells[a]);
    fprintf(out, ") of ");
    for (uint32_t a = 0; a < v->axis_count; a++)
        fprintf(out, "%s%.4g", a > 0 ? " x " : "", v->size[a] / v->cells[a]);
    if (s->radius > 0)
        fprintf(out, ", seen as far as %.4g", s->radius);
    if (s->skin > 0)
        fprintf(out, ", skin %.4g", s->skin);
    fprintf(out, "\n  %u tiles (", s->tile_count);
    for (uint32_t a = 0; a < v->axis_count; a++)
        fprintf(out, "%s%u", a > 0 ? " x " : "", v->tiles[a]);
    fprintf(out, "), the key groups\n");
}

static void layout_state(const df_plan *p, const df_state *s, FILE *out)
{
    const df_partition *part = &p->streams[s->stream].partition;

    fprintf(out, "state %s: ", s->name);
    text_schema(&p->streams[s->stream].schema, out);
    fprintf(out, "\n  %u key groups: ", part->key_groups);
    if (part->kind == DF_PART_SPACE)
        fprintf(out, "the tiles of %s%s", p->spaces[part->space].view.name,
                s->moves_anywhere ? ", rows move anywhere" : "");
    else if (part->kind == DF_PART_RANGE)
        fprintf(out, "ids 0 to %" PRIu64 " in equal ranges", part->rows - 1);
    else
        fprintf(out, "ranges of hashed ids");
    if (s->settle_every > 1)
        fprintf(out, "; they settle every %" PRIu64 " steps", s->settle_every);
    fprintf(out, "\n");
}

void df_plan_print_layout(const df_plan *p, void *out)
{
    for (uint32_t i = 0; i < p->space_count; i++)
        layout_space(&p->spaces[i], out);
    for (uint32_t i = 0; i < p->state_count; i++)
        layout_state(p, &p->states[i], out);
}
