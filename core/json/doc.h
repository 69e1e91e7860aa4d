/* doc.h - a JSON document read in place: an index of nodes over borrowed bytes.
 *
 * A doc is immutable once parsed and may be read by any thread; its reference count is atomic. It holds
 * a reference on its bytes. A node is a number; 0 is the root. The whole text was checked against
 * RFC 8259 (UTF-8 included), so every access below succeeds or answers "no such thing".
 *
 *     qn_node c;
 *     if (qn_doc_find(doc, QN_ROOT, "conversations", 13, &c))
 *         for (qn_node r = qn_doc_first(doc, c); r != QN_NONE; r = qn_doc_next(doc, c, r)) ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct qn_doc;
typedef uint32_t qn_node;
#define QN_ROOT ((qn_node)0)
#define QN_NONE ((qn_node)UINT32_MAX)

enum qn_kind { QN_NULL, QN_FALSE, QN_TRUE, QN_NUMBER, QN_STRING, QN_ARRAY, QN_OBJECT };

struct qn_span {
    const char *data;
    size_t size;
};

#define QN_DOC_MAX_DEPTH 1024 /* deeper nesting is QN_ELIMIT and says so */

/* Indexes bytes (takes its own reference). A leading BOM is skipped. QN_ESYNTAX with err->offset, QN_ELIMIT
 * (depth, more than 2 GB), QN_ENOMEM. */
int qn_doc_parse(struct qn_bytes *bytes, struct qn_doc **out, struct qn_err *err);

/* Shows the elements of one array while the text is being read: each as soon as its end was seen, when it is still in
 * the processor's cache. Whether all of the text is JSON is not known by then. */
struct qn_doc_watch {
    const struct qn_span *names; /* of the members that lead from the root to the array, decoded */
    size_t count;                /* 0: the root is the array */
    bool fold;                   /* of a container that was shown the doc keeps where it begins and ends, no children */
    /* An element. Nothing of the doc may be looked at but the nodes below it. */
    void (*element)(void *self, const struct qn_doc *doc, qn_node element);
    /* What was shown is void: another member of the same name follows, and the last of duplicates wins. */
    void (*forget)(void *self);
    void *self;
    bool shown; /* answer: the names led to an array, and its elements were shown */
};
/* As qn_doc_parse. */
int qn_doc_parse_watched(struct qn_bytes *bytes, struct qn_doc_watch *watch, struct qn_doc **out, struct qn_err *err);
struct qn_doc *qn_doc_ref(struct qn_doc *doc);
void qn_doc_unref(struct qn_doc *doc); /* NULL is fine */
/* The bytes, borrowed: spans point into them. */
struct qn_bytes *qn_doc_bytes(const struct qn_doc *doc);
/* Is the caller's reference the only one? Then nobody else reads the doc, now or later. */
bool qn_doc_alone(const struct qn_doc *doc);
size_t qn_doc_memory(const struct qn_doc *doc); /* bytes of index, without the text */

enum qn_kind qn_doc_kind(const struct qn_doc *doc, qn_node node);
/* The source text of a value, quotes included. Points into the bytes: valid while the doc is referenced. */
struct qn_span qn_doc_span(const struct qn_doc *doc, qn_node node);

/* Children of an array or object: values only (for an object, qn_doc_key gives a value's member name).
 * QN_NONE for scalars and at the end. Duplicate members appear as written. */
qn_node qn_doc_first(const struct qn_doc *doc, qn_node parent);
qn_node qn_doc_next(const struct qn_doc *doc, qn_node parent, qn_node child);
/* The node of the key string of an object's member value. */
qn_node qn_doc_key(const struct qn_doc *doc, qn_node member_value);
size_t qn_doc_count(const struct qn_doc *doc, qn_node parent);            /* children; 0 for scalars */
qn_node qn_doc_at(const struct qn_doc *doc, qn_node array, size_t index); /* 0-based; QN_NONE beyond */
/* Member by decoded name; the last of duplicates wins. False if absent or not an object. */
bool qn_doc_find(const struct qn_doc *doc, qn_node object, const char *name, size_t size, qn_node *out);

/* Appends the decoded string (escapes resolved; lone surrogates become U+FFFD). For QN_STRING nodes. */
int qn_doc_string(const struct qn_doc *doc, qn_node node, struct qn_buf *out);
/* True and the content without quotes if the string needs no decoding (no backslash). */
bool qn_doc_plain_string(const struct qn_doc *doc, qn_node node, struct qn_span *out);
bool qn_doc_string_equals(const struct qn_doc *doc, qn_node node, const char *text, size_t size);

enum qn_integer { QN_INTEGER_EXACT, QN_INTEGER_OUT_OF_RANGE, QN_INTEGER_NOT_ONE };
/* EXACT: the text is an integer literal (no fraction, no exponent) within int64; OUT_OF_RANGE: an integer literal
 * beyond. */
enum qn_integer qn_doc_integer(const struct qn_doc *doc, qn_node node, int64_t *out);
/* Nearest double. exact (may be NULL): true if the text's decimal value equals the shortest round-trip decimal
 * of that double, false otherwise (0.1 is exact in this sense, 1e400 and 0.12345678901234567890 are not). */
double qn_doc_double(const struct qn_doc *doc, qn_node node, bool *exact);
/* Lone surrogates replaced so far by qn_doc_string on this doc (atomic counter). */
uint64_t qn_doc_replaced(const struct qn_doc *doc);
