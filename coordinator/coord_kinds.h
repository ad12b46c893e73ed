/* Operator kinds as the command line needs them: a user's own from shared objects, and the words that
 * describe a kind. The built-in ones are op_kinds (operators/op_list.h). */
#ifndef COORD_KINDS_H
#define COORD_KINDS_H

#include "dataflow/df_draft.h"

/* Load a kind, the `const weir_operator` that shared object `path` calls `symbol`; it stays loaded to
 * the end of the process. Null: `error` says why. `user` is not used: cfg_options asks for it. */
const weir_operator *coord_kind_load(void *user, const char *path, const char *symbol,
                                     char error[256]);

/* The path of the shared object that a user's own kind is in, as long as the kind is loaded; null: it is
 * built in. */
const char *coord_kind_file(const weir_operator *kind);

/* "source", "phase", "aggregate", "sink"; "forward", "halo", ... */
const char *coord_role_name(weir_role role);
const char *coord_exchange_name(weir_exchange exchange);
/* "f32", "text", "one of closed | periodic", ...: what a job file may write for an option. */
void coord_option_type_text(const weir_option *option, char *text, size_t size);

#endif
