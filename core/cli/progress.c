#include "cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/log.h"

#define REDRAW_MS  200
#define TEXT_SIZE  1024
#define CLEAR_LINE "\r\033[K"

struct cli_progress {
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake;
    bool stopping, shown;
    char query[64], reason[96], until[16]; /* until: "00:36Z" of a long wait, or "" */
    int64_t started_ms, waiting_until_ms;
    int64_t leaves, whole, pages, records, requests, retries, splits;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Appends to a text of limited size. */
__attribute__((format(printf, 4, 5))) static void append(char *out, size_t size, size_t *used, const char *format, ...)
{
    va_list list;
    int length;

    if (*used >= size) return;
    va_start(list, format);
    length = vsnprintf(out + *used, size - *used, format, list);
    va_end(list);
    if (length > 0) *used += (size_t)length;
    if (*used >= size) *used = size - 1;
}

/* Cuts a UTF-8 text to a number of characters. */
static size_t cut(char *text, size_t size, size_t width)
{
    size_t columns = 0;

    for (size_t i = 0; i < size; i++) {
        if (((unsigned char)text[i] & 0xC0) == 0x80) continue;
        if (columns++ == width) {
            text[i] = 0;
            return i;
        }
    }
    return size;
}

static void append_rates(struct cli_progress *p, int64_t now_ms, char *out, size_t size, size_t *used)
{
    char number[32], span[32];
    int64_t elapsed = now_ms - p->started_ms;

    append(out, size, used, "  %s rows", cli_grouped(p->records, number));
    if (elapsed >= 500) append(out, size, used, "  %s rows/s", cli_grouped(p->records * 1000 / elapsed, number));
    append(out, size, used, "  %s requests", cli_grouped(p->requests, number));
    if (p->retries > 0) append(out, size, used, "  %s retries", cli_grouped(p->retries, number));
    if (p->whole > 0 && p->whole < p->leaves && elapsed >= 1000)
        append(out, size, used, "  ETA %s", cli_duration(elapsed * (p->leaves - p->whole) / p->whole, span));
}

static size_t text_locked(struct cli_progress *p, int64_t now_ms, size_t width, char *out, size_t size)
{
    char number[32], other[32], span[32];
    size_t used = 0;

    append(out, size, &used, "%s", *p->query ? p->query : "starting");
    if (p->waiting_until_ms > now_ms)
        append(out, size, &used, "  %s: resuming in %s%s%s", p->reason,
               cli_duration((p->waiting_until_ms - now_ms + 999) / 1000 * 1000, span), *p->until ? ", at " : "",
               p->until);
    append(out, size, &used, "  %s/%s leaves  ", cli_grouped(p->whole, number), cli_grouped(p->leaves, other));
    append(out, size, &used, "%s pages", cli_grouped(p->pages, number));
    append_rates(p, now_ms, out, size, &used);
    return cut(out, used, width);
}

size_t cli_progress_text(struct cli_progress *progress, int64_t now_ms, size_t width, char *out, size_t size)
{
    size_t used;

    pthread_mutex_lock(&progress->lock);
    used = text_locked(progress, now_ms, width, out, size);
    pthread_mutex_unlock(&progress->lock);
    return used;
}

static size_t terminal_width(int fd)
{
    struct winsize window;

    if (ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 1) return window.ws_col - 1U;
    return 79;
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n <= 0) return; /* a display may be lost */
        data += n;
        size -= (size_t)n;
    }
}

static void draw(struct cli_progress *p)
{
    char text[TEXT_SIZE + sizeof CLEAR_LINE];
    size_t size = sizeof CLEAR_LINE - 1;

    memcpy(text, CLEAR_LINE, size);
    size += text_locked(p, monotonic_ms(), terminal_width(p->fd), text + size, TEXT_SIZE);
    write_all(p->fd, text, size);
    p->shown = true;
}

static void clear(struct cli_progress *p)
{
    if (p->shown) write_all(p->fd, CLEAR_LINE, sizeof CLEAR_LINE - 1);
    p->shown = false;
}

static void *draw_now_and_then(void *user)
{
    struct cli_progress *p = user;

    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        struct timespec until;

        draw(p);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += REDRAW_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&p->wake, &p->lock, &until);
    }
    clear(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct cli_progress *cli_progress_new(int fd)
{
    const char *term = getenv("TERM");
    struct cli_progress *p;

    if (!isatty(fd) || !term || !strcmp(term, "dumb")) return NULL;
    p = qn_calloc(1, sizeof *p);
    if (!p) return NULL;
    p->fd = fd;
    p->started_ms = monotonic_ms();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    if (pthread_create(&p->thread, NULL, draw_now_and_then, p) != 0) {
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        qn_free(p);
        return NULL;
    }
    return p;
}

/* Of "2024-01-01T00:36:00Z". */
static void set_until(struct cli_progress *p, const char *instant)
{
    p->until[0] = 0;
    if (strlen(instant) >= 17) snprintf(p->until, sizeof p->until, "%.5sZ", instant + 11);
}

void cli_progress_event(struct cli_progress *p, struct cli_event *event)
{
    pthread_mutex_lock(&p->lock);
    if (cli_event_is(event, "run_started") && *cli_event_text(event, "parent")) {
        p->leaves += cli_event_integer(event, "leaves", 0);
    } else if (cli_event_is(event, "run_started")) {
        snprintf(p->query, sizeof p->query, "%s", cli_event_text(event, "query"));
        p->leaves = cli_event_integer(event, "leaves", 0);
        p->started_ms = monotonic_ms();
    } else if (cli_event_is(event, "split")) {
        p->splits++;
        p->leaves++;
    } else if (cli_event_is(event, "page")) {
        p->pages++;
        p->records += cli_event_integer(event, "records", 0);
    } else if (cli_event_is(event, "leaf_whole")) {
        p->whole++;
    } else if (cli_event_is(event, "request")) {
        p->requests++;
    } else if (cli_event_is(event, "retry")) {
        p->retries++;
    } else if (cli_event_is(event, "waiting")) {
        snprintf(p->reason, sizeof p->reason, "%s", cli_event_text(event, "reason"));
        p->waiting_until_ms = monotonic_ms() + cli_event_integer(event, "ms", 0);
        set_until(p, cli_event_text(event, "until"));
    } else if (cli_event_is(event, "resumed")) {
        p->waiting_until_ms = 0;
    }
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_line(struct cli_progress *p, const char *line)
{
    pthread_mutex_lock(&p->lock);
    clear(p);
    write_all(p->fd, line, strlen(line));
    write_all(p->fd, "\n", 1);
    draw(p);
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_free(struct cli_progress *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    qn_free(p);
}
