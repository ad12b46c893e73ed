/* The list of keys that may connect, with their roles: lines of ROLE KEY [NAME]. The role comes
 * first because a key may begin with the sign of a comment. */
#include "coordinator/coord_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ALLOWED_PATH_SIZE 4096
#define ALLOWED_LINE_SIZE 256

static const char *const allowed_roles[] = {
    [COORD_ROLE_NONE] = "none",
    [COORD_ROLE_READ_ONLY] = "read-only",
    [COORD_ROLE_WORKER] = "worker",
    [COORD_ROLE_ADMIN] = "admin",
};

const char *coord_role_text(coord_role role)
{
    return allowed_roles[role <= COORD_ROLE_ADMIN ? role : COORD_ROLE_NONE];
}

coord_role coord_role_find(const char *text)
{
    for (coord_role r = COORD_ROLE_READ_ONLY; r <= COORD_ROLE_ADMIN; r++)
        if (strcmp(allowed_roles[r], text) == 0)
            return r;
    return COORD_ROLE_NONE;
}

static df_status allowed_path(char path[ALLOWED_PATH_SIZE], const char *folder, df_error *err)
{
    if (snprintf(path, ALLOWED_PATH_SIZE, "%s/allowed", folder) >= ALLOWED_PATH_SIZE)
        return df_fail(err, DF_EINVAL, "the folder's name is too long");
    return DF_OK;
}

static df_status allowed_append(coord_key_list *list, const coord_key *key, df_error *err)
{
    coord_key *items;

    if (list->count == COORD_ALLOWED_MAX)
        return df_fail(err, DF_ELIMIT, "more than %d keys", COORD_ALLOWED_MAX);
    if ((list->count & (list->count - 1)) == 0) { /* full at each power of two */
        items = realloc(list->items, (list->count == 0 ? 1 : 2 * (size_t)list->count) * sizeof *items);
        if (items == NULL)
            return df_fail(err, DF_ENOMEM, "out of memory");
        list->items = items;
    }
    list->items[list->count++] = *key;
    return DF_OK;
}

static coord_key *allowed_find(const coord_key_list *list, const char *public_key)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].public_key, public_key) == 0)
            return &list->items[i];
    return NULL;
}

/* One line, which is cut up. An empty one and a comment give nothing. */
static df_status allowed_line(char *line, coord_key_list *list, df_error *err)
{
    const char *blank = " \t\r";
    char *rest = line;
    const char *role = strtok_r(line, blank, &rest), *public_key, *name;
    coord_key key = { 0 };

    if (role == NULL || role[0] == '#')
        return DF_OK;
    public_key = strtok_r(NULL, blank, &rest);
    name = strtok_r(NULL, blank, &rest);
    key.role = coord_role_find(role);
    if (key.role == COORD_ROLE_NONE)
        return df_fail(err, DF_EINVAL, "role \"%.40s\": it is worker, admin or read-only", role);
    if (public_key == NULL || !coord_key_is(public_key))
        return df_fail(err, DF_EINVAL, "after the role comes a public key of 40 letters");
    if (name != NULL && (!coord_key_name_is(name) || strtok_r(NULL, blank, &rest) != NULL))
        return df_fail(err, DF_EINVAL, "after the key comes at most one name");
    if (allowed_find(list, public_key) != NULL)
        return df_fail(err, DF_EINVAL, "this key stands there twice");
    strcpy(key.public_key, public_key);
    strcpy(key.name, name == NULL ? "" : name);
    return allowed_append(list, &key, err);
}

df_status coord_allowed_read(const char *folder, coord_key_list *list, df_error *err)
{
    char path[ALLOWED_PATH_SIZE];
    char *text = NULL;
    size_t size = 0, number = 0;
    df_status s = allowed_path(path, folder, err);

    *list = (coord_key_list){ 0 };
    if (s == DF_OK)
        s = coord_key_file_read(path, 022, &text, &size, err);
    if (s != DF_OK)
        return s == DF_END ? DF_OK : s;
    if (memchr(text, '\0', size) != NULL)
        s = df_fail(err, DF_EINVAL, "%s: there is a zero byte in it", path);
    for (char *line = text, *end; s == DF_OK && line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        number++;
        s = allowed_line(line, list, err);
        if (s != DF_OK)
            df_wrap(err, s, "%s:%zu", path, number);
    }
    free(text);
    if (s != DF_OK)
        coord_key_list_free(list);
    return s;
}

static df_status allowed_write(const char *path, const coord_key_list *list, df_error *err)
{
    size_t capacity = ((size_t)list->count + 1) * ALLOWED_LINE_SIZE, size = 0;
    char *text = malloc(capacity);
    df_status s;

    if (text == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    size += (size_t)snprintf(text, capacity, "# Who may connect: ROLE KEY [NAME]; a role is worker, "
                                             "admin or read-only.\n");
    for (uint32_t i = 0; i < list->count; i++) {
        const coord_key *k = &list->items[i];

        size += (size_t)snprintf(text + size, capacity - size, "%s %s%s%s\n", coord_role_text(k->role),
                                 k->public_key, k->name[0] == '\0' ? "" : " ", k->name);
    }
    s = coord_key_file_write(path, 0644, false, text, size, err);
    free(text);
    return s;
}

static df_status allowed_change(coord_key_list *list, const coord_key *key, df_error *err)
{
    coord_key *old = allowed_find(list, key->public_key);

    if (old == NULL && key->role == COORD_ROLE_NONE)
        return df_fail(err, DF_END, "this key is not allowed anyway");
    if (old == NULL)
        return allowed_append(list, key, err);
    if (key->role != COORD_ROLE_NONE) {
        *old = *key;
        return DF_OK;
    }
    list->count--;
    memmove(old, old + 1, (size_t)(list->items + list->count - old) * sizeof *old);
    return DF_OK;
}

/* The folder is locked, so that two that change the list at once do not lose one of the changes. */
df_status coord_allowed_set(const char *folder, const coord_key *key, df_error *err)
{
    char path[ALLOWED_PATH_SIZE];
    coord_key_list list = { 0 };
    int lock = -1;
    df_status s = allowed_path(path, folder, err);

    if (s == DF_OK)
        s = coord_keys_make_folder(folder, err);
    if (s != DF_OK)
        return s;
    lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", folder, strerror(errno));
    if (s == DF_OK)
        s = coord_allowed_read(folder, &list, err);
    if (s == DF_OK)
        s = allowed_change(&list, key, err);
    if (s == DF_OK)
        s = allowed_write(path, &list, err);
    if (lock >= 0)
        close(lock);
    coord_key_list_free(&list);
    return s;
}
