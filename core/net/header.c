#include "net/header.h"

#include <string.h>
#include <strings.h>

#include "base/time.h"

const char *qn_header_find(const struct qn_header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].value && strcasecmp(headers[i].name, name) == 0) return headers[i].value;
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Whole seconds. Digits only; as many as there are, a long number is just a long time. */
static bool parse_seconds(const char *text, size_t size, int64_t *wait_ms)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (seconds < QN_RETRY_AFTER_MAX_MS) seconds = seconds * 10 + (text[i] - '0');
    }
    *wait_ms = seconds < QN_RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000 : QN_RETRY_AFTER_MAX_MS;
    return size > 0;
}

bool qn_header_retry_after(const char *value, int64_t wall_ms, int64_t *wait_ms)
{
    int64_t date_ms;
    while (is_blank(*value)) value++;
    size_t size = strlen(value);
    while (size && is_blank(value[size - 1])) size--;
    if (parse_seconds(value, size, wait_ms)) return true;
    if (qn_time_parse_http(value, size, wall_ms, &date_ms) < 0) return false;
    if (date_ms <= wall_ms) return false;
    *wait_ms = date_ms - wall_ms < QN_RETRY_AFTER_MAX_MS ? date_ms - wall_ms : QN_RETRY_AFTER_MAX_MS;
    return true;
}

/* "text/html" of " Text/HTML ; charset=x". */
static const char *media_type(const char *value, size_t *size)
{
    while (is_blank(*value)) value++;
    *size = strcspn(value, ";");
    while (*size && is_blank(value[*size - 1])) --*size;
    return value;
}

bool qn_header_media_is(const char *value, const char *type)
{
    size_t size;
    if (!value) return false;
    value = media_type(value, &size);
    return size == strlen(type) && strncasecmp(value, type, size) == 0;
}

bool qn_header_media_is_json(const char *value)
{
    size_t size;
    if (qn_header_media_is(value, "application/json") || qn_header_media_is(value, "text/json")) return true;
    if (!value) return false;
    value = media_type(value, &size);
    return size > 6 && memchr(value, '/', size) && strncasecmp(value + size - 5, "+json", 5) == 0;
}

bool qn_header_name_valid(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return size > 0;
}

bool qn_header_value_valid(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] == '\r' || value[i] == '\n' || value[i] == 0) return false;
    return true;
}
