/* clock.h - what time it is: real, or virtual for tests. Main thread only.
 *
 * monotonic_ms drives every wait; wall_ms is the calendar (ms since the epoch) for `now`, HTTP dates
 * and token life. A virtual clock stands still until the loop moves it to the next timer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct qn_clock; /* opaque */

struct qn_clock *qn_clock_real(void);                     /* caller frees; NULL without memory */
struct qn_clock *qn_clock_virtual(int64_t start_wall_ms); /* monotonic starts at 0 */
void qn_clock_free(struct qn_clock *clock);
bool qn_clock_is_virtual(const struct qn_clock *clock);
uint64_t qn_clock_monotonic_ms(const struct qn_clock *clock);
int64_t qn_clock_wall_ms(const struct qn_clock *clock);
uint64_t qn_clock_cpu_ms(const struct qn_clock *clock); /* that the process has used so far; virtual: 0 */
void qn_clock_advance_to(struct qn_clock *clock, uint64_t monotonic_ms); /* virtual only; never backwards */
/* Tests of clock jumps: moves the calendar alone. Virtual only. */
void qn_clock_jump_wall(struct qn_clock *clock, int64_t delta_ms);
