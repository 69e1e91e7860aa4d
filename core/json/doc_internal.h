/* doc_internal.h - the nodes behind doc.h, for the files that build and read them.
 *
 * Nodes lie in document order. A scalar and a key are one node, whose `skip` is the offset behind its text. A
 * container is an opening node, its content, and a closing node: the opening node's `skip` is the index of the
 * closing node, the closing node's `skip` is the number of children. So whatever follows a value is found in
 * one step, the descendants of a value are one run of nodes, and spans and counts need no scan. */
#pragma once

#include <stdatomic.h>

#include "json/doc.h"
#include "json/index.h"

struct qn_doc_node {
    uint32_t offset, skip;
};

#define QN_NODE_ESCAPED 0x80000000u /* in the skip of a string: it holds a backslash */
#define QN_NODE_OPENS   0x80000000u /* in the offset: the opening node of a container */

static inline uint32_t qn_doc_node_offset(const struct qn_doc_node *node)
{
    return node->offset & ~QN_NODE_OPENS;
}

/* The offset behind a scalar's or key's text. */
static inline uint32_t qn_doc_node_end(const struct qn_doc_node *node)
{
    return node->skip & ~QN_NODE_ESCAPED;
}

struct qn_doc {
    atomic_int references;
    struct qn_bytes *bytes;
    const char *text; /* behind the BOM, if there is one */
    size_t size;
    struct qn_doc_node *nodes;
    uint32_t count;
    atomic_uint_fast64_t replaced;
};

static inline char qn_doc_byte(const struct qn_doc *doc, qn_node node)
{
    return doc->text[qn_doc_node_offset(&doc->nodes[node])];
}

static inline bool qn_doc_opens(const struct qn_doc *doc, qn_node node) /* a container's opening node? */
{
    return (doc->nodes[node].offset & QN_NODE_OPENS) != 0;
}

static inline qn_node qn_doc_behind(const struct qn_doc *doc, qn_node node) /* the node after a value */
{
    return qn_doc_opens(doc, node) ? doc->nodes[node].skip + 1 : node + 1;
}

/* The text between the quotes, as written. */
static inline struct qn_span qn_doc_content(const struct qn_doc *doc, qn_node node)
{
    const struct qn_doc_node *n = &doc->nodes[node];
    return (struct qn_span){doc->text + n->offset + 1, qn_doc_node_end(n) - n->offset - 2};
}

static inline bool qn_doc_escaped(const struct qn_doc *doc, qn_node string)
{
    return (doc->nodes[string].skip & QN_NODE_ESCAPED) != 0;
}

/* watch.c: checks the grammar of the doc's text and makes its nodes, which are the doc's after a failure, too. watch:
 * NULL is fine. Offsets in err count from text. */
int qn_doc_build(struct qn_doc *doc, const struct qn_index *index, struct qn_doc_watch *watch, struct qn_err *err);
/* qn_doc_parse with a scan of the caller's choice (tests compare the two). */
int qn_doc_parse_scanned(struct qn_bytes *bytes, qn_index_scan *scan, struct qn_doc **out, struct qn_err *err);
