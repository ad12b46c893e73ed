#include "config/cfg_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *cfg_alloc(cfg_ctx *ctx, size_t count, size_t size)
{
    void *memory = count > SIZE_MAX / size ? NULL : df_arena_alloc(ctx->arena, count * size);

    if (memory == NULL)
        ctx->no_memory = true;
    return memory;
}

const char *cfg_copy(cfg_ctx *ctx, const char *text)
{
    const char *copy = df_arena_text(ctx->arena, text);

    if (copy == NULL)
        ctx->no_memory = true;
    return copy;
}

static bool report_at(cfg_ctx *ctx, const cfg_node *node, df_place place, const char *format,
                      va_list args)
{
    char text[sizeof ctx->report->entries[0].text];

    vsnprintf(text, sizeof text, format, args);
    if (node->set != NULL)
        df_report_add(ctx->report, (df_place){ 0, 0 }, "--set %.100s: %s", node->set, text);
    else
        df_report_add(ctx->report, place, "%s", text);
    return false;
}

bool cfg_error_key(cfg_ctx *ctx, const cfg_node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_at(ctx, node, node->key_place, format, args);
    va_end(args);
    return false;
}

bool cfg_error_value(cfg_ctx *ctx, const cfg_node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_at(ctx, node, node->place, format, args);
    va_end(args);
    return false;
}

bool cfg_error_inside(cfg_ctx *ctx, const cfg_node *node, size_t offset, const char *format, ...)
{
    df_place place = node->place;
    va_list args;

    if (node->plain)
        place.column += 1 + (uint32_t)offset;
    va_start(args, format);
    report_at(ctx, node, place, format, args);
    va_end(args);
    return false;
}

df_place cfg_place(const cfg_node *node)
{
    return node->set != NULL ? (df_place){ 0, 0 } : node->key_place;
}

const char *cfg_shown(const cfg_node *node, char shown[CFG_SHOWN_MAX])
{
    size_t len;

    switch (node->type) {
    case CFG_TABLE:
        return "a table";
    case CFG_LIST:
        return "a list";
    case CFG_DATE:
        return "a date";
    case CFG_BOOL:
        return node->boolean ? "true" : "false";
    case CFG_WHOLE:
        snprintf(shown, CFG_SHOWN_MAX, "%lld", (long long)node->whole);
        return shown;
    case CFG_REAL:
        snprintf(shown, CFG_SHOWN_MAX, "%.15g", node->real);
        return shown;
    case CFG_TEXT:
        break;
    }
    len = strlen(node->text);
    if (len > CFG_SHOWN_MAX - 8) {
        len = CFG_SHOWN_MAX - 8;
        while (len > 0 && ((unsigned char)node->text[len] & 0xc0) == 0x80)
            len--;
    }
    snprintf(shown, CFG_SHOWN_MAX, "\"%.*s%s\"", (int)len, node->text,
             node->text[len] != '\0' ? "..." : "");
    return shown;
}

const char *cfg_hint(const cfg_ctx *ctx, char hint[CFG_HINT_MAX], const char *name,
                     const char *const *names, size_t count)
{
    const char *near = NULL;

    /* What is only counted needs no hint: a bound on the work for a hostile file. */
    if (ctx->report->count < DF_REPORT_MAX)
        near = df_nearest(name, names, count);
    hint[0] = '\0';
    if (near != NULL)
        snprintf(hint, CFG_HINT_MAX, " (did you mean \"%s\"?)", near);
    return hint;
}
