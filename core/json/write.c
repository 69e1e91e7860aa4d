#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json/number.h"
#include "json/utf8.h"
#include "json/write.h"

static int add_control(struct qn_buf *out, unsigned char c)
{
    static const char names[] = "\b\f\n\r\t", letters[] = "bfnrt";
    const char *known = c ? strchr(names, c) : NULL;
    char text[7];
    if (known) return qn_buf_add(out, (char[2]){'\\', letters[known - names]}, 2);
    snprintf(text, sizeof text, "\\u%04x", c);
    return qn_buf_add(out, text, 6);
}

/* What must be written at text, which does not stay as it is; *step bytes of it are done. */
static int add_special(struct qn_buf *out, const char *text, size_t size, size_t *step)
{
    unsigned char c = (unsigned char)*text;
    *step = 1;
    if (c == '"' || c == '\\') return qn_buf_add(out, (char[2]){'\\', (char)c}, 2);
    if (c < 0x20) return add_control(out, c);
    *step = qn_utf8_step(text, size);
    if (*step > 0) return qn_buf_add(out, text, *step);
    *step = 1;
    return qn_buf_add(out, QN_UTF8_REPLACEMENT, 3);
}

static int add_string(struct qn_buf *out, const char *text, size_t size)
{
    int rc = qn_buf_add_byte(out, '"');
    size_t from = 0, at = 0;
    while (rc == 0 && at < size) {
        unsigned char c = (unsigned char)text[at];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            at++;
            continue;
        }
        size_t step;
        rc = qn_buf_add(out, text + from, at - from);
        if (rc == 0) rc = add_special(out, text + at, size - at, &step);
        if (rc == 0) from = at += step;
    }
    if (rc == 0) rc = qn_buf_add(out, text + from, at - from);
    return rc == 0 ? qn_buf_add_byte(out, '"') : rc;
}

int qn_json_string(struct qn_buf *out, const char *text, size_t size)
{
    size_t before = out->size;
    int rc = add_string(out, text, size);
    if (rc < 0) out->size = before;
    return rc;
}

int qn_json_integer(struct qn_buf *out, int64_t value)
{
    char text[20], *p = text + sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) *--p = '-';
    return qn_buf_add(out, p, (size_t)(text + sizeof text - p));
}

static int add_double(struct qn_buf *out, double value, bool keep_kind)
{
    char text[QN_NUMBER_TEXT_SIZE];
    if (!isfinite(value)) return QN_ERANGE;
    return qn_buf_add(out, text, qn_number_format(value, keep_kind, text));
}

int qn_json_double(struct qn_buf *out, double value)
{
    return add_double(out, value, true);
}

int qn_decimal_double(struct qn_buf *out, double value)
{
    return add_double(out, value, false);
}

/* Behind the string whose opening quote is at text. */
static const char *string_end(const char *text, const char *end)
{
    for (text++; text < end && *text != '"'; text++)
        if (*text == '\\' && text + 1 < end) text++;
    return text < end ? text + 1 : end;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int qn_json_minify(struct qn_buf *out, const char *text, size_t size)
{
    int rc = qn_buf_reserve(out, size);
    if (rc < 0) return rc;
    const char *end = text + size;
    while (text < end) {
        const char *from = text;
        while (text < end && !is_space(*text)) text = *text == '"' ? string_end(text, end) : text + 1;
        memcpy(out->data + out->size, from, (size_t)(text - from));
        out->size += (size_t)(text - from);
        while (text < end && is_space(*text)) text++;
    }
    return QN_OK;
}

int qn_json_minified(struct qn_buf *out, const struct qn_doc *doc, qn_node node)
{
    struct qn_span span = qn_doc_span(doc, node);
    return qn_json_minify(out, span.data, span.size);
}
