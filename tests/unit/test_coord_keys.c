/* Key files and the list of who is allowed. */
#include "coordinator/coord_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static df_error error;
static char top[32], folder[64];

static const char *at(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(at(name), "w");

    fputs(text, f);
    fclose(f);
    chmod(at(name), mode);
}

static void says(df_status s, const char *text)
{
    assert_int_equal(s, DF_EINVAL);
    if (strstr(error.text, text) == NULL)
        fail_msg("%s: not in: %s", text, error.text);
}

static void test_new(void **state)
{
    coord_key made, read;
    char secret[COORD_KEY_SIZE], text[COORD_KEY_SIZE];
    struct stat st;

    (void)state;
    assert_int_equal(coord_keys_new(folder, "alice", &made, &error), DF_OK);
    assert_true(coord_key_is(made.public_key));
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(at("alice.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(coord_keys_load(folder, "alice", &read, secret, &error), DF_OK);
    assert_string_equal(read.public_key, made.public_key);
    assert_string_equal(read.name, "alice");
    assert_int_equal(coord_keys_load(folder, NULL, &read, secret, &error), DF_OK); /* the only one */
    assert_string_equal(read.public_key, made.public_key);
    assert_int_equal(coord_key_read(at("alice.pub"), text, &error), DF_OK);
    assert_string_equal(text, made.public_key);
    assert_string_not_equal(text, secret);

    says(coord_keys_new(folder, "alice", &read, &error), "it is there already");
    assert_int_equal(coord_keys_load(folder, "alice", &read, secret, &error), DF_OK); /* unchanged */
    assert_string_equal(read.public_key, made.public_key);
    assert_int_equal(coord_keys_new(folder, "bob", &read, &error), DF_OK);
    says(coord_keys_load(folder, NULL, &read, secret, &error), "2 keys");
    says(coord_keys_new(folder, "../x", &read, &error), "a key's name");
    says(coord_keys_new(folder, "", &read, &error), "a key's name");
    says(coord_keys_new(folder, ".x", &read, &error), "a key's name");
}

static void test_list(void **state)
{
    coord_key_list list;
    coord_key key;

    (void)state;
    assert_int_equal(coord_keys_list(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 0); /* no folder yet */
    assert_int_equal(coord_keys_new(folder, "b", &key, &error), DF_OK);
    assert_int_equal(coord_keys_new(folder, "a", &key, &error), DF_OK);
    put("notes.txt", "", 0644);
    assert_int_equal(coord_keys_list(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "a");
    assert_string_equal(list.items[0].public_key, key.public_key);
    coord_key_list_free(&list);
}

/* A secret that others can read is refused, and so is one that was changed; nothing of it is
 * said. */
static void test_secret(void **state)
{
    coord_key key;
    char secret[COORD_KEY_SIZE] = "", text[512], first[COORD_KEY_SIZE];

    (void)state;
    assert_int_equal(coord_keys_new(folder, "a", &key, &error), DF_OK);
    for (mode_t mode = 0601; mode <= 0640; mode++) {
        if ((mode & 077) == 0)
            continue;
        chmod(at("a.key"), mode);
        says(coord_keys_load(folder, "a", &key, secret, &error), "chmod");
    }
    chmod(at("a.key"), 0600);
    assert_int_equal(coord_keys_load(folder, "a", &key, first, &error), DF_OK);
    snprintf(text, sizeof text, "public %s\nsecret %s\n", first, first); /* not a pair */
    put("a.key", text, 0600);
    memset(secret, 'x', sizeof secret);
    says(coord_keys_load(folder, "a", &key, secret, &error), "damaged");
    assert_null(strstr(error.text, first));
    assert_int_equal(secret[0], 0); /* nothing is left of it */
    snprintf(text, sizeof text, "secret %s\n", first);
    put("a.key", text, 0600);
    says(coord_keys_load(folder, "a", &key, secret, &error), "damaged");
    put("a.key", "", 0600);
    says(coord_keys_load(folder, "a", &key, secret, &error), "damaged");
    says(coord_keys_load(folder, "z", &key, secret, &error), "no such file");
    assert_int_equal(coord_key_read(at("a.key"), text, &error), DF_EINVAL);
    assert_int_equal(mkdir(at("d.key"), 0700), 0);
    says(coord_keys_load(folder, "d", &key, secret, &error), "no key file");
    rmdir(at("d.key"));
}

static void test_allowed(void **state)
{
    coord_key a, b;
    coord_key_list list;

    (void)state;
    assert_int_equal(coord_keys_new(folder, "a", &a, &error), DF_OK);
    assert_int_equal(coord_keys_new(folder, "b", &b, &error), DF_OK);
    assert_int_equal(coord_allowed_read(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 0);
    a.role = COORD_ROLE_WORKER;
    b.role = COORD_ROLE_READ_ONLY;
    b.name[0] = '\0';
    assert_int_equal(coord_allowed_set(folder, &a, &error), DF_OK);
    assert_int_equal(coord_allowed_set(folder, &b, &error), DF_OK);
    a.role = COORD_ROLE_ADMIN;
    assert_int_equal(coord_allowed_set(folder, &a, &error), DF_OK);
    assert_int_equal(coord_allowed_read(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].public_key, a.public_key);
    assert_string_equal(list.items[0].name, "a");
    assert_int_equal(list.items[0].role, COORD_ROLE_ADMIN);
    assert_string_equal(list.items[1].name, "");
    assert_int_equal(list.items[1].role, COORD_ROLE_READ_ONLY);
    coord_key_list_free(&list);
    a.role = COORD_ROLE_NONE;
    assert_int_equal(coord_allowed_set(folder, &a, &error), DF_OK);
    assert_int_equal(coord_allowed_set(folder, &a, &error), DF_END);
    assert_int_equal(coord_allowed_read(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 1);
    coord_key_list_free(&list);
}

static void wrong(const char *format, const char *key, const char *text)
{
    char line[512];
    coord_key_list list;

    snprintf(line, sizeof line, format, key, key);
    put("allowed", line, 0644);
    says(coord_allowed_read(folder, &list, &error), text);
    assert_int_equal(list.count, 0);
    assert_null(list.items);
}

static void test_allowed_wrong(void **state)
{
    coord_key k;
    coord_key_list list;
    char line[512];

    (void)state;
    assert_int_equal(coord_keys_new(folder, "a", &k, &error), DF_OK);
    wrong("\n# x\nboss %s\n", k.public_key, "allowed:3: role \"boss\"");
    wrong("none %s\n", k.public_key, "allowed:1: role \"none\"");
    wrong("worker\n%s", "", "after the role");
    wrong("worker %.39s\n", k.public_key, "after the role");
    wrong("worker %sx\n", k.public_key, "after the role");
    wrong("worker %.39s~\n", k.public_key, "after the role");
    wrong("worker %s a b\n", k.public_key, "at most one name");
    wrong("worker %s a/b\n", k.public_key, "at most one name");
    wrong("worker %s a\nadmin %s a\n", k.public_key, "twice");
    snprintf(line, sizeof line, "  worker\t%s  the.one \r\n\n#admin\n", k.public_key); /* right, if odd */
    put("allowed", line, 0644);
    assert_int_equal(coord_allowed_read(folder, &list, &error), DF_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "the.one");
    coord_key_list_free(&list);
    chmod(at("allowed"), 0664);
    says(coord_allowed_read(folder, &list, &error), "others can change it");
}

static void test_texts(void **state)
{
    char path[4096], small[8];

    (void)state;
    for (coord_role r = COORD_ROLE_READ_ONLY; r <= COORD_ROLE_ADMIN; r++)
        assert_int_equal(coord_role_find(coord_role_text(r)), r);
    assert_int_equal(coord_role_find("none"), COORD_ROLE_NONE);
    assert_false(coord_key_is(""));
    assert_false(coord_key_is("0123456789012345678901234567890123456789x"));
    assert_false(coord_key_is("%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%% "));
    says(coord_key_read("neither", path, &error), "neither a key");
    setenv("HOME", "/home/x", 1);
    unsetenv("XDG_CONFIG_HOME");
    assert_int_equal(coord_keys_folder(path, sizeof path, &error), DF_OK);
    assert_string_equal(path, "/home/x/.config/weir/keys");
    setenv("XDG_CONFIG_HOME", "/c", 1);
    assert_int_equal(coord_keys_folder(path, sizeof path, &error), DF_OK);
    assert_string_equal(path, "/c/weir/keys");
    assert_int_equal(coord_keys_folder(small, sizeof small, &error), DF_EINVAL);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    says(coord_keys_folder(path, sizeof path, &error), "HOME is not set");
}

static int setup(void **state)
{
    (void)state;
    strcpy(top, "/tmp/weir_keyf_XXXXXX");
    if (mkdtemp(top) == NULL)
        return -1;
    snprintf(folder, sizeof folder, "%s/x/keys", top);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = { "alice.key", "alice.pub", "bob.key", "bob.pub", "a.key",
                                         "a.pub", "b.key", "b.pub", "notes.txt", "allowed" };
    char upper[64];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(at(names[i]));
    rmdir(folder); /* fails if a temporary file was left behind, and then the last one does */
    snprintf(upper, sizeof upper, "%s/x", top);
    rmdir(upper);
    return rmdir(top);
}

#define KEYS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYS_TEST(test_new),     KEYS_TEST(test_list),          KEYS_TEST(test_secret),
        KEYS_TEST(test_allowed), KEYS_TEST(test_allowed_wrong), cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
