#include <string.h>

#include "base/mem.h"
#include "json/chars.h"
#include "json/doc_internal.h"
#include "json/number.h"

/* The built-in scan: simdjson's, and for the place of an error the scalar one. */
static int scan(const char *text, size_t size, struct qn_index *out, struct qn_err *err)
{
#ifndef QN_SCALAR_SCAN
    int rc = qn_index_simd(text, size, out, err);
    if (rc != QN_ESYNTAX) return rc;
#endif
    return qn_index_scalar(text, size, out, err);
}

static int index_text(struct qn_doc *doc, qn_index_scan *scanner, struct qn_doc_watch *watch, struct qn_err *err)
{
    struct qn_index index;
    if (doc->size > QN_INDEX_MAX_SIZE) {
        return qn_fail(err, QN_ELIMIT, "a JSON text of %zu bytes is above the limit of 2 GB", doc->size);
    }
    int rc = scanner(doc->text, doc->size, &index, err);
    if (rc < 0) return rc;
    rc = qn_doc_build(doc, &index, watch, err);
    qn_index_free(&index);
    return rc;
}

static int parse(struct qn_bytes *bytes, qn_index_scan *scanner, struct qn_doc_watch *watch, struct qn_doc **out,
                 struct qn_err *err)
{
    struct qn_doc *doc = qn_calloc(1, sizeof *doc);
    *out = NULL;
    if (!doc) return qn_fail(err, QN_ENOMEM, "out of memory for a document");
    atomic_init(&doc->references, 1);
    atomic_init(&doc->replaced, 0);
    doc->bytes = qn_bytes_ref(bytes);
    doc->text = qn_bytes_data(bytes);
    doc->size = qn_bytes_size(bytes);
    if (doc->size >= 3 && memcmp(doc->text, "\xEF\xBB\xBF", 3) == 0) {
        doc->text += 3;
        doc->size -= 3;
    }
    int rc = index_text(doc, scanner, watch, err);
    if (rc < 0) {
        qn_doc_unref(doc);
        return rc;
    }
    *out = doc;
    return 0;
}

int qn_doc_parse_scanned(struct qn_bytes *bytes, qn_index_scan *scanner, struct qn_doc **out, struct qn_err *err)
{
    return parse(bytes, scanner, NULL, out, err);
}

int qn_doc_parse(struct qn_bytes *bytes, struct qn_doc **out, struct qn_err *err)
{
    return parse(bytes, scan, NULL, out, err);
}

int qn_doc_parse_watched(struct qn_bytes *bytes, struct qn_doc_watch *watch, struct qn_doc **out, struct qn_err *err)
{
    watch->shown = false;
    return parse(bytes, scan, watch, out, err);
}

struct qn_doc *qn_doc_ref(struct qn_doc *doc)
{
    atomic_fetch_add_explicit(&doc->references, 1, memory_order_relaxed);
    return doc;
}

void qn_doc_unref(struct qn_doc *doc)
{
    if (!doc || atomic_fetch_sub_explicit(&doc->references, 1, memory_order_acq_rel) > 1) return;
    qn_free(doc->nodes);
    qn_bytes_unref(doc->bytes);
    qn_free(doc);
}

struct qn_bytes *qn_doc_bytes(const struct qn_doc *doc)
{
    return doc->bytes;
}

bool qn_doc_alone(const struct qn_doc *doc)
{
    return atomic_load_explicit(&doc->references, memory_order_acquire) == 1;
}

size_t qn_doc_memory(const struct qn_doc *doc)
{
    return sizeof *doc + doc->count * sizeof *doc->nodes;
}

enum qn_kind qn_doc_kind(const struct qn_doc *doc, qn_node node)
{
    switch (qn_doc_byte(doc, node)) {
    case 'n': return QN_NULL;
    case 'f': return QN_FALSE;
    case 't': return QN_TRUE;
    case '"': return QN_STRING;
    case '[': return QN_ARRAY;
    case '{': return QN_OBJECT;
    default: return QN_NUMBER;
    }
}

struct qn_span qn_doc_span(const struct qn_doc *doc, qn_node node)
{
    uint32_t offset = qn_doc_node_offset(&doc->nodes[node]), end = qn_doc_node_end(&doc->nodes[node]);
    if (qn_doc_opens(doc, node)) end = doc->nodes[end].offset + 1;
    return (struct qn_span){doc->text + offset, end - offset};
}

/* The child that begins at node (a key's value in an object), QN_NONE at the closing node. */
static qn_node child_at(const struct qn_doc *doc, qn_node parent, qn_node node)
{
    if (node == doc->nodes[parent].skip) return QN_NONE;
    return qn_doc_byte(doc, parent) == '{' ? node + 1 : node;
}

qn_node qn_doc_first(const struct qn_doc *doc, qn_node parent)
{
    return qn_doc_opens(doc, parent) ? child_at(doc, parent, parent + 1) : QN_NONE;
}

qn_node qn_doc_next(const struct qn_doc *doc, qn_node parent, qn_node child)
{
    return child_at(doc, parent, qn_doc_behind(doc, child));
}

qn_node qn_doc_key(const struct qn_doc *doc, qn_node member_value)
{
    (void)doc;
    return member_value - 1;
}

size_t qn_doc_count(const struct qn_doc *doc, qn_node parent)
{
    return qn_doc_opens(doc, parent) ? doc->nodes[doc->nodes[parent].skip].skip : 0;
}

enum { FEW = 16 };

qn_node qn_doc_at(const struct qn_doc *doc, qn_node array, size_t index)
{
    if (qn_doc_byte(doc, array) != '[') return QN_NONE;
    /* the count stands at the end, which may be far away: it is asked only where it may save a long way */
    if (index > FEW && index >= qn_doc_count(doc, array)) return QN_NONE;
    const qn_node end = doc->nodes[array].skip;
    for (qn_node child = array + 1; child != end; child = qn_doc_behind(doc, child))
        if (index-- == 0) return child;
    return QN_NONE;
}

bool qn_doc_find(const struct qn_doc *doc, qn_node object, const char *name, size_t size, qn_node *out)
{
    const struct qn_doc_node *nodes = doc->nodes;
    bool found = false;
    if (!qn_doc_opens(doc, object) || qn_doc_byte(doc, object) != '{') return false;
    const qn_node end = nodes[object].skip;
    for (qn_node key = object + 1; key != end;) {
        const struct qn_doc_node *node = &nodes[key], *value = node + 1;
        /* most keys differ in length, which needs no look at the text */
        bool same = node->skip & QN_NODE_ESCAPED ? qn_doc_string_equals(doc, key, name, size)
                                                 : node->skip - node->offset - 2 == size &&
                                                       memcmp(doc->text + node->offset + 1, name, size) == 0;
        if (same) { /* and go on: the last of duplicates wins */
            *out = key + 1;
            found = true;
        }
        key = value->offset & QN_NODE_OPENS ? value->skip + 1 : key + 2;
    }
    return found;
}

int qn_doc_string(const struct qn_doc *doc, qn_node node, struct qn_buf *out)
{
    struct qn_span content = qn_doc_content(doc, node);
    int rc = qn_buf_reserve(out, content.size); /* escapes only ever shrink */
    if (rc < 0) return rc;
    const char *p = content.data, *end = p + content.size;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(out->data + out->size, p, plain);
        out->size += plain;
        if (!slash) break;
        struct qn_chars chars;
        qn_chars_init(&chars, slash, (size_t)(end - slash));
        do {
            out->data[out->size++] = (char)qn_chars_next(&chars);
        } while (chars.next < chars.size);
        if (chars.replaced)
            atomic_fetch_add(&((struct qn_doc *)doc)->replaced, chars.replaced); /* the one mutable field */
        p = chars.at;
    }
    return QN_OK;
}

bool qn_doc_plain_string(const struct qn_doc *doc, qn_node node, struct qn_span *out)
{
    if (qn_doc_escaped(doc, node)) return false;
    *out = qn_doc_content(doc, node);
    return true;
}

bool qn_doc_string_equals(const struct qn_doc *doc, qn_node node, const char *text, size_t size)
{
    struct qn_span content = qn_doc_content(doc, node);
    if (!qn_doc_escaped(doc, node)) return content.size == size && memcmp(content.data, text, size) == 0;
    struct qn_chars chars;
    qn_chars_init(&chars, content.data, content.size);
    for (size_t i = 0; i < size; i++)
        if (qn_chars_next(&chars) != (unsigned char)text[i]) return false;
    return qn_chars_next(&chars) < 0;
}

enum { SAFE_DIGITS = 18 }; /* so many never overflow */

enum qn_integer qn_doc_integer(const struct qn_doc *doc, qn_node node, int64_t *out)
{
    if (qn_doc_kind(doc, node) != QN_NUMBER) return QN_INTEGER_NOT_ONE;
    struct qn_span span = qn_doc_span(doc, node);
    bool negative = span.data[0] == '-', fits = true;
    int64_t value = 0;
    for (size_t i = negative; i < span.size; i++) {
        unsigned digit = (unsigned char)span.data[i] - (unsigned)'0';
        if (digit > 9) return QN_INTEGER_NOT_ONE;
        if (i < SAFE_DIGITS)
            value = value * 10 - (int64_t)digit; /* below zero there is room for one more */
        else
            fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
                   !__builtin_sub_overflow(value, (int64_t)digit, &value);
    }
    if (!negative) fits = fits && !__builtin_sub_overflow(0, value, &value);
    if (!fits) return QN_INTEGER_OUT_OF_RANGE;
    *out = value;
    return QN_INTEGER_EXACT;
}

double qn_doc_double(const struct qn_doc *doc, qn_node node, bool *exact)
{
    struct qn_span span = qn_doc_span(doc, node);
    return qn_number_double(span.data, span.size, exact);
}

uint64_t qn_doc_replaced(const struct qn_doc *doc)
{
    return atomic_load(&((struct qn_doc *)doc)->replaced);
}
