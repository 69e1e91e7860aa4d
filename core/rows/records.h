/* records.h - inside core/rows: the records of a page, found level by level. One thread. */
#pragma once

#include "rows/plan.h"

/* Calls visit for every innermost record, in the order of the document; levels holds level_count nodes, outermost
 * first. A negative answer stops the walk and is returned. QN_ENOMEM, QN_ELIMIT; with err (else it is overlooked)
 * QN_EINVAL, with its text: an outer path stops at the array whose elements the next one wants. */
int qn_records_walk(const struct qn_plan *plan, const struct qn_doc *doc,
                    int (*visit)(void *context, const qn_node *levels), void *context, struct qn_err *err);
/* Is the records array there, empty or not? 1, 0 or QN_E... */
int qn_records_present(const struct qn_plan *plan, const struct qn_doc *doc);
