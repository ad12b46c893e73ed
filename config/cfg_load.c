/* A job file from disk. */
#include "config/cfg_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

df_status cfg_read_file(const char *path, char *text, size_t *size, df_report *report)
{
    FILE *file = fopen(path, "rb");
    df_status status = DF_OK;

    if (file == NULL) {
        df_report_add(report, (df_place){ 0, 0 }, "%s", strerror(errno));
        return DF_EINVAL;
    }
    *size = fread(text, 1, CFG_FILE_SIZE, file);
    if (ferror(file)) {
        df_report_add(report, (df_place){ 0, 0 }, "cannot be read: %s", strerror(errno));
        status = errno == EISDIR ? DF_EINVAL : DF_EIO;
    }
    fclose(file);
    return status;
}

df_status cfg_load(df_draft **out, const char *path, const cfg_options *options, df_report *report)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == path   ? strdup("/")
                      : slash != NULL ? strndup(path, (size_t)(slash - path))
                                      : strdup(".");
    char *text = malloc(CFG_FILE_SIZE);
    df_status status = DF_ENOMEM;
    size_t size;

    *out = NULL;
    if (directory == NULL || text == NULL)
        df_report_add(report, (df_place){ 0, 0 }, "out of memory");
    else
        status = cfg_read_file(path, text, &size, report);
    if (status == DF_OK)
        status = cfg_read(out, path, directory, text, size, options, report);
    free(text);
    free(directory);
    return status;
}
