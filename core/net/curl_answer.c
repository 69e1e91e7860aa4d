#include "net/curl_answer.h"

#include <string.h>

#include "base/mem.h"
#include "net/header.h"

#define HEADERS_CAP (512 * 1024)
/* What is reserved on the word of a Content-Length; a longer body grows as it comes. */
#define RESERVE_CAP ((size_t)16 << 20)

void qn_curl_answer_init(struct qn_curl_answer *answer, size_t max_body_bytes)
{
    memset(answer, 0, sizeof *answer);
    qn_buf_init(&answer->text, HEADERS_CAP);
    qn_buf_init(&answer->body, max_body_bytes + QN_BYTES_PADDING);
    answer->max_body_bytes = max_body_bytes;
}

void qn_curl_answer_free(struct qn_curl_answer *answer)
{
    qn_buf_free(&answer->text);
    qn_buf_free(&answer->body);
    qn_free(answer->headers);
    answer->headers = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(const char **text, size_t *size)
{
    while (*size && is_blank(**text)) ++*text, --*size;
    while (*size && is_blank((*text)[*size - 1])) --*size;
}

static int add_text(struct qn_buf *out, const char *text, size_t size)
{
    int rc = qn_buf_add(out, text, size);
    return rc < 0 ? rc : qn_buf_add_byte(out, 0);
}

/* "Name: value", or the obsolete continuation of the line before. */
static int add_header(struct qn_curl_answer *answer, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size), *value = line;
    size_t value_size = size;
    if ((line[0] == ' ' || line[0] == '\t') && answer->count) {
        trim(&value, &value_size);
        answer->text.size--; /* the NUL of the value so far */
        int rc = qn_buf_add_byte(&answer->text, ' ');
        return rc < 0 ? rc : add_text(&answer->text, value, value_size);
    }
    if (!colon) return 0;
    size_t name_size = (size_t)(colon - line);
    value = colon + 1;
    value_size = size - name_size - 1;
    trim(&value, &value_size);
    /* A NUL cannot be shown to anyone; such a header is no header. */
    if (!qn_header_name_valid(line, name_size) || memchr(value, 0, value_size)) return 0;
    int rc = add_text(&answer->text, line, name_size);
    if (rc == 0) rc = add_text(&answer->text, value, value_size);
    if (rc == 0) answer->count++;
    return rc;
}

bool qn_curl_answer_line(struct qn_curl_answer *answer, const char *line, size_t size)
{
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0 && !answer->body_begun) {
        qn_buf_clear(&answer->text); /* the answer before was a 1xx */
        answer->count = 0;
        answer->headers_ended = false;
        return true;
    }
    if (answer->headers_ended) return true; /* a trailer */
    if (size == 0 || line[0] == '\r' || line[0] == '\n') {
        answer->headers_ended = true;
        return true;
    }
    int rc = add_header(answer, line, size);
    answer->header_flood = rc == QN_ELIMIT;
    answer->no_memory = rc < 0 && rc != QN_ELIMIT;
    return rc == 0;
}

/* Makes the room a declared length asks for, so that a page arrives without being copied. */
static void reserve_body(struct qn_curl_answer *answer, int64_t declared)
{
    size_t room = declared < 0 ? 0 : (uint64_t)declared > RESERVE_CAP ? RESERVE_CAP : (size_t)declared;
    if (room > answer->max_body_bytes) room = answer->max_body_bytes;
    if (room) qn_buf_reserve(&answer->body, room + QN_BYTES_PADDING); /* a failure shows when bytes are added */
}

bool qn_curl_answer_body(struct qn_curl_answer *answer, const char *data, size_t size, int64_t declared)
{
    if (!answer->body_begun) {
        answer->body_begun = true;
        reserve_body(answer, declared);
    }
    answer->too_large = size > answer->max_body_bytes - answer->body.size;
    if (answer->too_large) return false;
    answer->no_memory = qn_buf_add(&answer->body, data, size) < 0;
    return !answer->no_memory;
}

bool qn_curl_answer_finish(struct qn_curl_answer *answer, struct qn_result *result)
{
    if (answer->count) {
        answer->headers = qn_calloc(answer->count, sizeof *answer->headers);
        if (!answer->headers) return false;
    }
    const char *p = answer->text.data;
    for (size_t i = 0; i < answer->count; i++) {
        answer->headers[i].name = p;
        p += strlen(p) + 1;
        answer->headers[i].value = p;
        p += strlen(p) + 1;
    }
    result->body = qn_bytes_take(&answer->body);
    if (!result->body) return false;
    result->headers = answer->headers;
    result->header_count = answer->count;
    return true;
}
