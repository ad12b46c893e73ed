/* The manual of the sections, printed from their table. */
#include "config/cfg_private.h"

#include <stdio.h>
#include <string.h>

static const char *type_shown(const weir_option *option)
{
    switch (option->type) {
    case WEIR_F32:
    case WEIR_F64:
        return "number";
    case WEIR_TEXT:
        return "text";
    case WEIR_BOOL:
        return "true or false";
    case WEIR_COLUMNS:
        return "text, or a list of them";
    case CFG_OPTION_NODE:
        return option->choices;
    case CFG_OPTION_BYTES:
        return "bytes: a number, or \"2GiB\"";
    case CFG_OPTION_PACE:
        return "number, or `unlimited`";
    default:
        return "whole number";
    }
}

static void print_choices(FILE *out, const char *choices)
{
    for (const char *name = choices;;) {
        size_t len = strcspn(name, "|");
        fprintf(out, "`%.*s`", (int)len, name);
        if (name[len] == '\0')
            return;
        name += len + 1;
        fputs(strchr(name, '|') != NULL ? ", " : " or ", out);
    }
}

static void print_option(FILE *out, const weir_option *option)
{
    fprintf(out, "| `%s` | ", option->name);
    if (option->type == WEIR_CHOICE)
        print_choices(out, option->choices);
    else
        fputs(type_shown(option), out);
    if (option->range != NULL)
        fprintf(out, ", %s", option->range);
    if (option->unit != NULL)
        fprintf(out, ", in %s", option->unit);
    if (option->value == NULL)
        fputs(" | required | ", out);
    else
        fprintf(out, " | %s%s%s | ", option->value[0] ? "`" : "", option->value,
                option->value[0] ? "`" : "");
    fprintf(out, "%s |\n", option->help);
}

void cfg_print_section(void *out, const cfg_section *section)
{
    const weir_option *option = section->options;

    fprintf(out, "### `[%s%s]`\n\n%s\n\n", section->name, section->named ? ".NAME" : "",
            section->help);
    if (option == NULL || option->name == NULL)
        return;
    fputs("| key | value | default | |\n| --- | --- | --- | --- |\n", out);
    for (; option->name != NULL; option++)
        print_option(out, option);
    fputc('\n', out);
}

void cfg_print_sections(void *out)
{
    uint32_t count;
    const cfg_section *sections = cfg_sections(&count);

    for (uint32_t i = 0; i < count; i++)
        cfg_print_section(out, &sections[i]);
}
