/* Constant expressions: "cells * cbrt(4 / density)". All arithmetic is f64.
 *
 *   sum     = product { ("+" | "-") product }
 *   product = unary { ("*" | "/") unary }
 *   unary   = ("-" | "+") unary | power
 *   power   = primary [ "^" unary ]             so -2^2 is -4, and 2^3^2 is 2^9
 *   primary = number | name | function "(" sum [ "," sum ] ")" | "(" sum ")"
 *
 * Names are pi, e, and what the caller's `find` knows. Every intermediate result must be finite. */
#ifndef CFG_EXPR_H
#define CFG_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CFG_EXPR_DEPTH_MAX 200 /* brackets, signs and params within each other */

typedef struct cfg_expr_fault {
    size_t offset;  /* in bytes, into the expression */
    char text[256]; /* empty: the reason has been reported elsewhere */
} cfg_expr_fault;

typedef enum cfg_found { CFG_UNKNOWN, CFG_VALUE, CFG_FAILED } cfg_found;

typedef struct cfg_expr_names {
    /* The value of a name. `depth` is how deep the expression stands here, for a find that itself
     * evaluates. CFG_FAILED: fault->text is filled, or left empty where it was reported. */
    cfg_found (*find)(void *user, const char *name, uint32_t depth, double *value,
                      cfg_expr_fault *fault);
    /* The names that find knows. */
    uint32_t count;
    const char *const *names;
    void *user;
} cfg_expr_names;

/* The value of an expression that stands `depth` deep in others (0: in none). False: *fault. */
bool cfg_expr(const char *text, const cfg_expr_names *names, uint32_t depth, double *value,
              cfg_expr_fault *fault);

/* Whether the language itself gives the name a meaning ("pi", "sqrt"). */
bool cfg_expr_reserved(const char *name);

#endif
