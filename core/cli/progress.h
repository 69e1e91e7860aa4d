/* progress.h - one line on a terminal that tells how a run is doing, and clears itself.
 *
 * It is drawn again a few times a second by a thread of its own, so that a wait counts down while nothing happens. The
 * functions below: main thread. */
#pragma once

#include "cli/event.h"

struct cli_progress;

/* NULL if fd is not a terminal that can clear a line, or without memory. */
struct cli_progress *cli_progress_new(int fd);
void cli_progress_event(struct cli_progress *progress, struct cli_event *event);
/* Writes a line above the display. */
void cli_progress_line(struct cli_progress *progress, const char *line);
void cli_progress_free(struct cli_progress *progress); /* clears the display; NULL is fine */

/* What the display would show after `now_ms` (monotonic), at most `width` columns; for tests and for the drawing
 * thread. */
size_t cli_progress_text(struct cli_progress *progress, int64_t now_ms, size_t width, char *out, size_t size);
