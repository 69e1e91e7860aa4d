/* time.h - instants, durations and their texts. Pure: nothing here reads a clock. Any thread.
 *
 * An instant is int64 milliseconds since 1970-01-01T00:00:00Z in the proleptic Gregorian calendar,
 * years 0001 to 9999. Texts follow ISO 8601 / RFC 3339. Digits of a fraction beyond milliseconds are
 * accepted and floored, which keeps comparisons with half-open ranges on whole milliseconds exact. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QN_TIME_TEXT_SIZE 80 /* enough for every number the arguments can hold */

struct qn_duration {
    int32_t months; /* years count as 12 */
    int64_t days;   /* weeks count as 7 */
    int64_t ms;
};

/* "2024-01-01" (midnight UTC), "2024-01-01T10:00:00Z", with fraction, with offset "+02:00". Leap second :60
 * is taken as :59.999. A date-time without zone is an error that says so. is_date (may be NULL): date only. */
int qn_time_parse(const char *text, size_t size, int64_t *ms, bool *is_date, struct qn_err *err);
/* "now", "today", "-7d", "+12h", units s m h d w and M (months) y; or anything qn_time_parse takes.
 * explicit_instant (may be NULL) is false for the relative forms. */
int qn_time_resolve(const char *text, size_t size, int64_t now_ms, int64_t *ms, bool *explicit_instant,
                    struct qn_err *err);
/* ISO 8601 duration "P30D", "PT15M", "P1M", "P1Y2M3DT4H5M6.5S", "P2W"; positive; not zero. */
int qn_duration_parse(const char *text, size_t size, struct qn_duration *out, struct qn_err *err);
/* The ISO text of it, without parts that are zero; weeks as days. out has QN_TIME_TEXT_SIZE bytes. */
void qn_duration_format(const struct qn_duration *duration, char *out);
/* instant + times * duration; months first (end of month clamps), then days, then ms. */
int qn_time_add(int64_t ms, const struct qn_duration *duration, int64_t times, int64_t *out);
/* Floor to a multiple of a fixed duration (months must be 0) counted from the epoch. At the
 * very edge of int64, where no multiple lies below, the lowest multiple there is. */
int64_t qn_time_floor(int64_t ms, int64_t grain_ms);
/* digits = 0: "2024-01-01T00:00:00Z" (floors); digits = 3: "…00.000Z". out has QN_TIME_TEXT_SIZE bytes. */
void qn_time_format(int64_t ms, int digits, char *out);
/* The three date forms of RFC 9110 §5.6.7 (IMF-fixdate, RFC 850, asctime). now_ms decides the century
 * of RFC 850's two-digit years. */
int qn_time_parse_http(const char *text, size_t size, int64_t now_ms, int64_t *ms);
