/* weir snapshot verify: what it says of a store that is whole, of one with a damaged chunk, a
 * damaged table and a lost database, and of what is no store. Each call of the verb is a process.
 */
#include "coordinator/coord_verb.h"
#include "tests/support/snap_scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64]; /* the state of a job; root/store is the store */
static char out[65536], err[65536];

static void read_text(const char *path, char text[65536])
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    text[fread(text, 1, 65535, file)] = '\0';
    fclose(file);
}

/* Run the command line in a child; its output is in `out` and `err`. Returns its exit code. */
static int verify(const char *directory, bool json)
{
    char *argv[] = { "weir", "snapshot", "verify", (char *)(uintptr_t)directory, "--json", NULL };
    char out_path[96], err_path[96];
    int status;
    pid_t child;

    snprintf(out_path, sizeof out_path, "%s/out", root);
    snprintf(err_path, sizeof err_path, "%s/err", root);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen(out_path, "wb", stdout) == NULL || freopen(err_path, "wb", stderr) == NULL)
            _exit(100);
        status = coord_main(json ? 5 : 4, argv);
        fflush(stderr);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    read_text(out_path, out);
    read_text(err_path, err);
    return WEXITSTATUS(status);
}

static void has(const char *text, const char *what)
{
    if (strstr(text, what) == NULL)
        fail_msg("\"%s\" is not in:\n%s", what, text);
}

/* Two snapshots; the second keeps all chunks of the first but those of column x. */
static void write_store(void)
{
    char folder[96];
    int status;
    pid_t child = fork();

    if (child == 0) {
        snap_store_options options = { 0 };
        scene s = scene_new();
        snap_store *store;
        df_disk disk;

        s.workers = 1;
        df_disk_posix_init(&disk);
        snprintf(folder, sizeof folder, "%s/store", root);
        if (snap_store_open_rocksdb(&store, &disk, folder, &options, NULL) != DF_OK ||
            scene_commit(store, &s, 1, "", NULL, NULL) != DF_OK)
            _exit(1);
        s.versions[1] = 2;
        if (scene_commit(store, &s, 2, "", NULL, NULL) != DF_OK)
            _exit(2);
        snap_store_close(&store);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/test_coord_snapshot.XXXXXX");
    assert_non_null(mkdtemp(root));
    write_store();
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

/* Flip a byte of the first table in the store, `from_end` or counted from its begin. */
static void damage_table(long at, bool from_end)
{
    char path[256], first[64] = "~";
    struct dirent *entry;
    DIR *folder;
    FILE *file;
    int byte;

    snprintf(path, sizeof path, "%s/store/db", root);
    folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (strstr(entry->d_name, ".sst") != NULL && strcmp(entry->d_name, first) < 0)
            snprintf(first, sizeof first, "%.60s", entry->d_name);
    closedir(folder);
    snprintf(path, sizeof path, "%s/store/db/%s", root, first);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, from_end ? SEEK_END : SEEK_SET), 0);
    byte = fgetc(file);
    assert_true(byte != EOF);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    fputc(byte ^ 0xff, file);
    fclose(file);
}

static void test_whole(void **state)
{
    char store[96];

    (void)state;
    assert_int_equal(verify(root, false), 0);
    has(out, "/store: 2 snapshots, the current one is 2; ");
    has(out, " bytes read; no damage\n");
    snprintf(store, sizeof store, "%s/store", root);
    assert_int_equal(verify(store, false), 0);
    has(out, "no damage");
    assert_int_equal(verify(root, true), 0);
    has(out, "{\"store\":\"/tmp/");
    has(out, "\"head\":2,\"damage\":[],\"status\":\"whole\",\"snapshots\":2,");
    has(out, "\"damaged\":0}\n");
}

static void test_damaged_chunk(void **state)
{
    char *line;

    (void)state;
    damage_table(20, false);
    assert_int_equal(verify(root, false), 1);
    line = strstr(out, ".sst: snapshot 1, state \"birds\", key group 0, column id, chunk 0: ");
    assert_non_null(line);
    has(out, ".sst: snapshot 2, state \"birds\", key group 0, column id, chunk 0: "); /* the same
                                                                                         chunk */
    assert_null(strstr(out, "column x")); /* a chunk has a block of its own */
    has(out, " 2 damaged\n");
    assert_string_equal(err, "");
    assert_int_equal(verify(root, true), 1);
    has(out, "\"state\":\"birds\",\"key_group\":0,\"column\":\"id\",\"chunk\":0},{\"file\":");
    has(out, "\"status\":\"damaged\",\"snapshots\":2,");
}

/* RocksDB will not open it: no snapshot can be read, and the file is named. */
static void test_damaged_table(void **state)
{
    (void)state;
    damage_table(-1, true);
    assert_int_equal(verify(root, false), 1);
    has(err, "weir snapshot: ");
    has(err, ".sst");
    assert_int_equal(verify(root, true), 1);
    has(out, "\"head\":null,\"damage\":[],\"status\":\"failed\",");
    has(out, "\"error\":\"");
}

static void test_lost_database(void **state)
{
    char path[96];

    (void)state;
    snprintf(path, sizeof path, "%s/store/db/CURRENT", root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(verify(root, false), 1);
    has(err, "/store/db: the database is lost, and the current snapshot was 2\n");
}

static void test_no_store(void **state)
{
    char path[5000] = "/";

    (void)state;
    assert_int_equal(verify("/nowhere/at/all", false), 2);
    has(err, "weir snapshot: /nowhere/at/all: there is no store of snapshots\n");
    memset(path + 1, 'p', sizeof path - 2);
    assert_int_equal(verify(path, false), 2);
    has(err, "the path is too long\n");
    assert_int_equal(verify(path, true), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_chunk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_store, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
