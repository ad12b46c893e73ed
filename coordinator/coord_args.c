#include "coordinator/coord_args.h"

#include <stdio.h>
#include <string.h>

#define ARGS_OPTIONS_MAX 32 /* of one verb */

static const coord_option *args_find(const coord_option *table, const char *name, size_t len)
{
    for (; table != NULL && table->name != NULL; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
            return table;
    return NULL;
}

static df_status args_unknown(const coord_option *table, const char *name, size_t len, df_error *err)
{
    const char *names[ARGS_OPTIONS_MAX], *near;
    char text[64];
    size_t count = 0;

    for (; table != NULL && table->name != NULL && count < ARGS_OPTIONS_MAX; table++)
        names[count++] = table->name;
    snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60), name);
    near = df_nearest(text, names, count);
    if (near == NULL)
        return df_fail(err, DF_EINVAL, "unknown option \"--%s\"", text);
    return df_fail(err, DF_EINVAL, "unknown option \"--%s\" (did you mean \"--%s\"?)", text, near);
}

/* Digits only: no sign, no space, no base but ten. */
static bool args_number(const char *text, uint64_t *value)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *value = n;
    return true;
}

static df_status args_store_number(coord_number *number, const coord_option *o, const char *value,
                                   df_error *err)
{
    uint64_t n;

    if (!args_number(value, &n) || n < o->least || n > o->most)
        return df_fail(err, DF_EINVAL, "--%s %.40s: expected a whole number from %llu to %llu",
                       o->name, value, (unsigned long long)o->least, (unsigned long long)o->most);
    *number = (coord_number){ true, n };
    return DF_OK;
}

static df_status args_store(void *options, const coord_option *o, const char *value, df_error *err)
{
    void *field = (char *)options + o->offset;
    coord_texts *texts = field;
    bool again = o->type == COORD_FLAG   ? *(bool *)field
                 : o->type == COORD_TEXT ? *(const char **)field != NULL
                 : o->type == COORD_NUMBER ? ((coord_number *)field)->given
                                           : false;

    if (again)
        return df_fail(err, DF_EINVAL, "--%s is given twice", o->name);
    switch (o->type) {
    case COORD_FLAG:
        *(bool *)field = true;
        return DF_OK;
    case COORD_TEXT:
        *(const char **)field = value;
        return DF_OK;
    case COORD_NUMBER:
        return args_store_number(field, o, value, err);
    case COORD_TEXTS:
        break;
    }
    if (texts->count == COORD_TEXTS_MAX)
        return df_fail(err, DF_ELIMIT, "--%s is given more than %d times", o->name, COORD_TEXTS_MAX);
    texts->items[texts->count++] = value;
    return DF_OK;
}

/* One option at argv[*i]; moves *i to its value where that stands in the next text. */
static df_status args_option(void *options, const coord_option *table, int argc, char *const *argv,
                             int *i, df_error *err)
{
    const char *name = argv[*i] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    const coord_option *o = args_find(table, name, len);

    if (o == NULL)
        return args_unknown(table, name, len, err);
    if (o->type == COORD_FLAG && value != NULL)
        return df_fail(err, DF_EINVAL, "--%s takes no value", o->name);
    if (o->type != COORD_FLAG && value == NULL) {
        if (*i + 1 >= argc)
            return df_fail(err, DF_EINVAL, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        value = argv[++*i];
    }
    return args_store(options, o, value, err);
}

df_status coord_args_read(coord_args *args, void *options, const coord_option *table, int argc,
                          char *const *argv, df_error *err)
{
    bool only_arguments = false;
    df_status s = DF_OK;

    *args = (coord_args){ 0 };
    for (int i = 0; i < argc && !args->help && strcmp(argv[i], "--") != 0; i++)
        args->help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
    for (int i = 0; i < argc && !args->help && s == DF_OK; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0)
            only_arguments = true;
        else if (!only_arguments && strncmp(argv[i], "--", 2) == 0)
            s = args_option(options, table, argc, argv, &i, err);
        else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0')
            s = df_fail(err, DF_EINVAL, "unknown option \"%.60s\"", argv[i]);
        else if (args->count == COORD_ARGUMENTS_MAX)
            s = df_fail(err, DF_EINVAL, "too many arguments: \"%.60s\"", argv[i]);
        else
            args->items[args->count++] = argv[i];
    }
    return s;
}

void coord_args_print(const coord_option *table, void *out)
{
    for (; table != NULL && table->name != NULL; table++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", table->name, table->value == NULL ? "" : " ",
                 table->value == NULL ? "" : table->value);
        fprintf(out, "  %-22s  %s%s\n", left, table->help,
                table->type == COORD_TEXTS ? " (may be repeated)" : "");
    }
}
