#include "cli/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/progress.h"

#define LINE_SIZE 2048

const char *cli_grouped(int64_t value, char *out)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, value < 0 ? 0 : value);
    char *at = out;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *at++ = ',';
        *at++ = digits[i];
    }
    *at = 0;
    return out;
}

const char *cli_duration(int64_t ms, char *out)
{
    int64_t s = (ms + 500) / 1000;

    if (ms < 1000)
        snprintf(out, 32, "%d ms", (int)(ms < 0 ? 0 : ms));
    else if (ms < 10000)
        snprintf(out, 32, "%.1f s", (double)ms / 1000);
    else if (s < 120)
        snprintf(out, 32, "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(out, 32, "%" PRId64 " min %d s", s / 60, (int)(s % 60));
    else
        snprintf(out, 32, "%" PRId64 " h %d min", s / 3600, (int)(s / 60 % 60));
    return out;
}

/* "429: resuming in 12 s, 2024-01-01T00:00:00Z/...". A status says enough; for anything else the message follows. */
static void describe_retry(struct cli_event *event, int64_t wait_ms, char *line)
{
    const char *leaf = cli_event_text(event, "leaf");
    char span[32];
    bool status = cli_event_integer(event, "status", 0) >= 300;
    int used = snprintf(line, LINE_SIZE, "%s: resuming in %s%s%s", cli_event_text(event, "why"),
                        cli_duration(wait_ms, span), *leaf ? ", " : "", leaf);

    if (!status && used > 0 && used < LINE_SIZE)
        snprintf(line + used, LINE_SIZE - (size_t)used, " (%s)", cli_event_text(event, "message"));
}

static const char *const levels[] = {"debug", "info", "warn", "error"};

/* Is a line of the log below the level that people asked for? An unknown level is not. */
static bool below(const char *level, const char *least)
{
    size_t wanted = 1;

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (least && !strcmp(levels[i], least)) wanted = i;
    for (size_t i = 0; i < wanted; i++)
        if (!strcmp(levels[i], level)) return true;
    return false;
}

/* "waiting 30 min 0 s, until 2024-01-01T00:36:00Z: nothing but 503 for 300 s from ..." */
static void describe_stay(struct cli_event *event, char *line)
{
    char span[32];

    cli_duration(cli_event_integer(event, "ms", 0), span);
    snprintf(line, LINE_SIZE, "waiting %s, until %s: %s", span, cli_event_text(event, "until"),
             cli_event_text(event, "message"));
}

/* "leaves wait for memory: 3 pages under way take 40.1 MB, --memory is 48.0 MB" */
static void describe_memory(struct cli_event *event, char *line)
{
    int64_t pages = cli_event_integer(event, "pages", 0);

    snprintf(line, LINE_SIZE,
             "leaves wait for memory: %" PRId64 " page%s under way take%s %.1f MB, --memory is %.1f MB", pages,
             pages == 1 ? "" : "s", pages == 1 ? "s" : "", (double)cli_event_integer(event, "bytes", 0) / 1048576,
             (double)cli_event_integer(event, "limit", 0) / 1048576);
}

/* "record failed, leaf 2024-01-01 page 2, record 12: column 'n': ..." */
static void describe_failed(struct cli_event *event, char *line)
{
    int used = snprintf(line, LINE_SIZE, "record failed, leaf %s page %s, record %s", cli_event_text(event, "leaf"),
                        cli_event_text(event, "page"), cli_event_text(event, "record"));

    if (used > 0 && used < LINE_SIZE)
        snprintf(line + used, LINE_SIZE - (size_t)used, ": %s", cli_event_text(event, "reason"));
}

/* What is not told one by one; the sum stands in the summary. */
static bool describe_more_failed(struct cli_event *event, char *line)
{
    int64_t more = cli_event_integer(event, "failed", 0) - cli_event_integer(event, "told", 0);
    char number[32];

    if (more <= 0) return false;
    snprintf(line, LINE_SIZE, "%s more record%s failed", cli_grouped(more, number), more == 1 ? "" : "s");
    return true;
}

/* The words of an event; false if people need not see it. */
static bool describe(struct cli_event *event, bool progress, const char *least, char *line)
{
    const char *leaf = cli_event_text(event, "leaf");
    int64_t wait_ms = cli_event_integer(event, "wait_ms", 0);
    char span[32];
    qn_node node;

    if (cli_event_is(event, "retry") && !progress && wait_ms > 0)
        describe_retry(event, wait_ms, line);
    else if (cli_event_is(event, "waiting") && cli_event_member(event, "until", &node))
        describe_stay(event, line);
    else if (cli_event_is(event, "resumed"))
        snprintf(line, LINE_SIZE, "the API answers again, after %s",
                 cli_duration(cli_event_integer(event, "ms", 0), span));
    else if (cli_event_is(event, "split"))
        snprintf(line, LINE_SIZE, "split %s: %s", leaf, cli_event_text(event, "reason"));
    else if (cli_event_is(event, "restart"))
        snprintf(line, LINE_SIZE, "again from the start, %s: %s", leaf, cli_event_text(event, "reason"));
    else if (cli_event_is(event, "memory"))
        describe_memory(event, line);
    else if (cli_event_is(event, "record_failed"))
        describe_failed(event, line);
    else if (cli_event_is(event, "records_failed"))
        return describe_more_failed(event, line);
    else if (cli_event_is(event, "log") && !below(cli_event_text(event, "level"), least))
        snprintf(line, LINE_SIZE, "%s: %s", cli_event_text(event, "level"), cli_event_text(event, "message"));
    else
        return false;
    return true;
}

const char *const cli_log_types[] = {"retry",  "waiting",       "resumed",        "split", "restart",
                                     "memory", "record_failed", "records_failed", "log",   NULL};

void cli_log_event(struct cli_event *event, struct cli_progress *progress, const char *least)
{
    char line[LINE_SIZE], whole[LINE_SIZE + 16];
    const char *time;

    if (!describe(event, progress != NULL, least, line)) return;
    time = cli_event_text(event, "time"); /* 2024-01-01T10:20:30.000Z */
    if (strlen(time) >= 20)
        snprintf(whole, sizeof whole, "%.8sZ %s", time + 11, line);
    else
        snprintf(whole, sizeof whole, "%s", line);
    if (progress)
        cli_progress_line(progress, whole);
    else
        fprintf(stderr, "%s\n", whole);
}
