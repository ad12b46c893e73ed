/* Finding the kind that an operator names, and whether its descriptor can be worked with: a user's
 * own comes from outside. */
#include "config/cfg_private.h"

#include <stdio.h>
#include <string.h>

/* ---- the descriptor ---- */

static size_t field_size(int type)
{
    if (type >= (int)WEIR_F32 && type <= (int)WEIR_U8)
        return weir_type_size((weir_type)type);
    switch (type) {
    case WEIR_TEXT:
    case WEIR_COLUMN:
    case WEIR_FILE_IN:
    case WEIR_FILE_OUT:
        return sizeof(const char *);
    case WEIR_CHOICE:
        return sizeof(uint32_t);
    case WEIR_BOOL:
        return sizeof(bool);
    case WEIR_RANGE:
        return 2 * sizeof(double);
    case WEIR_COLUMNS:
        return sizeof(weir_names);
    case WEIR_COMPUTE:
        return sizeof(weir_computes);
    default:
        return 0;
    }
}

/* Null: the option is good. */
static const char *option_fault(const weir_operator *kind, const weir_option *option)
{
    size_t size = field_size(option->type);
    const char *why;

    if (!cfg_name_good(option->name, CFG_NAME_COLUMN, &why))
        return why;
    if (size == 0)
        return "it has no known type";
    if (option->offset > kind->options_size || size > kind->options_size - option->offset)
        return "it lies outside of the options";
    if (option->type == WEIR_CHOICE && option->choices == NULL)
        return "it has no choices";
    for (const weir_option *o = cfg_section_of("operator")->options; o->name != NULL; o++)
        if (strcmp(o->name, option->name) == 0)
            return "every operator has a key of that name";
    for (const weir_option *o = kind->options; o != option; o++)
        if (strcmp(o->name, option->name) == 0)
            return "it is there twice";
    return NULL;
}

bool cfg_kind_good(const weir_operator *kind, char why[CFG_WHY_MAX])
{
    if (kind->api_version != WEIR_API_VERSION) {
        snprintf(why, CFG_WHY_MAX,
                 "it is made for version %u of the operator interface, this is %u",
                 kind->api_version, WEIR_API_VERSION);
        return false;
    }
    if (kind->name == NULL || kind->process == NULL || kind->role < WEIR_SOURCE ||
        kind->role > WEIR_SINK) {
        snprintf(why, CFG_WHY_MAX, "its descriptor lacks a name, a role or a process function");
        return false;
    }
    for (const weir_option *o = kind->options; o != NULL && o->name != NULL; o++) {
        const char *fault = option_fault(kind, o);
        if (fault != NULL) {
            snprintf(why, CFG_WHY_MAX, "its option \"%.64s\" is wrong: %s", o->name, fault);
            return false;
        }
    }
    return true;
}

/* ---- finding it ---- */

static const weir_operator *built_in(const df_kinds *kinds, const char *name, bool sink)
{
    const weir_operator *other = NULL;

    for (uint32_t i = 0; i < kinds->count; i++) {
        if (strcmp(kinds->list[i]->name, name) != 0)
            continue;
        if ((kinds->list[i]->role == WEIR_SINK) == sink)
            return kinds->list[i];
        other = kinds->list[i];
    }
    return other; /* a sink where none can be, or the reverse: the plan says so */
}

#define KIND_NAMES_MAX 256

static void unknown_kind(const cfg_scope *scope, const cfg_node *node, bool sink)
{
    const df_kinds *kinds = scope->ctx->options->kinds;
    const char *names[KIND_NAMES_MAX];
    char hint[CFG_HINT_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < kinds->count && count < KIND_NAMES_MAX; i++)
        if ((kinds->list[i]->role == WEIR_SINK) == sink)
            names[count++] = kinds->list[i]->name;
    cfg_error_value(scope->ctx, node, "%s: unknown kind \"%.64s\"%s", scope->who, node->text,
                    cfg_hint(scope->ctx, hint, node->text, names, count));
}

/* "./slime.so:crawl" */
static const weir_operator *load_kind(const cfg_scope *scope, const cfg_node *node)
{
    const cfg_options *options = scope->ctx->options;
    const char *colon = strrchr(node->text, ':'), *path;
    const weir_operator *kind;
    char file[CFG_PATH_MAX], error[256] = "";

    if (colon == NULL || colon[1] == '\0' || strchr(colon, '/') != NULL ||
        (size_t)(colon - node->text) >= sizeof file) {
        cfg_error_value(scope->ctx, node, "%s: kind: expected \"PATH:SYMBOL\", found \"%.64s\"",
                        scope->who, node->text);
        return NULL;
    }
    if (options->load == NULL) {
        cfg_error_value(scope->ctx, node,
                        "%s: kind \"%.64s\": kinds from files are not loaded here", scope->who,
                        node->text);
        return NULL;
    }
    snprintf(file, sizeof file, "%.*s", (int)(colon - node->text), node->text);
    path = cfg_join_path(scope->ctx, file);
    kind = path == NULL ? NULL : options->load(options->user, path, colon + 1, error);
    error[sizeof error - 1] = '\0';
    if (kind == NULL)
        cfg_error_value(scope->ctx, node, "%s: kind \"%.64s\": %s", scope->who, node->text, error);
    return kind;
}

const weir_operator *cfg_find_kind(const cfg_scope *scope, const cfg_node *node, bool sink)
{
    const weir_operator *kind;
    char why[CFG_WHY_MAX];
    const char *name;

    if (!cfg_get_text(scope, node, "kind", &name))
        return NULL;
    if (strchr(name, '/') != NULL) {
        kind = load_kind(scope, node);
    } else {
        kind = built_in(scope->ctx->options->kinds, name, sink);
        if (kind == NULL)
            unknown_kind(scope, node, sink);
    }
    if (kind == NULL || cfg_kind_good(kind, why))
        return kind;
    cfg_error_value(scope->ctx, node, "%s: kind \"%.64s\": %s", scope->who, name, why);
    return NULL;
}
