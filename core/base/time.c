/* time.c - instants: civil calendar arithmetic, ISO 8601 in and out, relative times. See time.h. */
#include "base/time.h"

#include <stdio.h>
#include <string.h>

#include "base/civil.h"
#include "base/scan.h"

#define LOWEST_MS  (-62135596800000) /* 0001-01-01T00:00:00Z */
#define HIGHEST_MS 253402300799999   /* 9999-12-31T23:59:59.999Z */
#define DAY_MS     INT64_C(86400000)

int64_t qn_civil_days(int year, int month, int day)
{
    /* days since 1970-01-01 of the proleptic Gregorian calendar; years are counted from March (H. Hinnant) */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void qn_civil_date(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

int qn_civil_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool qn_civil_valid(const struct qn_civil *c)
{
    return c->year >= 1 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= qn_civil_month_days(c->year, c->month) && c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

int64_t qn_civil_ms(const struct qn_civil *c)
{
    int64_t leap_second = c->second == 60;
    int64_t seconds =
        qn_civil_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second - leap_second;
    return seconds * 1000 + (leap_second ? 999 : c->ms);
}

/* "T10:00:00.123" and the zone; offset in minutes. */
static bool scan_clock(struct qn_scan *s, struct qn_civil *c, int *offset_minutes, bool *has_zone)
{
    if (!qn_scan_number(s, 2, &c->hour) || !qn_scan_byte(s, ':') || !qn_scan_number(s, 2, &c->minute)) return false;
    if (qn_scan_byte(s, ':')) {
        if (!qn_scan_number(s, 2, &c->second)) return false;
        if ((qn_scan_byte(s, '.') || qn_scan_byte(s, ',')) && !qn_scan_fraction(s, &c->ms)) return false;
    }
    *has_zone = true;
    *offset_minutes = 0;
    if (qn_scan_byte(s, 'Z') || qn_scan_byte(s, 'z')) return true;
    int sign = qn_scan_byte(s, '+') ? 1 : qn_scan_byte(s, '-') ? -1 : 0;
    if (sign == 0) {
        *has_zone = false;
        return true;
    }
    int hours, minutes = 0;
    if (!qn_scan_number(s, 2, &hours)) return false;
    if (qn_scan_byte(s, ':') ? !qn_scan_number(s, 2, &minutes) : !qn_scan_end(s) && !qn_scan_number(s, 2, &minutes))
        return false;
    *offset_minutes = sign * (hours * 60 + minutes);
    return hours <= 23 && minutes <= 59;
}

static int shown(size_t size)
{
    return size > 60 ? 60 : (int)size;
}

int qn_time_parse(const char *text, size_t size, int64_t *ms, bool *is_date, struct qn_err *err)
{
    struct qn_scan s = {text, size, 0};
    struct qn_civil c = {0};
    int offset = 0;
    bool has_zone = true, date_only = true;
    bool ok = qn_scan_number(&s, 4, &c.year) && qn_scan_byte(&s, '-') && qn_scan_number(&s, 2, &c.month) &&
              qn_scan_byte(&s, '-') && qn_scan_number(&s, 2, &c.day);
    if (ok && !qn_scan_end(&s)) {
        date_only = false;
        ok = (qn_scan_byte(&s, 'T') || qn_scan_byte(&s, 't') || qn_scan_byte(&s, ' ')) &&
             scan_clock(&s, &c, &offset, &has_zone);
    }
    if (!ok || !qn_scan_end(&s)) {
        return qn_fail_at(err, QN_ESYNTAX, s.at,
                          "'%.*s' is not an ISO 8601 date or instant such as 2024-01-01 or 2024-01-01T00:00:00Z",
                          shown(size), text);
    }
    if (!has_zone) {
        return qn_fail_at(err, QN_ESYNTAX, size, "'%.*s' has no time zone; add Z for UTC or an offset such as +02:00",
                          shown(size), text);
    }
    if (!qn_civil_valid(&c)) return qn_fail(err, QN_ERANGE, "'%.*s' is not in the calendar", shown(size), text);
    int64_t result = qn_civil_ms(&c) - (int64_t)offset * 60000;
    if (result < LOWEST_MS || result > HIGHEST_MS)
        return qn_fail(err, QN_ERANGE, "'%.*s' is out of range", shown(size), text);
    *ms = result;
    if (is_date) *is_date = date_only;
    return 0;
}

/* "-7d": sign, count, unit. */
static bool scan_relative(const char *text, size_t size, struct qn_duration *duration, int *sign)
{
    struct qn_scan s = {text, size, 0};
    *sign = qn_scan_byte(&s, '+') ? 1 : qn_scan_byte(&s, '-') ? -1 : 0;
    int64_t count;
    if (*sign == 0 || !qn_scan_count(&s, &count) || s.at + 1 != size || count > 100000000) return false;
    *duration = (struct qn_duration){0};
    switch (text[s.at]) {
    case 's': duration->ms = count * 1000; return true;
    case 'm': duration->ms = count * 60000; return true;
    case 'h': duration->ms = count * 3600000; return true;
    case 'd': duration->days = count; return true;
    case 'w': duration->days = count * 7; return true;
    case 'M': duration->months = (int32_t)count; return true;
    case 'y': duration->months = (int32_t)(count * 12); return true;
    default: return false;
    }
}

int qn_time_resolve(const char *text, size_t size, int64_t now_ms, int64_t *ms, bool *explicit_instant,
                    struct qn_err *err)
{
    struct qn_duration duration;
    int sign;
    if (explicit_instant) *explicit_instant = false;
    if (size == 3 && memcmp(text, "now", 3) == 0) {
        *ms = now_ms;
        return 0;
    }
    if (size == 5 && memcmp(text, "today", 5) == 0) {
        *ms = qn_time_floor(now_ms, DAY_MS);
        return 0;
    }
    if (size > 0 && (text[0] == '-' || text[0] == '+')) {
        if (!scan_relative(text, size, &duration, &sign)) {
            return qn_fail(err, QN_ESYNTAX, "'%.*s' is not a relative time such as -7d or +12h (units s m h d w M y)",
                           shown(size), text);
        }
        if (qn_time_add(now_ms, &duration, sign, ms) < 0) {
            return qn_fail(err, QN_ERANGE, "'%.*s' is out of range", shown(size), text);
        }
        return 0;
    }
    if (explicit_instant) *explicit_instant = true;
    if (size == 0 || text[0] < '0' || text[0] > '9') {
        return qn_fail(err, QN_ESYNTAX, "'%.*s' is not a time: use 2024-01-01, 2024-01-01T00:00:00Z, now, today or -7d",
                       shown(size), text);
    }
    return qn_time_parse(text, size, ms, NULL, err);
}

/* Whole days since the epoch, and the milliseconds into the day. Any int64. */
static int64_t split_day(int64_t ms, int64_t *in_day)
{
    int64_t days = ms / DAY_MS;
    *in_day = ms % DAY_MS;
    if (*in_day < 0) {
        *in_day += DAY_MS;
        days--;
    }
    return days;
}

static int add_months(int64_t ms, int64_t months, int64_t *out)
{
    int64_t in_day, days = split_day(ms, &in_day);
    int year, month, day;
    qn_civil_date(days, &year, &month, &day);
    int64_t total = (int64_t)year * 12 + month - 1 + months;
    if (total < 12 || total >= 10000 * 12) return QN_ERANGE;
    year = (int)(total / 12);
    month = (int)(total % 12) + 1;
    int last = qn_civil_month_days(year, month);
    *out = qn_civil_days(year, month, day < last ? day : last) * DAY_MS + in_day;
    return 0;
}

int qn_time_add(int64_t ms, const struct qn_duration *duration, int64_t times, int64_t *out)
{
    int64_t months, days, rest, result = ms;
    if (__builtin_mul_overflow((int64_t)duration->months, times, &months) ||
        __builtin_mul_overflow(duration->days, times, &days) || __builtin_mul_overflow(days, DAY_MS, &days) ||
        __builtin_mul_overflow(duration->ms, times, &rest)) {
        return QN_ERANGE;
    }
    if (months > 120000 || months < -120000) return QN_ERANGE;
    if (months != 0 && add_months(ms, months, &result) < 0) return QN_ERANGE;
    if (__builtin_add_overflow(result, days, &result) || __builtin_add_overflow(result, rest, &result))
        return QN_ERANGE;
    if (result < LOWEST_MS || result > HIGHEST_MS) return QN_ERANGE;
    *out = result;
    return 0;
}

int64_t qn_time_floor(int64_t ms, int64_t grain_ms)
{
    int64_t rest = ms % grain_ms;
    int64_t multiple = ms - rest, below;
    return rest < 0 && !__builtin_sub_overflow(multiple, grain_ms, &below) ? below : multiple;
}

void qn_time_format(int64_t ms, int digits, char *out)
{
    int64_t in_day, days = split_day(ms, &in_day);
    int year, month, day;
    qn_civil_date(days, &year, &month, &day);
    int hour = (int)(in_day / 3600000), minute = (int)(in_day / 60000 % 60), second = (int)(in_day / 1000 % 60);
    if (digits > 0) {
        snprintf(out, QN_TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day, hour, minute, second,
                 (int)(in_day % 1000));
    } else {
        snprintf(out, QN_TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, hour, minute, second);
    }
}
