/* httpdate.c - the three date forms of RFC 9110 §5.6.7. See time.h. */
#include "base/time.h"

#include <string.h>

#include "base/civil.h"
#include "base/scan.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const day_names[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

static bool scan_text(struct qn_scan *s, const char *text, size_t size)
{
    if (s->size - s->at < size || memcmp(s->text + s->at, text, size) != 0) return false;
    s->at += size;
    return true;
}

/* A day name, short (3 letters) or whole. What day it says is not checked against the date. */
static bool scan_day_name(struct qn_scan *s, bool whole)
{
    for (int i = 0; i < 7; i++) {
        if (scan_text(s, day_names[i], whole ? strlen(day_names[i]) : 3)) return true;
    }
    return false;
}

static bool scan_month(struct qn_scan *s, int *month)
{
    for (int i = 0; i < 12; i++) {
        if (scan_text(s, month_names + 3 * i, 3)) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

static bool scan_clock(struct qn_scan *s, struct qn_civil *c)
{
    return qn_scan_number(s, 2, &c->hour) && qn_scan_byte(s, ':') && qn_scan_number(s, 2, &c->minute) &&
           qn_scan_byte(s, ':') && qn_scan_number(s, 2, &c->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool imf_fixdate(struct qn_scan s, struct qn_civil *c)
{
    return scan_day_name(&s, false) && scan_text(&s, ", ", 2) && qn_scan_number(&s, 2, &c->day) &&
           qn_scan_byte(&s, ' ') && scan_month(&s, &c->month) && qn_scan_byte(&s, ' ') &&
           qn_scan_number(&s, 4, &c->year) && qn_scan_byte(&s, ' ') && scan_clock(&s, c) && scan_text(&s, " GMT", 4) &&
           qn_scan_end(&s);
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool rfc850_date(struct qn_scan s, struct qn_civil *c)
{
    return scan_day_name(&s, true) && scan_text(&s, ", ", 2) && qn_scan_number(&s, 2, &c->day) &&
           qn_scan_byte(&s, '-') && scan_month(&s, &c->month) && qn_scan_byte(&s, '-') &&
           qn_scan_number(&s, 2, &c->year) && qn_scan_byte(&s, ' ') && scan_clock(&s, c) && scan_text(&s, " GMT", 4) &&
           qn_scan_end(&s);
}

/* Sun Nov  6 08:49:37 1994 */
static bool asctime_date(struct qn_scan s, struct qn_civil *c)
{
    return scan_day_name(&s, false) && qn_scan_byte(&s, ' ') && scan_month(&s, &c->month) && qn_scan_byte(&s, ' ') &&
           (qn_scan_byte(&s, ' ') ? qn_scan_number(&s, 1, &c->day) : qn_scan_number(&s, 2, &c->day)) &&
           qn_scan_byte(&s, ' ') && scan_clock(&s, c) && qn_scan_byte(&s, ' ') && qn_scan_number(&s, 4, &c->year) &&
           qn_scan_end(&s);
}

/* RFC 9110: what appears to be more than 50 years in the future is the most recent such year of the past. */
static int whole_year(struct qn_civil c, int64_t now_ms)
{
    static const struct qn_duration horizon = {.months = 50 * 12};
    int64_t limit;
    int year, month, day;
    qn_civil_date(qn_time_floor(now_ms, 86400000) / 86400000, &year, &month, &day);
    c.year += year - year % 100 + 100;
    if (qn_time_add(now_ms, &horizon, 1, &limit) < 0) limit = INT64_MAX;
    while (c.year > 9999 || (c.year > 100 && qn_civil_ms(&c) > limit)) c.year -= 100;
    return c.year;
}

int qn_time_parse_http(const char *text, size_t size, int64_t now_ms, int64_t *ms)
{
    struct qn_scan s = {text, size, 0};
    struct qn_civil c = {0};
    if (!imf_fixdate(s, &c)) {
        c = (struct qn_civil){0};
        if (rfc850_date(s, &c)) {
            c.year = whole_year(c, now_ms);
        } else {
            c = (struct qn_civil){0};
            if (!asctime_date(s, &c)) return QN_ESYNTAX;
        }
    }
    if (!qn_civil_valid(&c)) return QN_ERANGE;
    *ms = qn_civil_ms(&c);
    return 0;
}
