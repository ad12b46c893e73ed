/* TOML text to a tree of values, each with the place of its key and of its value, in the order of
 * the text. The one fence around toml++, which cfg_toml.cpp alone includes.
 *
 * The text is hostile: it is checked for size, encoding, nesting and number of values (cfg_scan.c)
 * before the parser sees it, so that time and memory are bounded whatever it holds. */
#ifndef CFG_TOML_H
#define CFG_TOML_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "dataflow/df_arena.h"
#include "dataflow/df_error.h"

#define CFG_VALUES_MAX 32768 /* keys, values, lists and tables of one job file, about */
#define CFG_NESTING_MAX 16   /* brackets within brackets */
#define CFG_KEY_PARTS_MAX 16 /* a.b.c has three */

typedef enum cfg_type {
    CFG_TABLE = 1,
    CFG_LIST,
    CFG_TEXT,
    CFG_WHOLE, /* TOML's integer */
    CFG_REAL,
    CFG_BOOL,
    CFG_DATE, /* a date, a time, or both: no key of a job takes one */
} cfg_type;

typedef struct cfg_node cfg_node;

struct cfg_node {
    cfg_type type;
    bool plain;         /* text: its bytes stand in the file as they are, after one quote */
    const char *key;    /* null: the root, or in a list */
    const char *set;    /* the --set that gave it, null: the file */
    df_place key_place; /* of the key; without a key that of the value; 0:0 for a --set */
    df_place place;     /* of the value */
    cfg_node *first;    /* what a table or a list holds, in the order of the text */
    cfg_node *next;     /* the next one in the same table or list */
    uint32_t count;     /* how many a table or a list holds */
    union {
        const char *text; /* UTF-8, no byte of it zero */
        int64_t whole;
        double real;
        bool boolean;
    };
};

/* The first thing that is wrong with a text. */
typedef struct cfg_fault {
    df_place place;
    char text[256];
} cfg_fault;

/* The tree, made in the arena. DF_EINVAL, DF_ELIMIT: *fault says why. DF_ENOMEM. */
df_status cfg_toml_parse(cfg_node **root, df_arena *arena, const char *text, size_t size,
                         cfg_fault *fault) DF_MUST_CHECK;

/* What is checked before the parser runs: UTF-8, no zero bytes, and the limits above. */
df_status cfg_scan(const char *text, size_t size, cfg_fault *fault) DF_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
