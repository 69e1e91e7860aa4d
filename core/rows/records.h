/* records.h - inside core/rows: the records of a page, found level by level. One thread. */
#pragma once

#include "rows/plan.h"

struct qn_records {             /* what a walk needs, kept from one to the next */
    const struct qn_plan *plan; /* borrowed */
    struct qn_nodes *lists;     /* one a level */
    qn_node *levels;
};

int qn_records_init(struct qn_records *records, const struct qn_plan *plan); /* QN_ENOMEM; to be freed then, too */
void qn_records_free(struct qn_records *records);                            /* zeroed is fine */
/* Calls visit for every innermost record, in the order of the document; levels holds level_count nodes, outermost
 * first. A negative answer stops the walk and is returned. QN_ENOMEM, QN_ELIMIT; with err (else it is overlooked)
 * QN_EINVAL, with its text: an outer path stops at the array whose elements the next one wants. */
int qn_records_all(struct qn_records *records, const struct qn_doc *doc,
                   int (*visit)(void *context, const qn_node *levels), void *context, struct qn_err *err);
/* The same for the records of one outermost record, which may be the record itself. */
int qn_records_below(struct qn_records *records, const struct qn_doc *doc, qn_node item,
                     int (*visit)(void *context, const qn_node *levels), void *context, struct qn_err *err);
/* Is the records array there, empty or not? 1, 0 or QN_E... */
int qn_records_present(const struct qn_plan *plan, const struct qn_doc *doc);
