/* What the tests of appending share: a text, a folder, and short names for the calls. Include it in one
 * .c of a test program. */
#ifndef APPEND_SCENE_H
#define APPEND_SCENE_H

#include "operators/op_append.h"
#include "tests/support/sync_spy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#define SMALL 100    /* bytes; more than a mark's tail */
#define LARGE 300000 /* more than is compared at a time */
#define BOOT_AT 9    /* of the boot id in a mark */

static char folder[] = "/tmp/weir-append-XXXXXX";
static char text[LARGE + 1];
static df_error error;

static inline const char *at(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static inline op_append *begin(const char *name)
{
    op_append *file;

    if (op_append_open(&file, at(name), NULL, &error) != DF_OK)
        fail_msg("%s", error.text);
    return file;
}

static inline op_append *resume(const char *name, const weir_mark *mark)
{
    op_append *file;

    if (op_append_open(&file, at(name), mark, &error) != DF_OK)
        fail_msg("%s", error.text);
    return file;
}

static inline void put(op_append *file, size_t from, size_t to)
{
    if (op_append_write(file, text + from, to - from, &error) != DF_OK)
        fail_msg("%s", error.text);
    op_append_whole(file);
}

static inline weir_mark mark_of(op_append *file)
{
    weir_mark mark;

    assert_int_equal(op_append_mark(file, &mark, &error), DF_OK);
    assert_in_range(mark.size, 1, WEIR_MARK_MAX);
    return mark;
}

static inline void end(op_append *file)
{
    assert_int_equal(op_append_close(&file, &error), DF_OK);
    assert_null(file);
}

/* Put a file there as a killed process would have left it. */
static inline void leave(const char *name, const void *bytes, size_t size)
{
    FILE *f;

    (void)unlink(at(name)); /* a file that is emptied and written is flushed by some file systems */
    f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void holds(const char *name, const void *bytes, size_t size)
{
    static char found[LARGE + 2];
    FILE *f = fopen(at(name), "rb");

    assert_non_null(f);
    assert_int_equal(fread(found, 1, sizeof(found), f), size);
    fclose(f);
    assert_memory_equal(found, bytes, size);
}

/* A mark of the text's first `offset` bytes. */
static inline weir_mark mark_at(size_t offset)
{
    op_append *file;
    weir_mark mark;

    (void)unlink(at("marked"));
    file = begin("marked");
    if (offset > 7)
        put(file, 0, 7);
    put(file, offset > 7 ? 7 : 0, offset);
    mark = mark_of(file);
    end(file);
    return mark;
}

static inline void refused(const char *name, const weir_mark *mark, df_status status, const char *why)
{
    op_append *file = (op_append *)folder;

    assert_int_equal(op_append_open(&file, at(name), mark, &error), status);
    assert_null(file);
    assert_non_null(strstr(error.text, name));
    if (strstr(error.text, why) == NULL)
        fail_msg("found \"%s\", expected \"%s\"", error.text, why);
}

static int set_up(void **unused)
{
    uint32_t s = 1;

    (void)unused;
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < LARGE; i++) {
        s = s * 1664525u + 1013904223u;
        text[i] = (char)('a' + (s >> 24) % 26);
    }
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **unused)
{
    char command[128];

    (void)unused;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

#endif
