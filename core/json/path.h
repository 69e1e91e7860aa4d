/* path.h - JSONPath (RFC 9535) compiled once, evaluated over a doc.
 *
 * All of it: root, member, index, slice, wildcard, descendant, lists of those, filters with comparisons, tests, &&, ||,
 * ! and parentheses, and the functions length, count, match, search and value (I-Regexp, RFC 9485). A path is
 * immutable: any thread. */
#pragma once

#include "json/doc.h"

struct qn_path;

struct qn_nodes { /* a node list; grows, reused from call to call */
    qn_node *nodes;
    size_t count, capacity;
};
void qn_nodes_init(struct qn_nodes *list);
void qn_nodes_free(struct qn_nodes *list);

/* QN_ESYNTAX with err->offset (0-based byte) and a text that starts "column N: ". */
int qn_path_compile(const char *text, size_t size, struct qn_path **out, struct qn_err *err);
void qn_path_free(struct qn_path *path);
bool qn_path_singular(const struct qn_path *path); /* RFC 9535 §2.3.5.1 */
/* Its first step names members, so that it selects nothing from an array. */
bool qn_path_of_object(const struct qn_path *path);
/* The member names of a path of nothing else (of `$`: none), which live as long as the path. How many; -1 for another
 * path, or for more than there is room for. */
int qn_path_names(const struct qn_path *path, struct qn_span *names, size_t room);
/* The paths part at a member name: neither leads into what the other one selects. False where that is not sure. */
bool qn_path_apart(const struct qn_path *a, const struct qn_path *b);
/* Nodes selected from `start` taken as the root `$`, in the order of RFC 9535. Replaces list's content.
 * QN_ENOMEM, or QN_ELIMIT past 16 million nodes or when a regular expression would take too long. */
int qn_path_select(const struct qn_path *path, const struct qn_doc *doc, qn_node start, struct qn_nodes *list);
/* The node of a singular query, QN_NONE if absent. */
qn_node qn_path_one(const struct qn_path *path, const struct qn_doc *doc, qn_node start);
/* Appends the normalized path (RFC 9535 §2.7) of node below start. */
int qn_path_normalized(const struct qn_doc *doc, qn_node start, qn_node node, struct qn_buf *out);
