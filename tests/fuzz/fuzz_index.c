/* Any bytes as a document: both scans agree on what is a document, and of a document everything can be read. */
#include <stdlib.h>
#include <string.h>

#include "json/doc_internal.h"
#include "json/number.h"
#include "json/write.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static void read_value(const struct qn_doc *doc, qn_node node, struct qn_buf *out)
{
    struct qn_span span = qn_doc_span(doc, node);
    int64_t integer;
    bool exact;
    REQUIRE(span.size > 0);
    switch (qn_doc_kind(doc, node)) {
    case QN_STRING:
        qn_buf_clear(out);
        REQUIRE(qn_doc_string(doc, node, out) == 0);
        REQUIRE(out->size <= span.size - 2);
        REQUIRE(qn_doc_string_equals(doc, node, out->data ? out->data : "", out->size));
        REQUIRE(qn_json_string(out, span.data, span.size) == 0);
        break;
    case QN_NUMBER:
        REQUIRE(qn_number_end(span.data, span.data + span.size) == span.data + span.size);
        REQUIRE(qn_number_compare(span.data, span.size, span.data, span.size) == 0);
        qn_doc_integer(doc, node, &integer);
        qn_doc_double(doc, node, &exact);
        break;
    default: break;
    }
}

static size_t walk(const struct qn_doc *doc, qn_node node, struct qn_buf *out)
{
    size_t count = 0, all = 1;
    read_value(doc, node, out);
    for (qn_node n = qn_doc_first(doc, node); n != QN_NONE; n = qn_doc_next(doc, node, n), count++) {
        if (qn_doc_kind(doc, node) == QN_OBJECT) {
            qn_node found;
            read_value(doc, qn_doc_key(doc, n), out);
            qn_buf_clear(out);
            REQUIRE(qn_doc_string(doc, qn_doc_key(doc, n), out) == 0);
            if (count < 64)
                REQUIRE(qn_doc_find(doc, node, out->data ? out->data : "", out->size, &found) && found >= n);
        } else if (count < 64) {
            REQUIRE(qn_doc_at(doc, node, count) == n);
        }
        all += walk(doc, n, out);
    }
    REQUIRE(count == qn_doc_count(doc, node));
    return all;
}

/* A minified document is the same document. */
static void check_minified(const struct qn_doc *doc, size_t values, struct qn_buf *out)
{
    struct qn_doc *copy;
    qn_buf_clear(out);
    REQUIRE(qn_json_minified(out, doc, QN_ROOT) == 0);
    struct qn_bytes *bytes = qn_bytes_new(out->data, out->size);
    REQUIRE(bytes && qn_doc_parse(bytes, &copy, NULL) == 0);
    REQUIRE(walk(copy, QN_ROOT, out) == values);
    qn_doc_unref(copy);
    qn_bytes_unref(bytes);
}

struct seen {
    struct qn_buf *out;
    size_t elements, values;
};

static void see(void *self, const struct qn_doc *doc, qn_node element)
{
    struct seen *seen = self;
    seen->elements++;
    seen->values += walk(doc, element, seen->out);
}

static void forget(void *self)
{
    struct seen *seen = self;
    seen->elements = seen->values = 0;
}

/* A text that is watched is the same document, refused for the same, and shows what is in the array. */
static void check_watched(struct qn_bytes *bytes, const struct qn_doc *plain, const struct qn_err *why, size_t names,
                          bool fold, struct qn_buf *out)
{
    static const struct qn_span way[] = {{"a", 1}, {"b", 1}};
    struct seen seen = {.out = out};
    struct qn_doc_watch watch = {
        .names = way, .count = names, .fold = fold, .element = see, .forget = forget, .self = &seen};
    struct qn_doc *doc;
    struct qn_err err = {0};
    qn_node array = QN_ROOT;
    int rc = qn_doc_parse_watched(bytes, &watch, &doc, &err);
    REQUIRE((rc == 0) == (plain != NULL) && (rc == 0 || err.offset == why->offset));
    if (rc < 0) return;
    bool there = true;
    for (size_t i = 0; i < names && there; i++) there = qn_doc_find(plain, array, way[i].data, 1, &array);
    there = there && qn_doc_kind(plain, array) == QN_ARRAY;
    REQUIRE(watch.shown == there);
    if (there) REQUIRE(seen.elements == qn_doc_count(plain, array) && seen.values + 1 == walk(plain, array, out));
    if (!fold || !there) {
        REQUIRE(doc->count == plain->count || fold); /* a duplicate that was shown is folded, too */
    } else {
        REQUIRE(doc->count <= plain->count && qn_doc_span(doc, QN_ROOT).size == qn_doc_span(plain, QN_ROOT).size);
    }
    qn_doc_unref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_bytes *bytes = qn_bytes_new(data, size);
    struct qn_doc *doc, *slow;
    struct qn_err err = {0}, other = {0};
    REQUIRE(bytes);
    int rc = qn_doc_parse(bytes, &doc, &err);
    REQUIRE(qn_doc_parse_scanned(bytes, qn_index_scalar, &slow, &other) == rc);
    if (rc < 0) {
        REQUIRE(err.text[0] && err.offset <= size && err.offset == other.offset);
    } else {
        struct qn_buf out;
        qn_buf_init(&out, QN_BUF_NO_CAP);
        REQUIRE(doc->count == slow->count && memcmp(doc->nodes, slow->nodes, doc->count * sizeof *doc->nodes) == 0);
        check_minified(doc, walk(doc, QN_ROOT, &out), &out);
        qn_buf_free(&out);
    }
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    for (size_t i = 0; i < 6; i++) check_watched(bytes, rc < 0 ? NULL : doc, &err, i / 2, i % 2, &out);
    qn_buf_free(&out);
    qn_doc_unref(doc);
    qn_doc_unref(slow);
    qn_bytes_unref(bytes);
    return 0;
}
