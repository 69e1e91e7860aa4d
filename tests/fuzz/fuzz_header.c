/* Retry-After, dates and links, and URLs from foreign bytes: no crash, and what the rest of quern leans on holds.
 * Input: a base, a current URL, a link and a header value, one a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/header.h"
#include "net/link.h"
#include "net/url.h"

#define WALL INT64_C(1709294400000)

#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "broken: %s\n", #condition);                                                               \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void check_link(const char *value)
{
    size_t size = strlen(value), target_size = 0;
    const char *target = NULL;
    struct qn_err err = {0};
    int rc = qn_link_find(value, size, "next", &target, &target_size, &err);
    must(rc >= 0 || (rc == QN_ESYNTAX && err.offset <= size));
    if (rc > 0)
        must(target > value && target[-1] == '<' && target[target_size] == '>' && !memchr(target, '>', target_size));
}

static void check_header(const char *value)
{
    int64_t wait_ms = -1;
    check_link(value);
    if (qn_header_retry_after(value, WALL, &wait_ms)) must(wait_ms >= 0 && wait_ms <= QN_RETRY_AFTER_MAX_MS);
    qn_header_media_is_json(value);
    qn_header_media_is(value, "text/html");
    qn_header_name_valid(value, strlen(value));
    qn_header_value_valid(value, strlen(value));
}

/* A reference that names no origin stays on the base's, and under its prefix. */
static void check_under(const char *base, const char *prefix, const char *url)
{
    size_t size = strlen(prefix);
    must(qn_url_same_origin(base, url));
    must(strncmp(url, prefix, size) == 0);
    must(url[size] == 0 || url[size] == '/' || url[size] == '?');
    const char *dots = strstr(url + size, "/../"), *query = strchr(url, '?');
    must((!dots || (query && query < dots)) && !strchr(url, '#') && !strchr(url, ' ') && !strchr(url, '\\'));
}

static bool names_no_origin(const char *link)
{
    size_t colon = strcspn(link, ":/?#");
    return link[colon] != ':' && strncmp(link, "//", 2) != 0;
}

static void check_normal(const char *url)
{
    struct qn_buf again;
    qn_buf_init(&again, QN_BUF_NO_CAP);
    must(qn_url_join("https://h", url, &again, NULL) == 0);
    const char *text = qn_buf_cstr(&again);
    must(text && strcmp(text, url) == 0); /* normal form is a fixed point */
    qn_buf_free(&again);
}

static void check_url(const char *base, const char *current, const char *link)
{
    struct qn_buf prefix, out;
    struct qn_err err;
    const struct qn_url_pair pair = {link, link, strlen(link), strlen(link)};
    qn_buf_init(&prefix, QN_BUF_NO_CAP);
    qn_buf_init(&out, QN_BUF_NO_CAP);
    if (!strchr(base, '?') && qn_url_join(base, "", &prefix, NULL) == 0) {
        while (prefix.size && prefix.data[prefix.size - 1] == '/') prefix.size--;
        if (qn_url_join(base, link, &out, &err) == 0 && out.size < 32768) {
            if (names_no_origin(link)) check_under(base, qn_buf_cstr(&prefix), qn_buf_cstr(&out));
            check_normal(qn_buf_cstr(&out));
        }
        qn_buf_clear(&out);
        if (qn_url_resolve(base, current, link, &out, &err) == 0 && out.size < 32768) {
            bool stays = names_no_origin(link) && link[0] && link[0] != '#' && link[0] != '?';
            if (stays && qn_url_same_origin(base, current)) check_under(base, qn_buf_cstr(&prefix), qn_buf_cstr(&out));
            if (names_no_origin(link)) must(qn_url_same_origin(current, qn_buf_cstr(&out)));
            check_normal(qn_buf_cstr(&out));
        }
        qn_buf_clear(&out);
        if (qn_url_with_query(base, &pair, 1, &out, &err) == 0 && out.size < 32768) check_normal(qn_buf_cstr(&out));
    }
    qn_buf_free(&prefix);
    qn_buf_free(&out);
    qn_url_is_loopback(current);
    qn_url_host_is_loopback(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096], *lines[4] = {"", "", "", ""}, *rest = text;
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (int i = 0; i < 4 && rest; i++) lines[i] = strsep(&rest, "\n");
    check_url(lines[0], lines[1], lines[2]);
    check_url("https://h/p/q", "https://h/p/q/r/s?t", lines[2]);
    check_header(lines[3]);
    return 0;
}
