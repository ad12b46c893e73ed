/* weir keys new|allow|deny|list */
#include "coordinator/coord_json.h"
#include "coordinator/coord_verb.h"

#include <string.h>

typedef struct keys_options {
    const char *role, *name, *keys;
    bool json;
} keys_options;

static const coord_option keys_table[] = {
    { .name = "role", .value = "ROLE", .help = "what an allowed key may do: worker, admin or read-only",
      .type = COORD_TEXT, .offset = offsetof(keys_options, role) },
    { .name = "name", .value = "NAME", .help = "whose an allowed key is",
      .type = COORD_TEXT, .offset = offsetof(keys_options, name) },
    { .name = "keys", .value = "DIR", .help = "the folder of keys (~/.config/weir/keys)",
      .type = COORD_TEXT, .offset = offsetof(keys_options, keys) },
    { .name = "json", .help = "print one JSON object", .type = COORD_FLAG,
      .offset = offsetof(keys_options, json) },
    { 0 },
};

static df_status keys_new(const char *folder, const char *name, const keys_options *o, df_error *err)
{
    coord_key key;
    df_status s = coord_keys_new(folder, name, &key, err);

    if (s != DF_OK)
        return s;
    if (o->json)
        return coord_json_key(stdout, folder, &key) ? DF_OK : df_fail(err, DF_EIO, "standard output");
    printf("%s\nwritten to %s/%s.pub; the secret is in %s/%s.key\n", key.public_key, folder, name, folder,
           name);
    return DF_OK;
}

/* role null: take it off the list. */
static df_status keys_set(const char *folder, const char *text, const char *role,
                          const keys_options *o, df_error *err)
{
    coord_key key = { .role = role == NULL ? COORD_ROLE_NONE : coord_role_find(role) };
    df_status s = coord_key_read(text, key.public_key, err);

    if (s == DF_OK && role != NULL && key.role == COORD_ROLE_NONE)
        s = df_fail(err, DF_EINVAL, "--role \"%.40s\": it is worker, admin or read-only", role);
    if (s == DF_OK && o->name != NULL && !coord_key_name_is(o->name))
        s = df_fail(err, DF_EINVAL, "--name \"%.80s\": letters, digits, \".\", \"_\" and \"-\", at most 64",
                    o->name);
    if (s != DF_OK)
        return s;
    strcpy(key.name, o->name == NULL ? "" : o->name);
    s = coord_allowed_set(folder, &key, err);
    if (s != DF_OK)
        return s;
    if (o->json)
        return coord_json_key(stdout, folder, &key) ? DF_OK : df_fail(err, DF_EIO, "standard output");
    printf("%s %s%s\n", key.public_key, role == NULL ? "is not allowed any more" : "is allowed: ",
           role == NULL ? "" : role);
    return DF_OK;
}

static void keys_print(const char *title, const coord_key_list *list)
{
    if (list->count > 0)
        printf("%s\n", title);
    for (uint32_t i = 0; i < list->count; i++)
        printf("  %s  %-9s  %s\n", list->items[i].public_key,
               list->items[i].role == COORD_ROLE_NONE ? "" : coord_role_text(list->items[i].role),
               list->items[i].name);
}

static df_status keys_list(const char *folder, const keys_options *o, df_error *err)
{
    coord_key_list keys = { 0 }, allowed = { 0 };
    df_status s = coord_keys_list(folder, &keys, err);

    if (s == DF_OK)
        s = coord_allowed_read(folder, &allowed, err);
    if (s == DF_OK && o->json && !coord_json_keys(stdout, folder, &keys, &allowed))
        s = df_fail(err, DF_EIO, "standard output");
    if (s == DF_OK && !o->json) {
        keys_print("our own:", &keys);
        keys_print("allowed to connect:", &allowed);
        if (keys.count + allowed.count == 0)
            printf("no keys in %s; make one: weir keys new NAME\n", folder);
    }
    coord_key_list_free(&keys);
    coord_key_list_free(&allowed);
    return s;
}

static df_status keys_do(const coord_args *args, const keys_options *o, df_error *err)
{
    const char *what = args->items[0], *which = args->count > 1 ? args->items[1] : NULL;
    char standard[4096];
    const char *folder = o->keys == NULL ? standard : o->keys;
    df_status s = o->keys == NULL ? coord_keys_folder(standard, sizeof standard, err) : DF_OK;
    bool allow = strcmp(what, "allow") == 0;

    if (s != DF_OK)
        return s;
    if (folder[0] == '\0')
        return df_fail(err, DF_EINVAL, "--keys is empty");
    if (!allow && (o->role != NULL || o->name != NULL))
        return df_fail(err, DF_EINVAL, "--role and --name belong to: weir keys allow KEY");
    if (strcmp(what, "list") == 0 && which == NULL)
        return keys_list(folder, o, err);
    if (strcmp(what, "new") == 0 && which != NULL)
        return keys_new(folder, which, o, err);
    if (strcmp(what, "deny") == 0 && which != NULL)
        return keys_set(folder, which, NULL, o, err);
    if (allow && which != NULL && o->role != NULL)
        return keys_set(folder, which, o->role, o, err);
    return df_fail(err, DF_EINVAL, "it is new NAME, allow KEY --role ROLE, deny KEY, or list");
}

static int keys_run(const coord_args *args, const void *options)
{
    df_error err = { 0 };
    df_status s = keys_do(args, options, &err);

    if (s == DF_OK)
        return COORD_DONE;
    fprintf(stderr, "weir keys: %s\n", err.text);
    return s == DF_EINVAL || s == DF_END ? COORD_USAGE : COORD_FAILED;
}

const coord_verb coord_verb_keys = {
    .name = "keys",
    .arguments = "ACTION [KEY]",
    .help = "make keys, and say whose may connect over tcp",
    .more = "weir keys new NAME                     make a key for this machine or person\n"
            "weir keys allow KEY --role ROLE        let somebody's key connect to our processes\n"
            "weir keys deny KEY                     do not any more; running processes obey in a second\n"
            "weir keys list                         our keys, and who is allowed\n"
            "\n"
            "KEY is a public key's 40 letters (in quotes) or a file that holds it, NAME.pub. The secret\n"
            "half stays in NAME.key.\n",
    .options = keys_table,
    .options_size = sizeof(keys_options),
    .argument_min = 1,
    .argument_max = 2,
    .run = keys_run,
};
