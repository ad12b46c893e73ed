/* Which records of a coordinator's log still mean something: for a log that is copied without the rest. */
#ifndef PROTO_LOG_H
#define PROTO_LOG_H

#include "coordinator/proto_coord.h"

#define PROTO_LOG_COST 160u /* bytes around a record's lists: its own head, its frame's, its numbers */

/* Bytes that a record takes in a log, at most. */
uint64_t proto_log_cost(const proto_record *record);

/* dead[i]: the record may go. Generations but the last and those whose orders stay; barriers and changes of owners that an older generation
 * made; barriers but the last, because the next one was ordered only when all members had released the one before. Changes of members and
 * owners, and rescales, before a record of tables: all members had applied them, and none ran; and tables and pauses but the last.
 * An order that goes is still counted: PROTO_RECORD_SKIP stands for it. */
void proto_log_mark(const proto_record *records, uint32_t count, bool *dead);

/* Copy what is left, and the skips, to `out` [count + 1]; returns how many. 0: too many orders that mean nothing
 * lie between others (PROTO_VOID_MAX). Bytes are shared. */
uint32_t proto_log_copy(const proto_record *records, uint32_t count, const bool *dead, proto_record *out);

#endif
