/* The grammar of RFC 9535 §2.1 to §2.5 by recursive descent; filters are in path_filter.c. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "json/chars.h"
#include "json/path_internal.h"
#include "json/utf8.h"

#define INTEGER_LIMIT INT64_C(9007199254740991) /* I-JSON, RFC 7493 */

struct qn_path_block {
    struct qn_path_block *next;
    max_align_t data[];
};

void *qn_path_alloc(struct qn_path_parser *p, size_t size)
{
    struct qn_path_block *block = qn_calloc(1, sizeof *block + size);
    if (!block) {
        qn_fail(p->err, QN_ENOMEM, "out of memory for a path");
        return NULL;
    }
    block->next = p->path->blocks;
    p->path->blocks = block;
    return block->data;
}

int qn_path_refuse(struct qn_path_parser *p, size_t offset, const char *format, ...)
{
    char problem[256];
    size_t column = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
    for (size_t i = 0; i < offset && i < p->size; i++) column += ((unsigned char)p->text[i] & 0xC0) != 0x80;
    return qn_fail_at(p->err, QN_ESYNTAX, offset, "column %zu: %s", column, problem);
}

int qn_path_peek(const struct qn_path_parser *p)
{
    return p->at < p->size ? (unsigned char)p->text[p->at] : -1;
}

bool qn_path_take(struct qn_path_parser *p, const char *token)
{
    size_t size = strlen(token);
    if (p->size - p->at < size || memcmp(p->text + p->at, token, size) != 0) return false;
    p->at += size;
    return true;
}

void qn_path_blank(struct qn_path_parser *p)
{
    int c;
    while ((c = qn_path_peek(p)) == ' ' || c == '\t' || c == '\n' || c == '\r') p->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_first(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

/* ".name" without the dot; the text was checked to be UTF-8, so any byte from 0x80 is part of a letter. */
static int shorthand(struct qn_path_parser *p, struct qn_span *out)
{
    size_t from = p->at;
    if (!is_name_first(qn_path_peek(p))) return qn_path_refuse(p, p->at, "expected a member name or '*'");
    while (is_name_first(qn_path_peek(p)) || is_digit(qn_path_peek(p))) p->at++;
    char *name = qn_path_alloc(p, p->at - from);
    if (!name) return QN_ENOMEM;
    memcpy(name, p->text + from, p->at - from);
    *out = (struct qn_span){name, p->at - from};
    return QN_OK;
}

static bool hex_at(const struct qn_path_parser *p, size_t at, uint32_t *out)
{
    *out = 0;
    if (p->size - at < 4) return false;
    for (size_t i = at; i < at + 4; i++) {
        int c = (unsigned char)p->text[i], letter = c | 0x20;
        if (!is_digit(c) && !(letter >= 'a' && letter <= 'f')) return false;
        *out = *out << 4 | (uint32_t)(is_digit(c) ? c - '0' : letter - 'a' + 10);
    }
    return true;
}

/* At a backslash: checks one escape and steps behind it. */
static int check_escape(struct qn_path_parser *p, char quote)
{
    size_t from = p->at++;
    int c = qn_path_peek(p);
    uint32_t code, low;
    if (c == quote || (c > 0 && strchr("\\/bfnrt", c))) {
        p->at++;
        return QN_OK;
    }
    if (c != 'u' || !hex_at(p, p->at + 1, &code)) return qn_path_refuse(p, from, "invalid escape in a string");
    p->at += 5;
    if ((code & 0xFC00) == 0xD800 && qn_path_take(p, "\\u") && hex_at(p, p->at, &low) && (low & 0xFC00) == 0xDC00) {
        p->at += 4;
    } else if ((code & 0xF800) == 0xD800) {
        return qn_path_refuse(p, from, "half of a surrogate pair in a string");
    }
    return QN_OK;
}

static struct qn_span decode(struct qn_path_parser *p, const char *content, size_t size)
{
    struct qn_span span = {NULL, 0};
    char *out = qn_path_alloc(p, size);
    if (!out) return span;
    struct qn_chars chars;
    int c;
    qn_chars_init(&chars, content, size);
    while ((c = qn_chars_next(&chars)) >= 0) out[span.size++] = (char)c;
    span.data = out;
    return span;
}

int qn_path_string(struct qn_path_parser *p, struct qn_span *out)
{
    size_t open = p->at;
    char quote = p->text[p->at++];
    for (int c; (c = qn_path_peek(p)) != quote;) {
        if (c < 0) return qn_path_refuse(p, open, "the string that begins here is not closed");
        if (c < 0x20) return qn_path_refuse(p, p->at, "control character in a string; write \\u%04x", (unsigned)c);
        int rc = QN_OK;
        if (c == '\\') {
            rc = check_escape(p, quote);
        } else {
            p->at++;
        }
        if (rc < 0) return rc;
    }
    *out = decode(p, p->text + open + 1, p->at - open - 1);
    p->at++;
    return out->data ? QN_OK : QN_ENOMEM;
}

static int integer(struct qn_path_parser *p, int64_t *out)
{
    size_t from = p->at;
    bool negative = qn_path_take(p, "-");
    size_t digits = p->at;
    *out = 0;
    if (!is_digit(qn_path_peek(p))) return qn_path_refuse(p, from, "expected an integer");
    for (; is_digit(qn_path_peek(p)); p->at++) {
        *out = *out * 10 + (p->text[p->at] - '0');
        if (*out > INTEGER_LIMIT) return qn_path_refuse(p, from, "integer beyond 2^53 - 1");
    }
    if (p->text[digits] == '0' && (p->at > digits + 1 || negative)) {
        return qn_path_refuse(p, from,
                              negative ? "-0 and leading zeros are not allowed" : "leading zeros are not allowed");
    }
    if (negative) *out = -*out;
    return QN_OK;
}

static bool at_integer(const struct qn_path_parser *p)
{
    return qn_path_peek(p) == '-' || is_digit(qn_path_peek(p));
}

/* Behind the first colon. */
static int slice_rest(struct qn_path_parser *p, struct qn_selector *s)
{
    int rc = QN_OK;
    s->kind = QN_SELECT_SLICE;
    s->step = 1;
    qn_path_blank(p);
    if (at_integer(p)) {
        s->has_end = true;
        rc = integer(p, &s->end);
    }
    size_t before = p->at;
    qn_path_blank(p);
    if (rc < 0 || !qn_path_take(p, ":")) {
        p->at = before;
        return rc;
    }
    before = p->at;
    qn_path_blank(p);
    if (at_integer(p)) return integer(p, &s->step);
    p->at = before;
    return QN_OK;
}

static int index_or_slice(struct qn_path_parser *p, struct qn_selector *s)
{
    if (at_integer(p)) {
        int rc = integer(p, &s->index);
        if (rc < 0) return rc;
        s->kind = QN_SELECT_INDEX;
        s->start = s->index;
        s->has_start = true;
        size_t before = p->at;
        qn_path_blank(p);
        if (!qn_path_take(p, ":")) {
            p->at = before;
            return QN_OK;
        }
    } else if (!qn_path_take(p, ":")) {
        return qn_path_refuse(p, p->at, "expected a selector: a quoted name, an index, a slice, '*' or '?'");
    }
    return slice_rest(p, s);
}

static int selector(struct qn_path_parser *p, struct qn_selector *s)
{
    int c = qn_path_peek(p);
    if (c == '\'' || c == '"') {
        s->kind = QN_SELECT_NAME;
        return qn_path_string(p, &s->name);
    }
    if (qn_path_take(p, "*")) {
        s->kind = QN_SELECT_ALL;
        return QN_OK;
    }
    if (qn_path_take(p, "?")) {
        s->kind = QN_SELECT_FILTER;
        return qn_path_filter(p, &s->filter);
    }
    return index_or_slice(p, s);
}

static struct qn_selector *add_selector(struct qn_path_parser *p, struct qn_selector ***tail)
{
    struct qn_selector *s = qn_path_alloc(p, sizeof *s);
    if (!s) return NULL;
    **tail = s;
    *tail = &s->next;
    return s;
}

static void skip_in_bracket(struct qn_path_parser *p, struct qn_query *query)
{
    size_t from = p->at;
    qn_path_blank(p);
    if (p->at > from && query->loose == SIZE_MAX) query->loose = from;
}

/* Behind '['. */
static int bracket(struct qn_path_parser *p, struct qn_query *query, struct qn_segment *segment)
{
    struct qn_selector **tail = &segment->selectors;
    size_t open = p->at - 1;
    do {
        struct qn_selector *s = add_selector(p, &tail);
        if (!s) return QN_ENOMEM;
        skip_in_bracket(p, query);
        int rc = selector(p, s);
        if (rc < 0) return rc;
        skip_in_bracket(p, query);
    } while (qn_path_take(p, ","));
    if (qn_path_take(p, "]")) return QN_OK;
    if (p->at == p->size) return qn_path_refuse(p, open, "the '[' here is not closed");
    return qn_path_refuse(p, p->at, "expected ',' or ']'");
}

/* Behind '.' or '..'. */
static int dotted(struct qn_path_parser *p, struct qn_segment *segment)
{
    struct qn_selector **tail = &segment->selectors;
    struct qn_selector *s = add_selector(p, &tail);
    if (!s) return QN_ENOMEM;
    if (qn_path_take(p, "*")) {
        s->kind = QN_SELECT_ALL;
        return QN_OK;
    }
    s->kind = QN_SELECT_NAME;
    return shorthand(p, &s->name);
}

static bool is_single(const struct qn_segment *segment)
{
    const struct qn_selector *s = segment->selectors;
    return !segment->descendant && !s->next && (s->kind == QN_SELECT_NAME || s->kind == QN_SELECT_INDEX);
}

int qn_path_query(struct qn_path_parser *p, struct qn_query *out)
{
    struct qn_segment **tail = &out->segments;
    out->absolute = p->text[p->at++] == '$';
    out->singular = true;
    out->loose = SIZE_MAX;
    for (;;) {
        size_t before = p->at;
        qn_path_blank(p);
        int c = qn_path_peek(p), rc;
        if (c != '.' && c != '[') {
            p->at = before; /* white space counts only between segments */
            return QN_OK;
        }
        struct qn_segment *segment = qn_path_alloc(p, sizeof *segment);
        if (!segment) return QN_ENOMEM;
        *tail = segment;
        tail = &segment->next;
        size_t begin = p->at;
        segment->descendant = qn_path_take(p, "..");
        if (qn_path_take(p, "[")) {
            rc = bracket(p, out, segment);
        } else {
            if (!segment->descendant) p->at++;
            rc = dotted(p, segment);
        }
        if (rc < 0) return rc;
        segment->text = (struct qn_span){p->text + begin, p->at - begin};
        segment->single = is_single(segment);
        out->singular = out->singular && segment->single;
    }
}

static int parse(struct qn_path_parser *p)
{
    size_t bad;
    if (!qn_utf8_valid(p->text, p->size, &bad)) return qn_path_refuse(p, bad, "the path is not UTF-8");
    if (qn_path_peek(p) != '$') return qn_path_refuse(p, 0, "a path begins with '$'");
    int rc = qn_path_query(p, &p->path->query);
    if (rc < 0 || p->at == p->size) return rc;
    size_t from = p->at;
    qn_path_blank(p);
    if (p->at == p->size) return qn_path_refuse(p, from, "white space behind the path");
    return qn_path_refuse(p, p->at, "expected '.', '..', '[' or the end of the path");
}

/* The segments point into the text, which is the caller's. */
static int keep_text(struct qn_path_parser *p)
{
    char *copy = qn_path_alloc(p, p->size + 1);
    if (!copy) return QN_ENOMEM;
    memcpy(copy, p->text, p->size);
    p->text = copy;
    return QN_OK;
}

int qn_path_compile(const char *text, size_t size, struct qn_path **out, struct qn_err *err)
{
    struct qn_path *path = qn_calloc(1, sizeof *path);
    *out = NULL;
    if (!path) return qn_fail(err, QN_ENOMEM, "out of memory for a path");
    struct qn_path_parser p = {.path = path, .text = text, .size = size, .err = err};
    int rc = keep_text(&p);
    if (rc == 0) rc = parse(&p);
    if (rc < 0) {
        qn_path_free(path);
        return rc;
    }
    *out = path;
    return QN_OK;
}

void qn_path_free(struct qn_path *path)
{
    if (!path) return;
    for (struct qn_call *call = path->calls; call; call = call->next) qn_regex_free(call->regex);
    while (path->blocks) {
        struct qn_path_block *next = path->blocks->next;
        qn_free(path->blocks);
        path->blocks = next;
    }
    qn_free(path);
}
