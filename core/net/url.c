#include "net/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "net/url_text.h"

/* Longer than any server takes; keeps a hostile next link from growing page by page. */
#define URL_CAP (64 * 1024)

struct url {
    char *scheme; /* "http" or "https" */
    char *host;   /* lower case, IPv6 in brackets */
    unsigned port;
    bool default_port;
    char *path;  /* begins with "/", not normalised yet */
    char *query; /* without "?"; NULL: none */
};

/* ---- errors ---- */

/* An error about a URL, with the URL quoted: cut, and redacted because it may hold a key. */
static int fail_url(struct qn_err *err, int code, const char *what, const char *url)
{
    struct qn_buf shown;
    qn_buf_init(&shown, QN_BUF_NO_CAP);
    const char *text = qn_redact(&shown, url, strlen(url)) == 0 ? qn_buf_cstr(&shown) : NULL;
    if (text)
        qn_fail(err, code, "%s: \"%.300s\"", what, text);
    else
        qn_fail(err, code, "%s", what);
    qn_buf_free(&shown);
    return code;
}

static int check_text(const char *url, struct qn_err *err)
{
    if (strlen(url) > URL_CAP) return qn_fail(err, QN_ELIMIT, "url longer than %d bytes", URL_CAP);
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return qn_fail_at(err, QN_EINVAL, (size_t)(p - url), "url with a control character at byte %zu",
                              (size_t)(p - url));
    return 0;
}

/* ---- parsing ---- */

static void url_clear(struct url *url)
{
    curl_free(url->scheme);
    curl_free(url->host);
    curl_free(url->path);
    curl_free(url->query);
    memset(url, 0, sizeof *url);
}

static bool has_userinfo(CURLU *handle)
{
    char *user = NULL, *password = NULL;
    curl_url_get(handle, CURLUPART_USER, &user, 0);
    curl_url_get(handle, CURLUPART_PASSWORD, &password, 0);
    bool found = user || password;
    curl_free(user);
    curl_free(password);
    return found;
}

static int read_parts(CURLU *handle, const char *text, struct url *url, struct qn_err *err)
{
    char *port = NULL;
    if (curl_url_get(handle, CURLUPART_SCHEME, &url->scheme, 0) != CURLUE_OK ||
        (strcmp(url->scheme, "http") != 0 && strcmp(url->scheme, "https") != 0))
        return fail_url(err, QN_EDENIED, "only http and https urls are allowed", text);
    const char *authority = text + strlen(url->scheme);
    if (strncmp(authority, "://", 3) != 0) /* libcurl takes "https:/h" for "https://h", too */
        return fail_url(err, QN_EINVAL, "url without \"//\" after its scheme", text);
    authority += 3;
    if (*authority == '/') /* libcurl would take what follows for the host */
        return fail_url(err, QN_EINVAL, "url without a host", text);
    /* libcurl decodes "%33" to the host "3" and would read that anew as an address: two hosts in one text */
    if (memchr(authority, '%', strcspn(authority, "/?#")))
        return fail_url(err, QN_EINVAL, "url with a percent sign in its host", text);
    /* The text is not quoted: it may hold a password. */
    if (has_userinfo(handle)) return qn_fail(err, QN_EDENIED, "a url must not carry a user name or password");
    if (curl_url_get(handle, CURLUPART_HOST, &url->host, 0) != CURLUE_OK || !url->host[0])
        return fail_url(err, QN_EINVAL, "url without a host", text);
    for (char *p = url->host; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
    if (curl_url_get(handle, CURLUPART_PATH, &url->path, 0) != CURLUE_OK)
        return qn_fail(err, QN_ENOMEM, "out of memory");
    curl_url_get(handle, CURLUPART_QUERY, &url->query, 0);
    if (curl_url_get(handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return qn_fail(err, QN_ENOMEM, "out of memory");
    url->port = (unsigned)strtoul(port, NULL, 10);
    url->default_port = url->port == (url->scheme[4] ? 443u : 80u);
    curl_free(port);
    return 0;
}

static int url_parse(const char *text, struct url *url, struct qn_err *err)
{
    memset(url, 0, sizeof *url);
    int rc = check_text(text, err);
    if (rc < 0) return rc;
    CURLU *handle = curl_url();
    if (!handle) return qn_fail(err, QN_ENOMEM, "out of memory");
    CURLUcode code = curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_ALLOW_SPACE);
    if (code == CURLUE_OK) {
        rc = read_parts(handle, text, url, err);
    } else {
        char what[160];
        snprintf(what, sizeof what, "not a url (%s)", curl_url_strerror(code));
        rc = strchr(text, '@') ? qn_fail(err, QN_EINVAL, "%s", what) : fail_url(err, QN_EINVAL, what, text);
    }
    curl_url_cleanup(handle);
    if (rc < 0) url_clear(url);
    return rc;
}

/* ---- paths ---- */

/* Appends `path` without "." and ".." segments; it is clean (see qn_url_add_clean) and begins with "/". */
static int add_without_dots(struct qn_buf *out, const char *path, size_t size)
{
    size_t start = out->size;
    const char *end = path + size;
    int rc = 0;
    for (const char *p = path; p < end && rc == 0;) {
        const char *segment = p + 1, *next = memchr(segment, '/', (size_t)(end - segment));
        size_t length = (size_t)((next ? next : end) - segment);
        bool dot = length == 1 && segment[0] == '.', dots = length == 2 && segment[0] == '.' && segment[1] == '.';
        if (dots)
            while (out->size > start && out->data[--out->size] != '/') {}
        if (!dot && !dots)
            rc = qn_buf_add(out, p, length + 1);
        else if (!next)
            rc = qn_buf_add_byte(out, '/'); /* "/a/.." is the directory "/" */
        p = next ? next : end;
    }
    return rc;
}

static int add_normal_path(struct qn_buf *out, const char *path, size_t size)
{
    struct qn_buf clean;
    qn_buf_init(&clean, 4 * URL_CAP);
    int rc = qn_buf_add_byte(&clean, '/');
    if (size && path[0] == '/') path++, size--;
    if (rc == 0) rc = qn_url_add_clean(&clean, path, size, true);
    if (rc == 0) rc = add_without_dots(out, clean.data, clean.size);
    qn_buf_free(&clean);
    return rc;
}

/* Appends the base's path without a trailing slash: "" or "/prefix". */
static int add_prefix(struct qn_buf *out, const struct url *base)
{
    size_t start = out->size;
    int rc = add_normal_path(out, base->path, strlen(base->path));
    while (rc == 0 && out->size > start && out->data[out->size - 1] == '/') out->size--;
    return rc;
}

static bool is_under(const struct qn_buf *prefix, const struct qn_buf *path)
{
    return path->size >= prefix->size && (prefix->size == 0 || memcmp(path->data, prefix->data, prefix->size) == 0) &&
           (path->size == prefix->size || path->data[prefix->size] == '/');
}

/* Appends path (normalised here), put under base's prefix: always, or unless it is there already. */
static int add_path_under(struct qn_buf *out, const struct url *base, const char *path, size_t size, bool always)
{
    struct qn_buf prefix, normal;
    qn_buf_init(&prefix, 4 * URL_CAP);
    qn_buf_init(&normal, 4 * URL_CAP);
    int rc = base ? add_prefix(&prefix, base) : 0;
    if (rc == 0) rc = add_normal_path(&normal, path, size);
    if (rc == 0 && prefix.size && (always || !is_under(&prefix, &normal)))
        rc = qn_buf_add(out, prefix.data, prefix.size);
    if (rc == 0) rc = qn_buf_add(out, normal.data, normal.size);
    qn_buf_free(&prefix);
    qn_buf_free(&normal);
    return rc;
}

static int add_origin(struct qn_buf *out, const struct url *url, bool with_port)
{
    if (with_port || !url->default_port) return qn_buf_add_fmt(out, "%s://%s:%u", url->scheme, url->host, url->port);
    return qn_buf_add_fmt(out, "%s://%s", url->scheme, url->host);
}

static int add_query(struct qn_buf *out, const char *query, size_t size)
{
    int rc = qn_buf_add_byte(out, '?');
    return rc < 0 ? rc : qn_url_add_clean(out, query, size, false);
}

static int add_whole(struct qn_buf *out, const struct url *url)
{
    int rc = add_origin(out, url, false);
    if (rc == 0) rc = add_normal_path(out, url->path, strlen(url->path));
    if (rc == 0 && url->query) rc = add_query(out, url->query, strlen(url->query));
    return rc;
}

/* ---- references ---- */

struct reference {
    const char *path, *query; /* query NULL: none; not NUL-terminated */
    size_t path_size, query_size;
    bool absolute; /* has a scheme, or begins with "//" */
};

static bool has_scheme(const char *text, const char *end)
{
    if (text == end || !((*text | 32) >= 'a' && (*text | 32) <= 'z')) return false;
    for (; text < end; text++) {
        if (*text == ':') return true;
        if (*text == '_' || *text == '~' || (!qn_url_plain((unsigned char)*text) && *text != '+')) return false;
    }
    return false;
}

static void split_reference(const char *text, struct reference *out)
{
    const char *end = text + strcspn(text, "#");
    const char *mark = memchr(text, '?', (size_t)(end - text));
    const char *path_end = mark ? mark : end;
    *out = (struct reference){.path = text, .path_size = (size_t)(path_end - text)};
    if (mark) {
        out->query = mark + 1;
        out->query_size = (size_t)(end - mark - 1);
    }
    out->absolute = has_scheme(text, path_end) || strncmp(text, "//", 2) == 0;
}

/* Appends an absolute reference as it is, apart from normal form; scheme is that of "//host/...". */
static int add_absolute(struct qn_buf *out, const char *reference, const char *scheme, struct qn_err *err)
{
    struct qn_buf text;
    struct url url;
    qn_buf_init(&text, 2 * URL_CAP);
    int rc = 0;
    if (strncmp(reference, "//", 2) == 0)
        rc = qn_buf_add_fmt(&text, "%s:", scheme);
    else if (!strstr(reference, "://"))
        return fail_url(err, QN_EDENIED, "only http and https urls are allowed", reference);
    if (rc == 0) rc = qn_buf_add_str(&text, reference);
    const char *whole = rc == 0 ? qn_buf_cstr(&text) : NULL;
    if (!whole) {
        qn_buf_free(&text);
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    rc = url_parse(whole, &url, err);
    qn_buf_free(&text);
    if (rc < 0) return rc;
    rc = add_whole(out, &url);
    url_clear(&url);
    return rc < 0 ? qn_fail(err, rc, "url too long or out of memory") : 0;
}

/* Shortens out to what it was, and says why, when rc is an error that has no text yet. */
static int finish(struct qn_buf *out, size_t start, int rc, struct qn_err *err)
{
    if (rc == 0) return 0;
    out->size = start;
    return qn_fail(err, rc, rc == QN_ENOMEM ? "out of memory" : "url too long");
}

int qn_url_join(const char *base, const char *reference, struct qn_buf *out, struct qn_err *err)
{
    struct url url;
    struct reference ref;
    size_t start = out->size;
    int rc = check_text(reference, err);
    if (rc == 0) rc = url_parse(base, &url, err);
    if (rc < 0) return rc;
    split_reference(reference, &ref);
    if (ref.absolute) {
        rc = add_absolute(out, reference, url.scheme, err);
        url_clear(&url);
        if (rc < 0) out->size = start;
        return rc;
    }
    rc = add_origin(out, &url, false);
    if (rc == 0 && ref.path_size == 0)
        rc = add_normal_path(out, url.path, strlen(url.path));
    else if (rc == 0)
        rc = add_path_under(out, &url, ref.path, ref.path_size, ref.path[0] != '/');
    if (rc == 0 && ref.query)
        rc = add_query(out, ref.query, ref.query_size);
    else if (rc == 0 && ref.path_size == 0 && url.query)
        rc = add_query(out, url.query, strlen(url.query));
    url_clear(&url);
    return finish(out, start, rc, err);
}

/* The path of a relative link: current's directory, then the link. */
static int merge_path(struct qn_buf *out, const struct url *current, const struct reference *link)
{
    if (link->path_size == 0) return qn_buf_add_str(out, current->path);
    if (link->path[0] != '/') {
        int rc = qn_buf_add(out, current->path, (size_t)(strrchr(current->path, '/') - current->path + 1));
        if (rc < 0) return rc;
    }
    return qn_buf_add(out, link->path, link->path_size);
}

static bool parts_same_origin(const struct url *a, const struct url *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

static int add_resolved(struct qn_buf *out, const struct url *base, const struct url *current,
                        const struct reference *link)
{
    struct qn_buf path;
    qn_buf_init(&path, 4 * URL_CAP);
    int rc = merge_path(&path, current, link);
    if (rc == 0) rc = add_origin(out, current, false);
    /* A link without a path names a page that was asked for already: it stays where it is. */
    const struct url *prefix = link->path_size && parts_same_origin(base, current) ? base : NULL;
    if (rc == 0) rc = add_path_under(out, prefix, path.data, path.size, false);
    if (rc == 0 && link->query)
        rc = add_query(out, link->query, link->query_size);
    else if (rc == 0 && link->path_size == 0 && current->query)
        rc = add_query(out, current->query, strlen(current->query));
    qn_buf_free(&path);
    return rc;
}

int qn_url_resolve(const char *base, const char *current, const char *link, struct qn_buf *out, struct qn_err *err)
{
    struct url base_url, current_url;
    struct reference ref;
    size_t start = out->size;
    int rc = check_text(link, err);
    if (rc == 0) rc = url_parse(base, &base_url, err);
    if (rc < 0) return rc;
    rc = url_parse(current, &current_url, err);
    if (rc < 0) {
        url_clear(&base_url);
        return rc;
    }
    split_reference(link, &ref);
    if (ref.absolute) {
        rc = add_absolute(out, link, current_url.scheme, err);
        if (rc < 0) out->size = start;
    } else {
        rc = finish(out, start, add_resolved(out, &base_url, &current_url, &ref), err);
    }
    url_clear(&base_url);
    url_clear(&current_url);
    return rc;
}

/* ---- origins ---- */

bool qn_url_same_origin(const char *a, const char *b)
{
    struct url x, y;
    if (url_parse(a, &x, NULL) < 0) return false;
    if (url_parse(b, &y, NULL) < 0) {
        url_clear(&x);
        return false;
    }
    bool same = parts_same_origin(&x, &y);
    url_clear(&x);
    url_clear(&y);
    return same;
}

int qn_url_origin(const char *url, struct qn_buf *out, struct qn_err *err)
{
    struct url parts;
    size_t start = out->size;
    int rc = url_parse(url, &parts, err);
    if (rc < 0) return rc;
    rc = add_origin(out, &parts, true);
    url_clear(&parts);
    return finish(out, start, rc, err);
}

bool qn_url_host_is_loopback(const char *host)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0) return true;
    size_t size = strlen(host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') host++, size -= 2;
    if (size >= sizeof text) return false;
    memcpy(text, host, size);
    text[size] = 0;
    if (inet_pton(AF_INET, text, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, text, &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool qn_url_is_loopback(const char *url)
{
    struct url parts;
    if (url_parse(url, &parts, NULL) < 0) return false;
    bool loopback = qn_url_host_is_loopback(parts.host);
    url_clear(&parts);
    return loopback;
}

/* ---- parameters ---- */

/* The name in a url query ("a%20b", "a+b") equals the plain name. */
static bool name_equals(const char *text, size_t size, const struct qn_url_pair *pair)
{
    const char *end = text + size;
    size_t used = 0;
    for (; text < end; used++) {
        int value = qn_url_percent(text, end);
        char c = value >= 0 ? (char)value : *text == '+' ? ' ' : *text;
        if (used == pair->name_size || pair->name[used] != c) return false;
        text += value >= 0 ? 3 : 1;
    }
    return used == pair->name_size;
}

static bool is_named(const char *text, size_t size, const struct qn_url_pair *pairs, size_t count)
{
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals ? (size_t)(equals - text) : size;
    for (size_t i = 0; i < count; i++)
        if (name_equals(text, name_size, &pairs[i])) return true;
    return false;
}

static int add_kept(struct qn_buf *out, const char *query, const struct qn_url_pair *pairs, size_t count, char *mark)
{
    int rc = 0;
    for (const char *p = query; *p && rc == 0;) {
        size_t size = strcspn(p, "&");
        if (size && !is_named(p, size, pairs, count)) {
            rc = qn_buf_add_byte(out, *mark);
            if (rc == 0) rc = qn_url_add_clean(out, p, size, false);
            *mark = '&';
        }
        p += size + (p[size] == '&');
    }
    return rc;
}

int qn_url_with_query(const char *url, const struct qn_url_pair *pairs, size_t count, struct qn_buf *out,
                      struct qn_err *err)
{
    struct url parts;
    size_t start = out->size;
    char mark = '?';
    int rc = url_parse(url, &parts, err);
    if (rc < 0) return rc;
    rc = add_origin(out, &parts, false);
    if (rc == 0) rc = add_normal_path(out, parts.path, strlen(parts.path));
    if (rc == 0 && parts.query) rc = add_kept(out, parts.query, pairs, count, &mark);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = qn_buf_add_byte(out, mark);
        if (rc == 0) rc = qn_url_add_escaped(out, pairs[i].name, pairs[i].name_size);
        if (rc == 0) rc = qn_buf_add_byte(out, '=');
        if (rc == 0) rc = qn_url_add_escaped(out, pairs[i].value, pairs[i].value_size);
        mark = '&';
    }
    url_clear(&parts);
    return finish(out, start, rc, err);
}
