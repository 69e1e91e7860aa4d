#include "rows/csv.h"

#include <string.h>

#include "json/write.h"

/* Bytes of the UTF-8 character at text, 0 if there is none (RFC 3629: no surrogates, no overlong forms). */
static size_t character(const unsigned char *text, size_t size)
{
    unsigned char lead = text[0], low = 0x80, high = 0xbf;
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length < 2) return length;
    if (length > size) return 0;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
    }
    return length;
}

/* What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection). */
static bool formula(const char *text, size_t size)
{
    return size > 0 && text[0] != 0 && strchr("=+-@\t\r", text[0]) != NULL;
}

enum { PLAIN, QUOTED, WIDE };

/* What a byte asks of its cell: nothing, quotes, or a look at the character that it begins. */
static const unsigned char kinds[256] = {
    [','] = QUOTED, ['"'] = QUOTED, ['\r'] = QUOTED, ['\n'] = QUOTED, [0x80 ... 0xff] = WIDE,
};

typedef unsigned char vector __attribute__((vector_size(16)));

/* The same of sixteen bytes at once. */
static unsigned kinds_of(const char *text)
{
    vector bytes;
    memcpy(&bytes, text, sizeof bytes);
    vector special =
        (vector)(bytes == ',') | (vector)(bytes == '"') | (vector)(bytes == '\r') | (vector)(bytes == '\n');
    uint64_t quoted[2], wide[2];
    memcpy(quoted, &special, sizeof quoted);
    memcpy(wide, &bytes, sizeof wide);
    const uint64_t high = UINT64_C(0x8080808080808080);
    return (quoted[0] | quoted[1] ? QUOTED : PLAIN) | ((wide[0] | wide[1]) & high ? WIDE : PLAIN);
}

static unsigned kinds_in(const char *text, size_t size)
{
    unsigned seen = PLAIN;
    for (; size >= sizeof(vector); text += sizeof(vector), size -= sizeof(vector)) seen |= kinds_of(text);
    for (size_t i = 0; i < size; i++) seen |= kinds[(unsigned char)text[i]];
    return seen;
}

/* A cell with a quote or with characters beyond ASCII. */
static int add_checked(struct qn_buf *out, const char *text, size_t size)
{
    size_t start = 0, at = 0;
    int rc = 0;
    while (rc == 0 && at < size) {
        size_t length = character((const unsigned char *)text + at, size - at);
        if (length > 0 && text[at] != '"') {
            at += length;
            continue;
        }
        /* a quote is doubled: up to and with it, then again from it */
        if (length > 0) {
            rc = qn_buf_add(out, text + start, at + 1 - start);
            start = at++;
        } else {
            rc = at > start ? qn_buf_add(out, text + start, at - start) : 0;
            if (rc == 0) rc = qn_buf_add(out, "\xef\xbf\xbd", 3);
            start = ++at;
        }
    }
    return rc == 0 && at > start ? qn_buf_add(out, text + start, at - start) : rc;
}

int qn_csv_text(struct qn_buf *out, const char *text, size_t size, bool safe)
{
    bool guarded = safe && formula(text, size);
    unsigned seen = size == 0 ? QUOTED : kinds_in(text, size);
    if (seen == PLAIN && !guarded) return qn_buf_add(out, text, size);
    int rc = seen & QUOTED ? qn_buf_add_byte(out, '"') : 0;
    if (rc == 0 && guarded) rc = qn_buf_add_byte(out, '\'');
    if (rc == 0) rc = add_checked(out, text, size);
    return rc == 0 && (seen & QUOTED) ? qn_buf_add_byte(out, '"') : rc;
}

static int add_cell(struct qn_buf *out, const struct qn_value *value, bool safe)
{
    switch (value->kind) {
    case QN_VALUE_MISSING:
    case QN_VALUE_NULL: return 0;
    case QN_VALUE_BOOL: return qn_buf_add_str(out, value->boolean ? "true" : "false");
    case QN_VALUE_INTEGER: return qn_json_integer(out, value->integer);
    case QN_VALUE_DOUBLE: return qn_decimal_double(out, value->number);
    case QN_VALUE_NUMBER: return qn_buf_add(out, value->text.data, value->text.size);
    case QN_VALUE_TEXT: return qn_csv_text(out, value->text.data, value->text.size, safe);
    case QN_VALUE_JSON: return qn_csv_text(out, value->text.data, value->text.size, false);
    }
    return 0;
}

int qn_csv_row(struct qn_buf *out, const struct qn_value *values, size_t count, bool safe)
{
    size_t before = out->size;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i > 0) rc = qn_buf_add_byte(out, ',');
        if (rc == 0) rc = add_cell(out, &values[i], safe);
    }
    if (rc == 0 && out->size == before) rc = qn_buf_add(out, "\"\"", 2);
    return rc < 0 ? rc : qn_buf_add(out, "\r\n", 2);
}
