/* What a worker says of its part is bytes from outside. What is accepted can be walked, and is the
 * same when it is said again. */
#include "coordinator/coord_part.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_again(const coord_part *p, const uint8_t *data, size_t size)
{
    coord_part_writer w;
    uint8_t *again;
    size_t again_size;
    df_error err;

    coord_part_begin(&w);
    for (uint32_t i = 0; i < p->group_count; i++)
        coord_part_put_group(&w, p->groups[i].table, p->groups[i].key_group, p->groups[i].rows,
                             p->groups[i].written, p->groups[i].count);
    for (uint32_t i = 0; i < p->item_count; i++)
        coord_part_put_item(&w, p->items[i].kind, p->items[i].name, p->items[i].key_group,
                            p->items[i].bytes, p->items[i].size);
    if (coord_part_end(&w, p->file ? &p->info : NULL, &again, &again_size, &err) != DF_OK ||
        again_size != size || memcmp(again, data, size) != 0)
        abort();
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    coord_part *p;
    df_error err;

    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    if (coord_part_decode(&p, &bytes, size, &err) == DF_OK)
        say_again(p, data, size);
    coord_part_free(&p);
    return 0;
}
