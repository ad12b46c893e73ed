/* A process's own keys. */
#include "coordinator/coord_keys.h"

#include "coordinator/coord_net_zap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_PATH_SIZE 4096

/* ---- files ---- */

df_status coord_key_file_read(const char *path, uint32_t forbidden, char **out, size_t *size,
                              df_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    df_status s = DF_OK;
    struct stat st;
    char *text = NULL;
    ssize_t got;

    *out = NULL;
    if (fd < 0 && errno == ENOENT)
        return df_fail(err, DF_END, "%s: there is no such file", path);
    if (fd < 0 || fstat(fd, &st) != 0) {
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > COORD_KEY_FILE_SIZE) {
        s = df_fail(err, DF_EINVAL, "%s: this is no key file", path);
    } else if (st.st_uid != geteuid() && st.st_uid != 0) {
        s = df_fail(err, DF_EINVAL, "%s: it belongs to another user", path);
    } else if ((st.st_mode & forbidden) != 0) {
        s = df_fail(err, DF_EINVAL, "%s: others can %s it (mode %04o); chmod %s %s", path,
                    (forbidden & 044) != 0 ? "read" : "change", st.st_mode & 07777,
                    (forbidden & 044) != 0 ? "600" : "644", path);
    }
    if (s != DF_OK)
        goto out;
    text = calloc(1, (size_t)st.st_size + 1);
    got = text == NULL ? 0 : read(fd, text, (size_t)st.st_size);
    if (text == NULL || got < 0) {
        s = df_fail(err, text == NULL ? DF_ENOMEM : DF_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    *size = (size_t)got;
    *out = text;
    text = NULL;
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return s;
}

static bool file_put(int fd, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, text + done, size - done);

        if (n < 0 && errno != EINTR)
            return false;
        done += n < 0 ? 0 : (size_t)n;
    }
    return fsync(fd) == 0;
}

df_status coord_key_file_write(const char *path, uint32_t mode, bool fresh, const char *text,
                               size_t size, df_error *err)
{
    char temporary[KEYS_PATH_SIZE + 16];
    df_status s = DF_OK;
    int fd;

    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    if (!file_put(fd, text, size) || fchmod(fd, mode) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    else if (fresh && link(temporary, path) != 0)
        s = df_fail(err, errno == EEXIST ? DF_EINVAL : DF_EIO, "%s: %s", path,
                    errno == EEXIST ? "it is there already" : strerror(errno));
    else if (!fresh && rename(temporary, path) != 0)
        s = df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
    close(fd);
    if (fresh || s != DF_OK)
        unlink(temporary);
    return s;
}

df_status coord_keys_make_folder(const char *folder, df_error *err)
{
    char path[KEYS_PATH_SIZE];

    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path)
        return df_fail(err, DF_EINVAL, "the folder's name is too long");
    for (char *end = path + 1;; end++) {
        char kept = *end;

        if (kept != '/' && kept != '\0')
            continue;
        *end = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return df_fail(err, DF_EIO, "%s: %s", path, strerror(errno));
        *end = kept;
        if (kept == '\0')
            return DF_OK;
    }
}

df_status coord_keys_folder(char *path, size_t size, df_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = -1;

    if (config != NULL && config[0] == '/')
        n = snprintf(path, size, "%s/weir/keys", config);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, size, "%s/.config/weir/keys", home);
    if (n < 0 || (size_t)n >= size)
        return df_fail(err, DF_EINVAL, "no folder for keys: HOME is not set; give --keys");
    return DF_OK;
}

df_status coord_keys_find(char path[DF_PATH_MAX], const char *given, df_error *err)
{
    char folder[DF_PATH_MAX];
    df_status s = DF_OK;

    if (given != NULL)
        snprintf(folder, sizeof folder, "%s", given);
    else
        s = coord_keys_folder(folder, sizeof folder, err);
    if (s == DF_OK && realpath(folder, path) == NULL)
        s = df_fail(err, DF_EINVAL, "%.300s: there are no keys: weir keys new NAME", folder);
    return s;
}

/* ---- texts ---- */

bool coord_key_name_is(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return size > 0 && size < COORD_KEY_NAME_SIZE && name[size] == '\0' && name[0] != '.' &&
           name[0] != '-';
}

bool coord_key_is(const char *text)
{
    uint8_t bytes[32];

    return strlen(text) == COORD_KEY_SIZE - 1 && net_key_decode(text, bytes);
}

df_status coord_key_read(const char *text, char key[COORD_KEY_SIZE], df_error *err)
{
    char *read = NULL;
    size_t size;
    df_status s;

    if (coord_key_is(text)) {
        strcpy(key, text);
        return DF_OK;
    }
    s = coord_key_file_read(text, 0, &read, &size, err);
    if (s == DF_END)
        return df_fail(err, DF_EINVAL, "%.200s: neither a key of 40 letters nor a file", text);
    if (s != DF_OK)
        return s;
    read[strcspn(read, "\r\n")] = '\0';
    if (coord_key_is(read))
        strcpy(key, read);
    else
        s = df_fail(err, DF_EINVAL, "%.200s: its first line is no public key", text);
    explicit_bzero(read, size);
    free(read);
    return s;
}

/* ---- keys ---- */

static df_status keys_path(char path[KEYS_PATH_SIZE], const char *folder, const char *name,
                           const char *end, df_error *err)
{
    if (!coord_key_name_is(name))
        return df_fail(err, DF_EINVAL, "\"%.80s\": a key's name is of letters, digits, \".\", \"_\" "
                       "and \"-\", at most 64", name);
    if (snprintf(path, KEYS_PATH_SIZE, "%s/%s%s", folder, name, end) >= KEYS_PATH_SIZE)
        return df_fail(err, DF_EINVAL, "the folder's name is too long");
    return DF_OK;
}

df_status coord_keys_new(const char *folder, const char *name, coord_key *key, df_error *err)
{
    char path[KEYS_PATH_SIZE], public_path[KEYS_PATH_SIZE], secret[COORD_KEY_SIZE], text[512];
    df_status s = keys_path(path, folder, name, ".key", err);

    *key = (coord_key){ 0 };
    if (s == DF_OK)
        s = keys_path(public_path, folder, name, ".pub", err);
    if (s == DF_OK)
        s = coord_keys_make_folder(folder, err);
    if (s == DF_OK)
        s = net_key_make(key->public_key, secret, err);
    if (s != DF_OK)
        return s;
    strcpy(key->name, name);
    snprintf(text, sizeof text, "# The secret key of \"%s\": show it to nobody.\npublic %s\nsecret %s\n",
             name, key->public_key, secret);
    s = coord_key_file_write(path, 0600, true, text, strlen(text), err);
    if (s == DF_OK) {
        snprintf(text, sizeof text, "%s\n", key->public_key);
        s = coord_key_file_write(public_path, 0644, false, text, strlen(text), err);
        if (s != DF_OK)
            unlink(path);
    }
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(text, sizeof text);
    return s;
}

/* The line "WORD KEY" of a key file, into key. */
static bool keys_line(const char *text, const char *word, char key[COORD_KEY_SIZE])
{
    size_t size = strlen(word);

    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, word, size) != 0 || line[size] != ' ' ||
            strcspn(line + size + 1, "\r\n") != COORD_KEY_SIZE - 1)
            continue;
        memcpy(key, line + size + 1, COORD_KEY_SIZE - 1);
        key[COORD_KEY_SIZE - 1] = '\0';
        return coord_key_is(key);
    }
    return false;
}

/* What is wrong is said without a word of what stands in the file. */
static df_status keys_read(const char *folder, const char *name, coord_key *key,
                           char secret[COORD_KEY_SIZE], df_error *err)
{
    char path[KEYS_PATH_SIZE], check[COORD_KEY_SIZE];
    char *text = NULL;
    size_t size = 0;
    df_status s = keys_path(path, folder, name, ".key", err);

    if (s == DF_OK)
        s = coord_key_file_read(path, 077, &text, &size, err);
    if (s != DF_OK)
        return s == DF_END ? DF_EINVAL : s;
    *key = (coord_key){ 0 };
    strcpy(key->name, name);
    if (!keys_line(text, "public", key->public_key) || !keys_line(text, "secret", secret) ||
        !net_key_public(secret, check) || strcmp(check, key->public_key) != 0) {
        explicit_bzero(secret, COORD_KEY_SIZE);
        s = df_fail(err, DF_EINVAL, "%s: this key is damaged", path);
    }
    explicit_bzero(text, size);
    free(text);
    return s;
}

static int keys_order(const void *a, const void *b)
{
    return strcmp(((const coord_key *)a)->name, ((const coord_key *)b)->name);
}

void coord_key_list_free(coord_key_list *list)
{
    free(list->items);
    *list = (coord_key_list){ 0 };
}

static df_status keys_append(coord_key_list *list, const char *name, df_error *err)
{
    coord_key *items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    list->items = items;
    items[list->count] = (coord_key){ 0 };
    strcpy(items[list->count++].name, name);
    return DF_OK;
}

/* The names of the *.key files in the folder. */
static df_status keys_names(const char *folder, coord_key_list *list, df_error *err)
{
    DIR *dir = opendir(folder);
    df_status s = DF_OK;
    struct dirent *entry;

    *list = (coord_key_list){ 0 };
    if (dir == NULL && errno == ENOENT)
        return DF_OK;
    if (dir == NULL)
        return df_fail(err, DF_EIO, "%s: %s", folder, strerror(errno));
    while (s == DF_OK && (entry = readdir(dir)) != NULL) {
        char name[sizeof entry->d_name];
        size_t size = strlen(entry->d_name);

        if (size <= 4 || strcmp(entry->d_name + size - 4, ".key") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(size - 4), entry->d_name);
        if (coord_key_name_is(name) && list->count < COORD_ALLOWED_MAX)
            s = keys_append(list, name, err);
    }
    closedir(dir);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof *list->items, keys_order);
    if (s != DF_OK)
        coord_key_list_free(list);
    return s;
}

df_status coord_keys_list(const char *folder, coord_key_list *list, df_error *err)
{
    char secret[COORD_KEY_SIZE];
    df_status s = keys_names(folder, list, err);

    for (uint32_t i = 0; s == DF_OK && i < list->count; i++) {
        char name[COORD_KEY_NAME_SIZE];

        strcpy(name, list->items[i].name);
        s = keys_read(folder, name, &list->items[i], secret, err);
    }
    explicit_bzero(secret, sizeof secret);
    if (s != DF_OK)
        coord_key_list_free(list);
    return s;
}

df_status coord_keys_load(const char *folder, const char *name, coord_key *key,
                          char secret[COORD_KEY_SIZE], df_error *err)
{
    coord_key_list list = { 0 };
    df_status s = DF_OK;

    if (name == NULL) {
        s = keys_names(folder, &list, err);
        if (s == DF_OK && list.count == 0)
            s = df_fail(err, DF_EINVAL, "no key in %s; make one: weir keys new NAME", folder);
        else if (s == DF_OK && list.count > 1)
            s = df_fail(err, DF_EINVAL, "%u keys in %s; say which", list.count, folder);
        else if (s == DF_OK)
            name = list.items[0].name;
    }
    if (s == DF_OK)
        s = keys_read(folder, name, key, secret, err);
    coord_key_list_free(&list);
    return s;
}
