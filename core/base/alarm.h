/* alarm.h - a tick on one's own thread for every few milliseconds of processor time that it uses, whatever it is doing.
 *
 * For code that cannot be asked to look at a clock. The tick is a signal's handler (the first real-time signal that
 * nobody else has taken, restarting system calls): it may do only what a signal's handler may. A thread that waits
 * hears nothing. Made and freed by the thread that it ticks for. */
#pragma once

#define QN_ALARM_MS 4 /* a kernel may count in steps of up to 10 ms */

struct qn_alarm;

/* NULL: there can be none here (no memory, no timer or signal left, or ThreadSanitizer, which holds signals back). */
struct qn_alarm *qn_alarm_new(void (*tick)(void *context), void *context);
void qn_alarm_free(struct qn_alarm *alarm); /* NULL is fine; no tick comes after it */
