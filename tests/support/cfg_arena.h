/* df_arena again, with one block of memory per request: each can be made to fail, and a sanitizer
 * sees every byte that is read beyond one. A test that includes this header uses it in place of the
 * engine's, as the program's own symbols go before a library's. */
#ifndef CFG_ARENA_H
#define CFG_ARENA_H

#include "dataflow/df_arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct cfg_arena_block {
    _Alignas(16) struct cfg_arena_block *next;
} cfg_arena_block;

struct df_arena {
    cfg_arena_block *blocks;
};

/* The number of the request that fails, counted from 0; SIZE_MAX: none does. */
static size_t cfg_arena_fails = SIZE_MAX;
static size_t cfg_arena_requests;

static void *cfg_arena_calloc(size_t size)
{
    return cfg_arena_requests++ == cfg_arena_fails ? NULL : calloc(1, size);
}

df_arena *df_arena_new(void)
{
    return cfg_arena_calloc(sizeof(df_arena));
}

void df_arena_free(df_arena **arena)
{
    if (*arena == NULL)
        return;
    for (cfg_arena_block *block = (*arena)->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(*arena);
    *arena = NULL;
}

void *df_arena_alloc(df_arena *arena, size_t size)
{
    cfg_arena_block *block = cfg_arena_calloc(sizeof *block + size);

    if (block == NULL)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    return block + 1;
}

char *df_arena_text(df_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = df_arena_alloc(arena, size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

#endif
