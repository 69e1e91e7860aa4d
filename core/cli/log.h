/* log.h - events as lines for people, on stderr. Main thread only. */
#pragma once

#include "cli/event.h"

struct cli_progress;

extern const char *const cli_log_types[]; /* of the events that may make a line, NULL behind the last */
/* Writes a line for an event that a person should see; nothing for the others. With a progress display (not NULL) only
 * what it does not show. `least`: "debug", "info", "warn", "error", the least level of log lines; NULL: info. */
void cli_log_event(struct cli_event *event, struct cli_progress *progress, const char *least);
/* "1,234,567" of value (not negative). out has 32 bytes. Returns out. */
const char *cli_grouped(int64_t value, char *out);
/* "850 ms", "12 s", "3 min 20 s", "2 h 5 min". out has 32 bytes. Returns out. */
const char *cli_duration(int64_t ms, char *out);
