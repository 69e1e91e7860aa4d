/* select.h - many paths from one node in one walk, such as the columns of a record.
 *
 * The paths become a tree of steps: what they have in common is walked once, the members of an object are looked at
 * once however many of them are wanted, and so are the descendants of a value. Each path selects what path.h says, in
 * the same order.
 *
 *     qn_selection_new(paths, count, &selection, &err);            once
 *     qn_selected_init(&selected, selection);                      once a thread
 *     qn_selection_run(selection, doc, record, &selected);         for each record
 *     ... qn_selected_nodes(&selected, i) ...
 *
 * A selection is immutable: any thread. A qn_selected belongs to one thread. */
#pragma once

#include "json/path.h"

struct qn_selection;

/* The paths are borrowed and must live as long as the selection; a NULL among them selects nothing. QN_ENOMEM. */
int qn_selection_new(const struct qn_path *const *paths, size_t count, struct qn_selection **out);
void qn_selection_free(struct qn_selection *selection); /* NULL is fine */

struct qn_selected {
    struct qn_nodes *lists; /* one a path, then those of the walk itself */
    size_t list_count;
    qn_node *found; /* the members of the objects at hand, QN_NONE while there is none */
    size_t found_count;
};

/* QN_ENOMEM; out may be freed after that, too. */
int qn_selected_init(struct qn_selected *selected, const struct qn_selection *selection);
void qn_selected_free(struct qn_selected *selected); /* zeroed is fine */

/* Replaces what is selected. QN_ENOMEM, or QN_ELIMIT past 16 million steps or when a regular expression would take too
 * long. */
int qn_selection_run(const struct qn_selection *selection, const struct qn_doc *doc, qn_node start,
                     struct qn_selected *out);

/* What path number `path` (from 0) selected in the last run; good until the next one. */
static inline const struct qn_nodes *qn_selected_nodes(const struct qn_selected *selected, size_t path)
{
    return &selected->lists[path];
}
