/* What the files of the tests' kinds share: kinds.c has the kinds that work on rows one by one and the
 * list, kinds_meet.c those in which rows meet. */
#ifndef SUPPORT_KINDS_PRIVATE_H
#define SUPPORT_KINDS_PRIVATE_H

#include "tests/support/kinds.h"

uint32_t kind_get_u32(const weir_batch *batch, int column, uint32_t row);
void kind_put_u32(weir_batch *batch, int column, uint32_t row, uint32_t value);
/* Everything that is a function of a. */
void kind_put_a(weir_batch *batch, const kind_columns *c, uint32_t row, uint32_t a);
void kind_put_row(weir_batch *batch, const kind_columns *c, uint32_t row, const kind_row *r);
/* Declare a, g, tag and h as made by output 0. */
void kind_add_plain(weir_plan *plan, kind_options *o);
/* Pass everything of port 0 and write a, what depends on it, and h anew. */
void kind_pass_but_a(weir_plan *plan, kind_options *o);

extern const weir_option kind_no_options[];
extern const weir_operator tally_kind;
extern const weir_operator total_kind;
extern const weir_operator sum_kind;
extern const weir_operator ask_kind;
extern const weir_operator hear_kind;
extern const weir_operator count_kind;
extern const weir_operator fail_kind;

#define KIND(id, role_, ...)                                                                       \
    const weir_operator id##_kind = {                                                              \
        .api_version = WEIR_API_VERSION, .name = "test_" #id, .help = "a test", .role = role_,     \
        .options_size = sizeof(kind_options), .options = kind_no_options, .plan = id##_plan,       \
        .process = id##_process, __VA_ARGS__                                                       \
    }

#endif
