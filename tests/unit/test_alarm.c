/* test_alarm.c - ticks come to a thread that works, to that one alone, and none after the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alarm.h"
#include "base/mem.h"

enum { FEW = 10 };

struct heard {
    volatile int ticks;
    volatile pthread_t thread;
    double worked_ms;
};

static void tick(void *context)
{
    struct heard *heard = context;
    heard->ticks++;
    heard->thread = pthread_self();
}

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void work(double ms)
{
    for (double end = cpu_ms() + ms; cpu_ms() < end;) continue;
}

/* Until it has heard a few: how many a kernel with much to do lets through is its own affair. */
static void work_until_heard(struct heard *heard)
{
    double begun = cpu_ms();
    while (heard->ticks < FEW && cpu_ms() < begun + 20000) continue;
    heard->worked_ms = cpu_ms() - begun;
}

/* They came, in the thread that they are for, and not much oftener than asked for. */
static void assert_heard(const struct heard *heard, pthread_t thread)
{
    assert_in_range(heard->ticks, FEW, FEW + 2 * heard->worked_ms / QN_ALARM_MS);
    assert_true(pthread_equal(heard->thread, thread));
}

static void *worker(void *context)
{
    struct heard *heard = context;
    struct qn_alarm *alarm = qn_alarm_new(tick, heard);
    if (alarm) work_until_heard(heard);
    qn_alarm_free(alarm);
    return alarm;
}

static void ticks_while_it_works(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct heard heard = {0};
    struct qn_alarm *alarm = qn_alarm_new(tick, &heard);
    if (!alarm) skip(); /* as under ThreadSanitizer */
    work_until_heard(&heard);
    assert_heard(&heard, pthread_self());
    int before = heard.ticks;
    usleep(100000);
    assert_in_range(heard.ticks, before, before + 1);
    qn_alarm_free(alarm);
    before = heard.ticks;
    work(50);
    assert_int_equal(heard.ticks, before);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void each_thread_has_its_own(void **state)
{
    (void)state;
    struct heard heard[2] = {{0}, {0}};
    pthread_t threads[2];
    void *made[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, worker, &heard[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], &made[i]);
    for (int i = 0; i < 2 && made[i]; i++) assert_heard(&heard[i], threads[i]);
}

static void no_memory(void **state)
{
    (void)state;
    struct heard heard = {0};
    qn_mem_fail_after(1);
    assert_null(qn_alarm_new(tick, &heard));
    qn_mem_fail_after(0);
    qn_alarm_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_while_it_works),
        cmocka_unit_test(each_thread_has_its_own),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
