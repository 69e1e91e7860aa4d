/* Comparison in filters (RFC 9535 §2.3.5.2.2): strict in type, exact in numbers, deep in arrays and objects. */
#include <stdio.h>
#include <string.h>

#include "json/chars.h"
#include "json/doc_internal.h"
#include "json/number.h"
#include "json/path_internal.h"

/* The text of a string or number. A literal's string is decoded already; a node's may hold escapes. */
struct side {
    enum qn_kind kind;
    struct qn_span text; /* string: between the quotes */
    bool escaped;
};

static struct side literal_side(const struct qn_operand *literal)
{
    return (struct side){literal->kind, literal->text, false};
}

static struct side node_side(const struct qn_doc *doc, qn_node node)
{
    struct side s = {.kind = qn_doc_kind(doc, node)};
    if (s.kind == QN_STRING) {
        s.text = qn_doc_content(doc, node);
        s.escaped = qn_doc_escaped(doc, node);
    } else if (s.kind == QN_NUMBER) {
        s.text = qn_doc_span(doc, node);
    }
    return s;
}

struct reader {
    struct qn_chars chars;
    struct qn_span rest;
    bool escaped;
};

static struct reader reader(struct side s)
{
    struct reader r = {.rest = s.text, .escaped = s.escaped};
    if (s.escaped) qn_chars_init(&r.chars, s.text.data, s.text.size);
    return r;
}

static int next_byte(struct reader *r)
{
    if (r->escaped) return qn_chars_next(&r->chars);
    if (r->rest.size == 0) return -1;
    r->rest.size--;
    return (unsigned char)*r->rest.data++;
}

/* By Unicode scalar values, which is the order of UTF-8 bytes. */
static int compare_strings(struct side a, struct side b)
{
    struct reader x = reader(a), y = reader(b);
    for (;;) {
        int c = next_byte(&x), d = next_byte(&y);
        if (c != d) return c < d ? -1 : 1;
        if (c < 0) return 0;
    }
}

static bool equal_sides(struct side a, struct side b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == QN_NUMBER) return qn_number_compare(a.text.data, a.text.size, b.text.data, b.text.size) == 0;
    if (a.kind != QN_STRING) return true; /* true, false, null */
    if (a.escaped || b.escaped) return compare_strings(a, b) == 0;
    return a.text.size == b.text.size && memcmp(a.text.data, b.text.data, a.text.size) == 0;
}

static bool less_sides(struct side a, struct side b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == QN_NUMBER) return qn_number_compare(a.text.data, a.text.size, b.text.data, b.text.size) < 0;
    return a.kind == QN_STRING && compare_strings(a, b) < 0;
}

static bool equal_nodes(const struct qn_doc *doc, qn_node a, qn_node b);

static bool equal_arrays(const struct qn_doc *doc, qn_node a, qn_node b)
{
    if (qn_doc_count(doc, a) != qn_doc_count(doc, b)) return false;
    qn_node x = qn_doc_first(doc, a), y = qn_doc_first(doc, b);
    for (; x != QN_NONE; x = qn_doc_next(doc, a, x), y = qn_doc_next(doc, b, y))
        if (!equal_nodes(doc, x, y)) return false;
    return true;
}

/* The member of object whose name equals that of the member `like`; the last of duplicates. */
static qn_node same_member(const struct qn_doc *doc, qn_node object, qn_node like)
{
    struct side name = node_side(doc, qn_doc_key(doc, like));
    qn_node found = QN_NONE;
    for (qn_node n = qn_doc_first(doc, object); n != QN_NONE; n = qn_doc_next(doc, object, n))
        if (equal_sides(node_side(doc, qn_doc_key(doc, n)), name)) found = n;
    return found;
}

/* Every member of a has its equal in b. */
static bool covers(const struct qn_doc *doc, qn_node a, qn_node b)
{
    for (qn_node n = qn_doc_first(doc, a); n != QN_NONE; n = qn_doc_next(doc, a, n)) {
        qn_node mine = same_member(doc, a, n), other = same_member(doc, b, n);
        if (mine == n && (other == QN_NONE || !equal_nodes(doc, n, other))) return false;
    }
    return true;
}

/* True if every name of a is one of b. */
static bool names_within(const struct qn_doc *doc, qn_node a, qn_node b)
{
    for (qn_node n = qn_doc_first(doc, a); n != QN_NONE; n = qn_doc_next(doc, a, n))
        if (same_member(doc, b, n) == QN_NONE) return false;
    return true;
}

/* As deep as the document, which QN_DOC_MAX_DEPTH bounds. */
static bool equal_nodes(const struct qn_doc *doc, qn_node a, qn_node b)
{
    if (a == b) return true;
    enum qn_kind kind = qn_doc_kind(doc, a);
    if (kind != qn_doc_kind(doc, b)) return false;
    if (kind == QN_ARRAY) return equal_arrays(doc, a, b);
    if (kind == QN_OBJECT) return covers(doc, a, b) && names_within(doc, b, a);
    return equal_sides(node_side(doc, a), node_side(doc, b));
}

/* digits: room for a count's text, as long as the side is in use. */
static struct side value_side(const struct qn_doc *doc, const struct qn_path_value *value, char digits[static 24])
{
    if (value->is == QN_IS_LITERAL) return literal_side(value->literal);
    if (value->is == QN_IS_NODE) return node_side(doc, value->node);
    int size = snprintf(digits, 24, "%zu", value->count);
    return (struct side){.kind = QN_NUMBER, .text = {digits, (size_t)size}};
}

static bool equal_values(const struct qn_doc *doc, struct qn_path_value a, struct qn_path_value b)
{
    char x[24], y[24];
    if (a.is == QN_IS_NOTHING || b.is == QN_IS_NOTHING) return a.is == b.is;
    if (a.is == QN_IS_NODE && b.is == QN_IS_NODE) return equal_nodes(doc, a.node, b.node);
    return equal_sides(value_side(doc, &a, x), value_side(doc, &b, y));
}

static bool less_values(const struct qn_doc *doc, struct qn_path_value a, struct qn_path_value b)
{
    char x[24], y[24];
    if (a.is == QN_IS_NOTHING || b.is == QN_IS_NOTHING) return false;
    return less_sides(value_side(doc, &a, x), value_side(doc, &b, y));
}

bool qn_path_compare(const struct qn_doc *doc, enum qn_compare compare, struct qn_path_value a, struct qn_path_value b)
{
    switch (compare) {
    case QN_EQUAL: return equal_values(doc, a, b);
    case QN_NOT_EQUAL: return !equal_values(doc, a, b);
    case QN_LESS: return less_values(doc, a, b);
    case QN_GREATER: return less_values(doc, b, a);
    case QN_LESS_EQUAL: return less_values(doc, a, b) || equal_values(doc, a, b);
    case QN_GREATER_EQUAL: return less_values(doc, b, a) || equal_values(doc, a, b);
    }
    return false;
}
