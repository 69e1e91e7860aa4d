/* zone.c - see zone.h. */
#include "base/zone.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/* The name is a path below the zone database; it may not lead out of it. */
static bool is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t size = strlen(name);
    return size > 0 && size < 64 && strspn(name, letters) == size && name[0] != '/' && name[size - 1] != '/' &&
           !strstr(name, "//");
}

int qn_zone_open(const char *name, struct qn_zone **out, struct qn_err *err)
{
    bool utc = !strcmp(name, "UTC");
    GTimeZone *zone = !is_name(name) ? NULL : utc ? g_time_zone_new_utc() : g_time_zone_new_identifier(name);
    *out = (struct qn_zone *)zone;
    if (zone) return 0;
    return qn_fail(
        err, QN_EINVAL,
        "no time zone '%.60s' is known here; use a name such as Europe/Berlin (they come with the package tzdata)",
        name);
}

void qn_zone_close(struct qn_zone *zone)
{
    if (zone) g_time_zone_unref((GTimeZone *)zone);
}

static int64_t floor_seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
}

int64_t qn_zone_offset(const struct qn_zone *zone, int64_t ms)
{
    GTimeZone *known = (GTimeZone *)zone;
    gint interval = g_time_zone_find_interval(known, G_TIME_TYPE_UNIVERSAL, floor_seconds(ms));
    return interval < 0 ? 0 : (int64_t)g_time_zone_get_offset(known, interval) * 1000;
}

int64_t qn_zone_instant(const struct qn_zone *zone, int64_t local_ms)
{
    /* Clocks change rarely: of the offsets a day before and a day after, one or both hold. */
    int64_t before = qn_zone_offset(zone, local_ms - DAY_MS), after = qn_zone_offset(zone, local_ms + DAY_MS);
    bool early = qn_zone_offset(zone, local_ms - before) == before,
         late = qn_zone_offset(zone, local_ms - after) == after;
    if (early && late) return before > after ? local_ms - before : local_ms - after;
    return late ? local_ms - after : local_ms - before;
}

int qn_zone_add(const struct qn_zone *zone, int64_t ms, const struct qn_duration *duration, int64_t times, int64_t *out)
{
    struct qn_duration calendar = {.months = duration->months, .days = duration->days}, rest = {.ms = duration->ms};
    int64_t local;
    int rc = 0;
    if (calendar.months != 0 || calendar.days != 0) {
        rc = qn_time_add(ms + qn_zone_offset(zone, ms), &calendar, times, &local);
        if (rc == 0) ms = qn_zone_instant(zone, local);
    }
    if (rc == 0 && rest.ms != 0) rc = qn_time_add(ms, &rest, times, &ms);
    *out = ms;
    return rc;
}

void qn_zone_format(const struct qn_zone *zone, int64_t ms, int digits, char *out)
{
    int64_t offset = qn_zone_offset(zone, ms), minutes = (offset < 0 ? -offset : offset) / 60000;
    qn_time_format(ms + offset, digits, out);
    size_t end = strlen(out) - 1; /* the Z */
    snprintf(out + end, QN_TIME_TEXT_SIZE - end, "%c%02d:%02d", offset < 0 ? '-' : '+', (int)(minutes / 60),
             (int)(minutes % 60));
}
