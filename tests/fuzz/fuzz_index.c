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
    qn_doc_unref(doc);
    qn_doc_unref(slow);
    qn_bytes_unref(bytes);
    return 0;
}
