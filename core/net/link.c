#include "net/link.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *start, *at, *end;
};

struct param {
    const char *name, *value; /* value: between the quotes, escapes as written */
    size_t name_size, size;
    bool quoted;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && is_space(*r->at)) r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static int refuse(const struct reader *r, const char *what, struct qn_err *err)
{
    size_t offset = (size_t)(r->at - r->start);
    return qn_fail_at(err, QN_ESYNTAX, offset, "%s at byte %zu of the Link header", what, offset);
}

/* Up to white space or one of the characters in stops; then white space. */
static const char *take_word(struct reader *r, const char *stops, size_t *size)
{
    const char *word = r->at;
    while (r->at < r->end && !is_space(*r->at) && !(*r->at && strchr(stops, *r->at))) r->at++;
    *size = (size_t)(r->at - word);
    skip_space(r);
    return word;
}

static int take_quoted(struct reader *r, struct param *param, struct qn_err *err)
{
    param->quoted = true;
    param->value = r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\' && r->end - r->at > 1) r->at++;
        r->at++;
    }
    param->size = (size_t)(r->at - param->value);
    return take(r, '"') ? 0 : refuse(r, "a text without its closing quote", err);
}

/* What stands after a semicolon; an empty parameter is none, but no error. */
static int take_param(struct reader *r, struct param *param, struct qn_err *err)
{
    memset(param, 0, sizeof *param);
    skip_space(r);
    param->name = take_word(r, "=;,", &param->name_size);
    if (!take(r, '=')) return 0;
    skip_space(r);
    if (take(r, '"')) return take_quoted(r, param, err);
    param->value = take_word(r, ";,", &param->size);
    return 0;
}

static bool is_named(const struct param *param, const char *name)
{
    return param->name_size == strlen(name) && strncasecmp(param->name, name, param->name_size) == 0;
}

/* Is rel one of the words? Escapes are undone on the way. */
static bool has_relation(const struct param *param, const char *rel)
{
    size_t rel_size = strlen(rel), matched = 0;
    bool same = true; /* so far in this word */
    for (size_t i = 0; i < param->size; i++) {
        char c = param->value[i];
        if (param->quoted && c == '\\' && i + 1 < param->size) c = param->value[++i];
        if (is_space(c)) {
            if (same && matched == rel_size) return true;
            same = true;
            matched = 0;
            continue;
        }
        same = same && matched < rel_size && strncasecmp(&c, &rel[matched], 1) == 0;
        matched++;
    }
    return same && matched == rel_size;
}

/* The parameters of one link. Only the first `rel` of a link counts (RFC 8288 3.3). */
static int read_params(struct reader *r, const char *rel, bool *found, struct qn_err *err)
{
    bool related = false, related_seen = false, anchored = false;
    struct param param;
    for (skip_space(r); take(r, ';'); skip_space(r)) {
        int rc = take_param(r, &param, err);
        if (rc < 0) return rc;
        if (is_named(&param, "rel") && !related_seen) {
            related_seen = true;
            related = has_relation(&param, rel);
        }
        anchored = anchored || is_named(&param, "anchor");
    }
    *found = related && !anchored;
    return 0;
}

int qn_link_find(const char *value, size_t size, const char *rel, const char **target, size_t *target_size,
                 struct qn_err *err)
{
    struct reader r = {value, value, value + size};
    for (;;) {
        bool found;
        skip_space(&r);
        if (take(&r, ',')) continue; /* an empty element of the list */
        if (r.at == r.end) return 0;
        if (!take(&r, '<')) return refuse(&r, "no link, which begins with '<',", err);
        const char *close = memchr(r.at, '>', (size_t)(r.end - r.at));
        if (!close) return refuse(&r, "a link without its closing '>'", err);
        *target = r.at;
        *target_size = (size_t)(close - r.at);
        r.at = close + 1;
        int rc = read_params(&r, rel, &found, err);
        if (rc < 0) return rc;
        if (found) return 1;
        if (r.at < r.end && *r.at != ',') return refuse(&r, "neither ';' nor ',' after a link", err);
    }
}
