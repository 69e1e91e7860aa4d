/* regex.c - see regex.h. A recursive descent over RFC 9485's grammar that writes the pattern in PCRE2's (§5.4). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "json/regex.h"

#include <pcre2.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "json/utf8.h"

#define MAX_DEPTH   100 /* groups within groups */
#define MAX_PATTERN ((size_t)64 << 10)
#define MATCH_LIMIT 1000000
#define HEAP_KIB    20000

struct qn_regex {
    pcre2_code *code;
    pcre2_match_context *limits;
};

struct reader {
    const char *at, *end;
    unsigned depth;
    struct qn_buf out;
};

static bool alternatives(struct reader *r);

static int peek(const struct reader *r)
{
    return r->at < r->end ? (unsigned char)*r->at : -1;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != (unsigned char)c) return false;
    r->at++;
    return true;
}

static bool one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

static bool put(struct reader *r, const char *text, size_t size)
{
    return qn_buf_add(&r->out, text, size) == 0;
}

/* One character as it is, escaped where PCRE2 would read it otherwise. */
static bool character(struct reader *r)
{
    size_t size = qn_utf8_step(r->at, (size_t)(r->end - r->at));
    bool meta = size == 1 && one_of(*r->at, "^$.*+?()[]{}|\\-/#&~ ");
    if (meta && !put(r, "\\", 1)) return false;
    if (size == 0 || !put(r, r->at, size)) return false;
    r->at += size;
    return true;
}

static bool is_category(char major, char minor)
{
    static const char *const categories[] = {"Llmotu", "Mcen", "Ndlo", "Pcdefios", "Zlps", "Sckmo", "Ccfno"};
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
        if (categories[i][0] == major) return minor == '}' || one_of(minor, categories[i] + 1);
    }
    return false;
}

/* Behind "\p" or "\P". */
static bool category(struct reader *r, char kind)
{
    if (r->end - r->at < 3 || r->at[0] != '{' || !is_category(r->at[1], r->at[2])) return false;
    bool major = r->at[2] == '}';
    if (!major && (r->end - r->at < 4 || r->at[3] != '}')) return false;
    size_t size = major ? 3 : 4;
    char head[2] = {'\\', kind};
    bool done = put(r, head, 2) && put(r, r->at, size);
    r->at += size;
    return done;
}

/* At a backslash. A category stands for many characters and cannot be the end of a range: *many. */
static bool escape(struct reader *r, bool *many)
{
    r->at++;
    int c = peek(r);
    *many = c == 'p' || c == 'P';
    if (*many) {
        r->at++;
        return category(r, (char)c);
    }
    if (!one_of(c, "()*+-.?[\\]^nrt{|}")) return false;
    char text[2] = {'\\', (char)c};
    r->at++;
    return put(r, text, 2);
}

/* A character of a class, or a category. */
static bool class_character(struct reader *r, bool *many)
{
    int c = peek(r);
    *many = false;
    if (c == '\\') return escape(r, many);
    if (c < 0 || one_of(c, "-[]")) return false;
    return character(r);
}

static bool class_part(struct reader *r)
{
    bool many;
    if (!class_character(r, &many)) return false;
    if (many || peek(r) != '-' || (r->end - r->at > 1 && r->at[1] == ']')) return true;
    r->at++;
    return put(r, "-", 1) && class_character(r, &many) && !many;
}

/* Behind '['. */
static bool class_expression(struct reader *r)
{
    if (!put(r, "[", 1)) return false;
    if (take(r, '^') && !put(r, "^", 1)) return false;
    if (take(r, '-')) {
        if (!put(r, "\\-", 2)) return false;
    } else if (!class_part(r)) {
        return false;
    }
    while (peek(r) != ']' && peek(r) != '-') {
        if (!class_part(r)) return false;
    }
    if (take(r, '-') && !put(r, "\\-", 2)) return false;
    return take(r, ']') && put(r, "]", 1);
}

static bool group(struct reader *r)
{
    if (++r->depth > MAX_DEPTH || !put(r, "(?:", 3) || !alternatives(r) || !take(r, ')')) return false;
    r->depth--;
    return put(r, ")", 1);
}

static bool atom(struct reader *r)
{
    bool many;
    int c = peek(r);
    if (take(r, '(')) return group(r);
    if (take(r, '[')) return class_expression(r);
    if (take(r, '.')) return put(r, "[^\\n\\r]", 7);
    if (c == '\\') return escape(r, &many);
    if (c == '^' ||
        c == '$') { /* letters by the grammar, anchors by its mappings (§5.3) and in the JSONPath test suite */
        char anchor = (char)c;
        r->at++;
        return put(r, &anchor, 1);
    }
    if (one_of(c, ")*+?]{|}")) return false;
    return character(r);
}

static bool digits(struct reader *r)
{
    const char *from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at > from;
}

static bool quantifier(struct reader *r)
{
    const char *from = r->at;
    if (one_of(peek(r), "*+?")) {
        r->at++;
    } else if (take(r, '{')) {
        if (!digits(r)) return false;
        if (take(r, ',')) digits(r);
        if (!take(r, '}')) return false;
    }
    return put(r, from, (size_t)(r->at - from));
}

static bool alternatives(struct reader *r)
{
    for (;;) {
        while (r->at < r->end && *r->at != '|' && *r->at != ')') {
            if (!atom(r) || !quantifier(r)) return false;
        }
        if (!take(r, '|')) return true;
        if (!put(r, "|", 1)) return false;
    }
}

static int translate(const char *pattern, size_t size, bool whole, struct qn_buf *out)
{
    struct reader r = {.at = pattern, .end = pattern + size};
    qn_buf_init(&r.out, 16 * MAX_PATTERN);
    bool good = size <= MAX_PATTERN && (!whole || put(&r, "\\A(?:", 5)) && alternatives(&r) && r.at == r.end &&
                (!whole || put(&r, ")\\z", 3));
    if (!good) {
        qn_buf_free(&r.out);
        return QN_ESYNTAX;
    }
    *out = r.out;
    return QN_OK;
}

static int compile(struct qn_regex *regex, const struct qn_buf *pattern)
{
    int problem;
    PCRE2_SIZE offset;
    regex->code = pcre2_compile((PCRE2_SPTR)(pattern->data ? pattern->data : ""), pattern->size,
                                PCRE2_UTF | PCRE2_NO_AUTO_CAPTURE | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                                &problem, &offset, NULL);
    if (!regex->code) return QN_ESYNTAX; /* a range that goes backwards, a count that is too large */
    regex->limits = pcre2_match_context_create(NULL);
    if (!regex->limits) return QN_ENOMEM;
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_KIB);
    return QN_OK;
}

int qn_regex_compile(const char *pattern, size_t size, bool whole, struct qn_regex **out, struct qn_err *err)
{
    struct qn_buf translated;
    *out = NULL;
    if (translate(pattern, size, whole, &translated) < 0)
        return qn_fail(err, QN_ESYNTAX, "not a regular expression of RFC 9485");
    struct qn_regex *regex = qn_calloc(1, sizeof *regex);
    int rc = regex ? compile(regex, &translated) : QN_ENOMEM;
    qn_buf_free(&translated);
    if (rc < 0) {
        qn_regex_free(regex);
        return qn_fail(err, rc, rc == QN_ENOMEM ? "out of memory" : "not a regular expression of RFC 9485");
    }
    *out = regex;
    return QN_OK;
}

void qn_regex_free(struct qn_regex *regex)
{
    if (!regex) return;
    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    qn_free(regex);
}

int qn_regex_matches(const struct qn_regex *regex, const char *text, size_t size)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) return QN_ENOMEM;
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)text, size, 0, 0, match, regex->limits);
    pcre2_match_data_free(match);
    if (rc >= 0) return 1;
    return rc == PCRE2_ERROR_NOMATCH ? 0 : rc == PCRE2_ERROR_NOMEMORY ? QN_ENOMEM : QN_ELIMIT;
}
