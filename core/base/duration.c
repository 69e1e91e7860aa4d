/* duration.c - ISO 8601 durations. See time.h. */
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/scan.h"

/* The designators in the order in which they may appear; before and after T. */
static bool add_part(struct qn_duration *d, bool in_time, char unit, int64_t count, int *rank)
{
    static const char order[] = "YMWDhms"; /* h m s: after T */
    if (unit < 'A' || unit > 'Z') return false;
    char key = in_time ? (char)(unit - 'A' + 'a') : unit;
    for (int i = *rank; order[i]; i++) {
        if (order[i] != key) continue;
        *rank = i + 1;
        switch (key) {
        case 'Y': count *= 12; /* fall through */
        case 'M':
            if (count > 120000 - d->months) return false;
            d->months += (int32_t)count;
            return true;
        case 'W': d->days += count * 7; return true;
        case 'D': d->days += count; return true;
        case 'h': d->ms += count * 3600000; return true;
        case 'm': d->ms += count * 60000; return true;
        default: d->ms += count * 1000; return true;
        }
    }
    return false;
}

static bool scan_duration(struct qn_scan *s, struct qn_duration *d)
{
    int rank = 0, parts = 0, ms;
    bool in_time = false, last = false;
    if (!qn_scan_byte(s, 'P')) return false;
    while (!qn_scan_end(s)) {
        if (!in_time && qn_scan_byte(s, 'T')) {
            in_time = true;
            if (qn_scan_end(s)) return false;
            if (rank < 4) rank = 4;
            continue;
        }
        int64_t count;
        if (last || !qn_scan_count(s, &count) || count > 1000000000) return false;
        if (in_time && (qn_scan_byte(s, '.') || qn_scan_byte(s, ','))) { /* seconds alone may have a fraction */
            if (!qn_scan_fraction(s, &ms) || s->at >= s->size || s->text[s->at] != 'S') return false;
            d->ms += ms;
            last = true;
        }
        if (s->at >= s->size || !add_part(d, in_time, s->text[s->at++], count, &rank)) return false;
        parts++;
    }
    return parts > 0;
}

int qn_duration_parse(const char *text, size_t size, struct qn_duration *out, struct qn_err *err)
{
    struct qn_scan s = {text, size, 0};
    struct qn_duration d = {0};
    int width = size > 60 ? 60 : (int)size;
    if (!scan_duration(&s, &d)) {
        return qn_fail_at(err, QN_ESYNTAX, s.at, "'%.*s' is not an ISO 8601 duration such as P30D, P1M or PT15M", width,
                          text);
    }
    if (d.months == 0 && d.days == 0 && d.ms == 0)
        return qn_fail(err, QN_ERANGE, "the duration '%.*s' is zero", width, text);
    *out = d;
    return 0;
}

/* ".5" of 500 ms: no zeros at the end. */
static size_t put_fraction(char *out, size_t room, int64_t ms)
{
    int digits = 3, value = (int)(ms < 0 ? -ms : ms);
    for (; value % 10 == 0; value /= 10) digits--;
    return (size_t)snprintf(out, room, ".%0*d", digits, value);
}

void qn_duration_format(const struct qn_duration *duration, char *out)
{
    const struct {
        int64_t count;
        char unit;
    } parts[] = {
        {duration->months / 12, 'Y'},  {duration->months % 12, 'M'},     {duration->days, 'D'},
        {duration->ms / 3600000, 'H'}, {duration->ms / 60000 % 60, 'M'}, {duration->ms / 1000 % 60, 'S'},
    };
    const size_t room = QN_TIME_TEXT_SIZE; /* holds the widest of all numbers: nothing is cut */
    size_t used = (size_t)snprintf(out, room, "P");
    for (int i = 0; i < 6; i++) {
        int64_t fraction = i == 5 ? duration->ms % 1000 : 0;
        if (i == 3 && duration->ms != 0) used += (size_t)snprintf(out + used, room - used, "T");
        if (parts[i].count == 0 && fraction == 0) continue;
        used += (size_t)snprintf(out + used, room - used, "%" PRId64, parts[i].count);
        if (fraction) used += put_fraction(out + used, room - used, fraction);
        used += (size_t)snprintf(out + used, room - used, "%c", parts[i].unit);
    }
    if (used == 1) snprintf(out, room, "PT0S");
}
