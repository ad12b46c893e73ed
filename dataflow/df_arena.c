/* Blocks in a list, the newest first; small requests are cut from the newest block, a large one
 * gets a block of its own behind it. */
#include "dataflow/df_arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE ((size_t)64 << 10)
#define ARENA_LARGE_SIZE (ARENA_BLOCK_SIZE / 4)
#define ARENA_ALIGN ((size_t)16)

typedef struct arena_block {
    _Alignas(16) struct arena_block *next; /* the memory follows the struct */
} arena_block;

_Static_assert(sizeof(arena_block) % ARENA_ALIGN == 0, "what follows a block is aligned");

struct df_arena {
    arena_block *blocks;
    unsigned char *free_begin; /* in the newest small block */
    size_t free_size;
};

df_arena *df_arena_new(void)
{
    return calloc(1, sizeof(df_arena));
}

void df_arena_free(df_arena **arena)
{
    if (*arena == NULL)
        return;
    for (arena_block *block = (*arena)->blocks; block != NULL;) {
        arena_block *next = block->next;
        free(block);
        block = next;
    }
    free(*arena);
    *arena = NULL;
}

static unsigned char *block_new(df_arena *arena, size_t size)
{
    arena_block *block = calloc(1, sizeof *block + size);

    if (block == NULL)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    return (unsigned char *)(block + 1);
}

void *df_arena_alloc(df_arena *arena, size_t size)
{
    void *memory;

    if (size > SIZE_MAX - ARENA_BLOCK_SIZE)
        return NULL;
    size = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (size > arena->free_size) {
        if (size >= ARENA_LARGE_SIZE)
            return block_new(arena, size);
        arena->free_size = 0;
        arena->free_begin = block_new(arena, ARENA_BLOCK_SIZE);
        if (arena->free_begin == NULL)
            return NULL;
        arena->free_size = ARENA_BLOCK_SIZE;
    }
    memory = arena->free_begin;
    arena->free_begin += size;
    arena->free_size -= size;
    return memory;
}

char *df_arena_text(df_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = df_arena_alloc(arena, size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}
