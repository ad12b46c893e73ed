/* weir operators [KIND]: everything here is printed from the kinds' own descriptors. */
#include "coordinator/coord_json.h"
#include "coordinator/coord_kinds.h"
#include "coordinator/coord_verb.h"
#include "operators/op_list.h"

#include <string.h>

#define OPERATORS_FOUND_MAX 4 /* kinds of one name: a source and a sink may share it */

typedef struct operators_options {
    bool json;
} operators_options;

static const coord_option operators_table[] = {
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(operators_options, json) },
    { 0 },
};

/* ---- the list ---- */

static void operators_list(const df_kinds *kinds)
{
    static const char *const titles[] = { [WEIR_SOURCE] = "Sources: they fill a state at step 0",
                                          [WEIR_PHASE] = "Phases: rows in, rows out",
                                          [WEIR_AGGREGATE] = "Aggregates: many rows in, few out",
                                          [WEIR_SINK] = "Sinks: [sink.NAME], they write" };

    for (int role = WEIR_SOURCE; role <= WEIR_SINK; role++) {
        printf("%s%s\n", role == WEIR_SOURCE ? "" : "\n", titles[role]);
        for (uint32_t i = 0; i < kinds->count; i++)
            if ((int)kinds->list[i]->role == role)
                printf("  %-16s  %s\n", kinds->list[i]->name, kinds->list[i]->help);
    }
    fputs("\nweir operators KIND shows one in full.\n", stdout);
}

/* ---- one kind ---- */

static const char *default_text(const weir_option *o)
{
    return o->value == NULL ? "required" : o->value[0] == '\0' ? "optional" : o->value;
}

static void print_options(const weir_operator *kind)
{
    fputs("\noptions\n", stdout);
    if (kind->options == NULL || kind->options->name == NULL)
        fputs("  none\n", stdout);
    for (const weir_option *o = kind->options; o != NULL && o->name != NULL; o++) {
        char type[256];

        coord_option_type_text(o, type, sizeof type);
        printf("  %-18s  %s\n", o->name, o->help);
        printf("  %-18s  %s%s%s%s%s; %s%s\n", "", type, o->unit == NULL ? "" : ", unit ",
               o->unit == NULL ? "" : o->unit, o->range == NULL ? "" : ", ",
               o->range == NULL ? "" : o->range,
               o->value != NULL && o->value[0] != '\0' ? "default " : "", default_text(o));
    }
}

static void print_ports(const weir_operator *kind)
{
    if (kind->inputs[0].name != NULL)
        fputs("\ninputs\n", stdout);
    for (uint32_t i = 0; i < WEIR_PORTS_MAX && kind->inputs[i].name != NULL; i++) {
        char name[WEIR_NAME_MAX + 4];

        if (strcmp(kind->inputs[i].name, "in") == 0)
            snprintf(name, sizeof name, "in");
        else
            snprintf(name, sizeof name, "in.%s", kind->inputs[i].name);
        printf("  %-18s  %-10s %s\n", name, coord_exchange_name(kind->inputs[i].exchange),
               kind->inputs[i].help == NULL ? "" : kind->inputs[i].help);
    }
    if (kind->outputs[0] != NULL)
        fputs("\noutputs\n", stdout);
    for (uint32_t i = 0; i < WEIR_PORTS_MAX && kind->outputs[i] != NULL; i++)
        if (i == 0 && kind->outputs[1] == NULL)
            printf("  %-18s  a stream with the operator's own name\n", "NAME");
        else
            printf("  NAME.%s\n", kind->outputs[i]);
}

static void operators_print(const weir_operator *kind)
{
    printf("%s (%s): %s\n", kind->name, coord_role_name(kind->role), kind->help);
    print_ports(kind);
    print_options(kind);
}

/* ---- the verb ---- */

static int operators_unknown(const char *name)
{
    const df_kinds *kinds = &op_kinds;
    const char *names[256], *near;
    uint32_t count = kinds->count < 256 ? kinds->count : 256;

    for (uint32_t i = 0; i < count; i++)
        names[i] = kinds->list[i]->name;
    near = df_nearest(name, names, count);
    if (near == NULL)
        fprintf(stderr, "weir operators: unknown kind \"%.80s\"; weir operators lists them\n", name);
    else
        fprintf(stderr, "weir operators: unknown kind \"%.80s\" (did you mean \"%s\"?)\n", name, near);
    return COORD_USAGE;
}

/* The kinds of that name, or the one of a shared object, "./slime.so:crawl". */
static uint32_t operators_find(const char *name, const weir_operator **found, char error[256])
{
    const df_kinds *kinds = &op_kinds;
    const char *colon = strrchr(name, ':');
    char path[1024];
    uint32_t count = 0;

    error[0] = '\0';
    if (colon != NULL && (size_t)(colon - name) < sizeof path) {
        snprintf(path, sizeof path, "%.*s", (int)(colon - name), name);
        found[0] = coord_kind_load(NULL, path, colon + 1, error);
        return found[0] != NULL;
    }
    for (uint32_t i = 0; i < kinds->count && count < OPERATORS_FOUND_MAX; i++)
        if (strcmp(kinds->list[i]->name, name) == 0)
            found[count++] = kinds->list[i];
    return count;
}

static int operators_run(const coord_args *args, const void *options)
{
    const operators_options *o = options;
    const df_kinds *kinds = &op_kinds;
    const weir_operator *found[OPERATORS_FOUND_MAX];
    char error[256];
    uint32_t count = 0;

    if (args->count == 1) {
        count = operators_find(args->items[0], found, error);
        if (error[0] != '\0') {
            fprintf(stderr, "weir operators: %s\n", error);
            return COORD_USAGE;
        }
        if (count == 0)
            return operators_unknown(args->items[0]);
    }
    if (o->json)
        return coord_json_kinds(stdout, count == 0 ? kinds->list : found,
                                count == 0 ? kinds->count : count)
                   ? COORD_DONE : COORD_FAILED;
    if (count == 0)
        operators_list(kinds);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            fputs("\n", stdout);
        operators_print(found[i]);
    }
    return COORD_DONE;
}

const coord_verb coord_verb_operators = {
    .name = "operators",
    .arguments = "[KIND]",
    .help = "list the operator kinds, or show one with its options",
    .more = "KIND may also be a user's own, FILE.so:SYMBOL.\n",
    .options = operators_table,
    .options_size = sizeof(operators_options),
    .argument_max = 1,
    .run = operators_run,
};
