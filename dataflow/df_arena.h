/* Memory that is released all at once: what a draft and its plan are made of. Not for threads. */
#ifndef DF_ARENA_H
#define DF_ARENA_H

#include <stddef.h>

typedef struct df_arena df_arena;

/* Null: out of memory. */
df_arena *df_arena_new(void);
void df_arena_free(df_arena **arena);
/* Zeroed, aligned to 16 bytes. Null: out of memory. */
void *df_arena_alloc(df_arena *arena, size_t size);
char *df_arena_text(df_arena *arena, const char *text);

#endif
