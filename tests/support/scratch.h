/* A folder in /tmp for all tests of a program: made before the first, removed after the last, which leave it
 * empty. For the group functions of cmocka. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/weir_test.XXXXXX";

static int scratch_make(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int scratch_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

#endif
