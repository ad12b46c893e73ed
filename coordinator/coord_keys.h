/* Key files: who a process is, and who may connect to it. README.md in this folder describes them.
 *
 *   NAME.key   the secret of one key, mode 0600      NAME.pub   its public half, to be given away
 *   allowed    one line per key that may connect: ROLE KEY [NAME]
 *
 * Keys are Curve25519, written in Z85: 40 letters without spaces. A secret is read by
 * coord_keys_load only and stands in no message. */
#ifndef COORD_KEYS_H
#define COORD_KEYS_H

#include "coordinator/coord_net.h"
#include "dataflow/df_disk.h"

#define COORD_KEY_SIZE      41 /* its text, with the end */
#define COORD_KEY_NAME_SIZE 65
#define COORD_ALLOWED_MAX   4096  /* lines of a list */

typedef struct coord_key {
    char name[COORD_KEY_NAME_SIZE]; /* "" if it has none */
    char public_key[COORD_KEY_SIZE];
    coord_role role; /* in a list of who is allowed */
} coord_key;

typedef struct coord_key_list {
    uint32_t count;
    coord_key *items; /* owned */
} coord_key_list;

/* "worker", "admin", "read-only"; "none". */
const char *coord_role_text(coord_role role);
/* COORD_ROLE_NONE: there is no such role. */
coord_role coord_role_find(const char *text);

/* Where keys are kept: ${XDG_CONFIG_HOME:-~/.config}/weir/keys. */
df_status coord_keys_folder(char *path, size_t size, df_error *err) DF_MUST_CHECK;
/* The whole path of a folder of keys, for others who read it from elsewhere: of `given`, or (null) of where keys
 * are kept. DF_EINVAL: it is not there. */
df_status coord_keys_find(char path[DF_PATH_MAX], const char *given, df_error *err) DF_MUST_CHECK;

/* Whether this is a public key's text. */
bool coord_key_is(const char *text);
/* A key's text: `text` itself, or what stands in the file that it names. */
df_status coord_key_read(const char *text, char key[COORD_KEY_SIZE], df_error *err) DF_MUST_CHECK;

/* Make NAME.key and NAME.pub; the folder too. DF_EINVAL: the name is taken, or is none. */
df_status coord_keys_new(const char *folder, const char *name, coord_key *key,
                         df_error *err) DF_MUST_CHECK;
/* Read a secret key; name null: the only one there. DF_EINVAL: it is not there, others than its
 * owner can read it, or it is damaged. The caller clears `secret`. */
df_status coord_keys_load(const char *folder, const char *name, coord_key *key,
                          char secret[COORD_KEY_SIZE], df_error *err) DF_MUST_CHECK;
/* Which keys are in the folder, by name. */
df_status coord_keys_list(const char *folder, coord_key_list *list, df_error *err) DF_MUST_CHECK;

/* Who is allowed, in the file's order; no file: nobody. DF_EINVAL with the line: a wrong line, or
 * others can write the file. The list is then empty. */
df_status coord_allowed_read(const char *folder, coord_key_list *list, df_error *err) DF_MUST_CHECK;
/* Allow a key, or change its role and name; role NONE: take it off the list. DF_END: it was not
 * there. */
df_status coord_allowed_set(const char *folder, const coord_key *key, df_error *err) DF_MUST_CHECK;
void coord_key_list_free(coord_key_list *list);

/* For the two files of this module: whole small files, read with their mode looked at, written at
 * once or not at all. */
#define COORD_KEY_FILE_SIZE (1u << 20)

/* text[*size] is 0; the caller frees it. DF_END: there is no file. DF_EINVAL: its mode has a bit of
 * `forbidden`, it is another user's, or too large. */
df_status coord_key_file_read(const char *path, uint32_t forbidden, char **text, size_t *size,
                              df_error *err) DF_MUST_CHECK;
/* `fresh`: it must not be there yet (DF_EINVAL). */
df_status coord_key_file_write(const char *path, uint32_t mode, bool fresh, const char *text,
                               size_t size, df_error *err) DF_MUST_CHECK;
bool coord_key_name_is(const char *name);
/* The folder and those above it, for this user only. */
df_status coord_keys_make_folder(const char *folder, df_error *err) DF_MUST_CHECK;

#endif
