#include "operators/op_list.h"

#define OP_DECLARE(kind) extern const weir_operator kind;
#define OP_ADDRESS(kind) &kind,

OP_LIST(OP_DECLARE)

static const weir_operator *const list_kinds[] = { OP_LIST(OP_ADDRESS) };

const df_kinds op_kinds = { sizeof list_kinds / sizeof list_kinds[0], list_kinds };
