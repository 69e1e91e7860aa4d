/* timed.c - runs a program and says what it took.
 *
 *     timed REPORT PROGRAM [ARGUMENT]...
 *
 * One line goes to the file REPORT: wall and CPU time in nanoseconds, peak RSS in bytes, exit status (128 and more: a
 * signal). It is a small process of its own, because the peak of a child is at least what its parent had when it made
 * the child: that of the Python program that runs the bench would hide every small program's. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;
static volatile pid_t child;

/* Who stops the stop watch, stops the program. */
static void on_term(int number)
{
    if (child > 0) kill(child, number);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t timeval_ns(struct timeval time)
{
    return time.tv_sec * INT64_C(1000000000) + time.tv_usec * INT64_C(1000);
}

int main(int argc, char **argv)
{
    pid_t started_as;
    int status, rc;
    struct rusage usage;

    if (argc < 3) {
        fprintf(stderr, "usage: timed REPORT PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    int64_t started = now_ns();
    rc = posix_spawnp(&started_as, argv[2], NULL, NULL, argv + 2, environ);
    if (rc != 0) {
        fprintf(stderr, "timed: %s: %s\n", argv[2], strerror(rc));
        return 127;
    }
    child = started_as;
    signal(SIGTERM, on_term);
    while (wait4(child, &status, 0, &usage) < 0) {
        if (errno == EINTR) continue;
        perror("timed: wait4");
        return 127;
    }
    int64_t wall = now_ns() - started;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *report = fopen(argv[1], "w");
    if (!report) {
        perror(argv[1]);
        return 127;
    }
    fprintf(report, "%" PRId64 " %" PRId64 " %" PRId64 " %d\n", wall,
            timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime), usage.ru_maxrss * INT64_C(1024), code);
    return fclose(report) == 0 ? code : 127;
}
