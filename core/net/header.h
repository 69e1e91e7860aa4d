/* header.h - what the headers of an answer mean. Pure: told the time, holds nothing. Any thread. (fuzzed) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/transport.h"

/* No server is waited for longer than this; a larger Retry-After counts as this much. One year. */
#define QN_RETRY_AFTER_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)

/* The value of the first header of that name (letter case apart), or NULL. Borrowed from headers. */
const char *qn_header_find(const struct qn_header *headers, size_t count, const char *name);
/* Retry-After: whole seconds, or one of the three HTTP dates measured from wall_ms (the local calendar). False for
 * anything else, negative numbers and dates that have passed included: then the caller's own backoff rules. */
bool qn_header_retry_after(const char *value, int64_t wall_ms, int64_t *wait_ms);
/* The media type of a Content-Type value is `type` ("text/html"); parameters and letter case do not matter. */
bool qn_header_media_is(const char *value, const char *type);
/* "application/json", "text/json" or "x/y+json". NULL is not. */
bool qn_header_media_is_json(const char *value);
/* A name may stand before the colon (RFC 9110 token). */
bool qn_header_name_valid(const char *name, size_t size);
/* A value has no line break and no NUL (what would smuggle a second header). */
bool qn_header_value_valid(const char *value, size_t size);
