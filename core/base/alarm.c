/* alarm.c - see alarm.h. */
#include "base/alarm.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct qn_alarm {
    timer_t timer;
    void (*tick)(void *context);
    void *context;
};

static int signal_number; /* 0: none is free */

static void hear(int number, siginfo_t *info, void *where)
{
    (void)number;
    (void)where;
    if (info->si_code != SI_TIMER) return; /* somebody sent it by hand */
    const struct qn_alarm *alarm = info->si_value.sival_ptr;
    alarm->tick(alarm->context);
}

static void take_signal(void)
{
    struct sigaction ours = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO | SA_RESTART}, now;
    sigemptyset(&ours.sa_mask);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        if (sigaction(number, NULL, &now) != 0 || now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL) continue;
        if (sigaction(number, &ours, NULL) != 0) continue;
        signal_number = number;
        return;
    }
}

#ifdef __SANITIZE_THREAD__
enum { POSSIBLE = 0 };
#else
enum { POSSIBLE = 1 };
#endif

/* Threads inherit what their maker blocks. */
static bool unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    return pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

struct qn_alarm *qn_alarm_new(void (*tick)(void *context), void *context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (POSSIBLE) pthread_once(&once, take_signal);
    if (signal_number == 0 || !unblock()) return NULL;
    struct qn_alarm *alarm = qn_calloc(1, sizeof *alarm);
    if (!alarm) return NULL;
    alarm->tick = tick;
    alarm->context = context;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_number};
    event.sigev_value.sival_ptr = alarm;
    event.sigev_notify_thread_id = gettid();
    struct timespec step = {.tv_nsec = QN_ALARM_MS * 1000000};
    struct itimerspec steps = {.it_interval = step, .it_value = step};
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &alarm->timer) != 0) {
        qn_free(alarm);
        return NULL;
    }
    if (timer_settime(alarm->timer, 0, &steps, NULL) == 0) return alarm;
    qn_alarm_free(alarm);
    return NULL;
}

/* A tick that is due already comes before the kernel lets go of this thread, which is the one it is for. */
void qn_alarm_free(struct qn_alarm *alarm)
{
    if (!alarm) return;
    timer_delete(alarm->timer);
    qn_free(alarm);
}
