#include "coordinator/coord_kinds.h"

#include "operators/op_list.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const weir_operator *coord_kind_load(void *user, const char *path, const char *symbol,
                                     char error[256])
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const weir_operator *kind;

    (void)user;
    if (object == NULL) {
        snprintf(error, 256, "%s", dlerror());
        return NULL;
    }
    kind = dlsym(object, symbol);
    if (kind == NULL)
        snprintf(error, 256, "%s has no \"%s\"", path, symbol);
    else if (kind->api_version != WEIR_API_VERSION)
        snprintf(error, 256, "%s: \"%s\" was built for version %u of weir/operator.h, this is %d", path,
                 symbol, kind->api_version, WEIR_API_VERSION);
    else
        return kind;
    dlclose(object);
    return NULL;
}

const char *coord_kind_file(const weir_operator *kind)
{
    Dl_info found;

    for (uint32_t i = 0; i < op_kinds.count; i++)
        if (op_kinds.list[i] == kind)
            return NULL;
    return dladdr(kind, &found) == 0 ? NULL : found.dli_fname;
}

const char *coord_role_name(weir_role role)
{
    static const char *const names[] = { "?", "source", "phase", "aggregate", "sink" };

    return names[role <= WEIR_SINK ? role : 0];
}

const char *coord_exchange_name(weir_exchange exchange)
{
    static const char *const names[] = { "?",      "forward",   "halo",  "key_by",
                                         "lookup", "broadcast", "gather" };

    return names[exchange <= WEIR_GATHER ? exchange : 0];
}

void coord_option_type_text(const weir_option *option, char *text, size_t size)
{
    static const char *const names[] = {
        [WEIR_TEXT - WEIR_TEXT] = "text",
        [WEIR_CHOICE - WEIR_TEXT] = "choice",
        [WEIR_BOOL - WEIR_TEXT] = "true or false",
        [WEIR_RANGE - WEIR_TEXT] = "[least, most]",
        [WEIR_COLUMN - WEIR_TEXT] = "column",
        [WEIR_COLUMNS - WEIR_TEXT] = "list of columns",
        [WEIR_COMPUTE - WEIR_TEXT] = "NAME = \"function(column)\"",
        [WEIR_FILE_IN - WEIR_TEXT] = "file to read",
        [WEIR_FILE_OUT - WEIR_TEXT] = "file to write",
    };

    if (option->type == WEIR_CHOICE && option->choices != NULL)
        snprintf(text, size, "%s", option->choices);
    else if (option->type < WEIR_TEXT)
        snprintf(text, size, "%s", weir_type_name((weir_type)option->type));
    else
        snprintf(text, size, "%s", names[option->type - WEIR_TEXT]);
}
