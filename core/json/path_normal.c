/* Normalized paths (RFC 9535 §2.7): the one way of writing where a node is. */
#include <stdio.h>
#include <string.h>

#include "json/chars.h"
#include "json/doc_internal.h"
#include "json/path.h"

static int add_char(struct qn_buf *out, int c)
{
    static const char names[] = "\b\f\n\r\t'\\", letters[] = "bfnrt'\\";
    const char *known = c ? strchr(names, c) : NULL;
    if (known) return qn_buf_add(out, (char[2]){'\\', letters[known - names]}, 2);
    if (c < 0x20) return qn_buf_add_fmt(out, "\\u%04x", (unsigned)c);
    return qn_buf_add_byte(out, (char)c);
}

static int add_name(const struct qn_doc *doc, qn_node member, struct qn_buf *out)
{
    struct qn_span content = qn_doc_content(doc, qn_doc_key(doc, member));
    struct qn_chars chars;
    int c, rc = qn_buf_add(out, "['", 2);
    qn_chars_init(&chars, content.data, content.size);
    while (rc == 0 && (c = qn_chars_next(&chars)) >= 0) rc = add_char(out, c);
    return rc == 0 ? qn_buf_add(out, "']", 2) : rc;
}

int qn_path_normalized(const struct qn_doc *doc, qn_node start, qn_node node, struct qn_buf *out)
{
    size_t before = out->size;
    int rc = qn_buf_add_byte(out, '$');
    if (node < start || node >= qn_doc_behind(doc, start)) rc = QN_EINVAL;
    while (rc == 0 && start != node) {
        size_t index = 0;
        qn_node child = qn_doc_first(doc, start);
        while (child != QN_NONE && node >= qn_doc_behind(doc, child)) {
            child = qn_doc_next(doc, start, child);
            index++;
        }
        if (child == QN_NONE || node < child) {
            rc = QN_EINVAL; /* a key or a closing node */
        } else if (qn_doc_kind(doc, start) == QN_OBJECT) {
            rc = add_name(doc, child, out);
        } else {
            rc = qn_buf_add_fmt(out, "[%zu]", index);
        }
        start = child;
    }
    if (rc < 0) out->size = before;
    return rc;
}
