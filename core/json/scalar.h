/* scalar.h - values of a document in one look, inline: for readers that ask for millions of them (Lua's views).
 *
 *     struct qn_scalar v = qn_doc_scalar(doc, node);
 *     if (v.kind == QN_STRING && !v.escaped) take(v.text.data, v.text.size);
 */
#pragma once

#include "json/doc_internal.h"

struct qn_scalar {
    enum qn_kind kind;
    bool escaped;        /* a string with escapes: text is not what it says, qn_doc_string is */
    struct qn_span text; /* of a number, or between the quotes of a string; nothing for other kinds */
};

static inline struct qn_scalar qn_doc_scalar(const struct qn_doc *doc, qn_node node)
{
    const struct qn_doc_node *n = &doc->nodes[node];
    const char *at = doc->text + qn_doc_node_offset(n);
    switch (*at) {
    case '{': return (struct qn_scalar){.kind = QN_OBJECT};
    case '[': return (struct qn_scalar){.kind = QN_ARRAY};
    case 'n': return (struct qn_scalar){.kind = QN_NULL};
    case 'f': return (struct qn_scalar){.kind = QN_FALSE};
    case 't': return (struct qn_scalar){.kind = QN_TRUE};
    case '"': return (struct qn_scalar){QN_STRING, qn_doc_escaped(doc, node), qn_doc_content(doc, node)};
    default: return (struct qn_scalar){QN_NUMBER, false, {at, qn_doc_node_end(n) - n->offset}};
    }
}

/* How many children a container has, 0 for what is none. */
static inline size_t qn_doc_width(const struct qn_doc *doc, qn_node node)
{
    return qn_doc_opens(doc, node) ? doc->nodes[doc->nodes[node].skip].skip : 0;
}

/* Where the last look into an array was, so that a walk by index takes one step an element. node: QN_NONE at first. */
struct qn_cursor {
    size_t index;
    qn_node node;
};

/* Element `index` (from 0), QN_NONE beyond the end and in what is no array. */
static inline qn_node qn_doc_element(const struct qn_doc *doc, qn_node array, size_t index, struct qn_cursor *cursor)
{
    if (qn_doc_byte(doc, array) != '[') return QN_NONE;
    qn_node end = doc->nodes[array].skip;
    if (index >= doc->nodes[end].skip) return QN_NONE;
    if (cursor->node == QN_NONE || index < cursor->index) *cursor = (struct qn_cursor){0, array + 1};
    for (; cursor->index < index; cursor->index++) cursor->node = qn_doc_behind(doc, cursor->node);
    return cursor->node;
}
