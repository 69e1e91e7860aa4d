/* zone.h - local times of an IANA time zone ("Europe/Berlin"), by GLib from the system's tzdata. Pure but for reading
 * that database when a zone is opened. An open zone may be used by any thread. */
#pragma once

#include "base/time.h"

struct qn_zone;

/* QN_EINVAL: the system knows no zone of that name. */
int qn_zone_open(const char *name, struct qn_zone **out, struct qn_err *err);
void qn_zone_close(struct qn_zone *zone); /* NULL is fine */

/* What local clocks are ahead of UTC at an instant, in milliseconds. */
int64_t qn_zone_offset(const struct qn_zone *zone, int64_t ms);
/* The instant of a local time, given as the milliseconds that it would have in UTC. A local time that comes twice is
 * the first one; one that clocks skip is as far behind the gap as it is behind the gap's beginning. */
int64_t qn_zone_instant(const struct qn_zone *zone, int64_t local_ms);
/* As qn_time_add, with months and days counted on the local calendar: a day across a change of clocks has 23 or 25
 * hours. */
int qn_zone_add(const struct qn_zone *zone, int64_t ms, const struct qn_duration *duration, int64_t times,
                int64_t *out);
/* As qn_time_format, in local time with its offset: "2024-07-01T02:00:00+02:00". */
void qn_zone_format(const struct qn_zone *zone, int64_t ms, int digits, char *out);
