/* The command line's parts that need no runtime: options, events as lines, the progress text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/args.h"
#include "cli/event.h"
#include "cli/log.h"
#include "cli/progress.h"

static const struct cli_option table[] = {
    {'p', "param", CLI_PAIR, "KEY=VALUE", NULL, NULL, ""},
    {'o', "output", CLI_TEXT, "FILE", NULL, "output", ""},
    {0, "workers", CLI_NUMBER, "N", NULL, "workers", ""},
    {0, "port", CLI_COUNT, "N", NULL, "port", ""},
    {0, "format", CLI_CHOICE, "csv|json", "csv|json", "format", ""},
    {0, "accept", CLI_FLAG, NULL, NULL, "accept", ""},
    {0},
};

static struct cli_args args;
static struct qn_err err;

static int parse(const char *first, ...)
{
    char *argv[32];
    int argc = 0;
    va_list list;

    va_start(list, first);
    for (const char *word = first; word; word = va_arg(list, const char *)) argv[argc++] = (char *)word;
    va_end(list);
    return cli_args_parse(table, 1, argc, argv, &args, &err);
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("name", "-p", "a=1", "-pb=2", "--param=c=3", "--param", "d=", "-o", "x", "--accept", NULL),
                     0);
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "name");
    assert_int_equal(args.given_count, 6);
    assert_string_equal(args.given[2].value, "c=3");
    assert_string_equal(cli_args_get(&args, "output"), "x");
    assert_string_equal(cli_args_get(&args, "accept"), "");
    assert_null(cli_args_get(&args, "workers"));
    assert_int_equal(parse("--", "-o", NULL), 0);
    assert_string_equal(args.words[0], "-o");
    assert_int_equal(parse("-", NULL), 0);
    assert_string_equal(args.words[0], "-");
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(parse("--ouput", "x", NULL), QN_EINVAL);
    assert_string_equal(err.text, "unknown option --ouput; did you mean --output?");
    assert_int_equal(parse("--zzzzzz", NULL), QN_EINVAL);
    assert_string_equal(err.text, "unknown option --zzzzzz");
    assert_int_equal(parse("-x", NULL), QN_EINVAL);
    assert_int_equal(parse("-p", "novalue", NULL), QN_EINVAL);
    assert_int_equal(parse("-p", "=x", NULL), QN_EINVAL);
    assert_int_equal(parse("-o", NULL), QN_EINVAL);
    assert_string_equal(err.text, "--output needs a value: --output FILE");
    assert_int_equal(parse("--output=", NULL), QN_EINVAL);
    assert_int_equal(parse("--accept=1", NULL), QN_EINVAL);
    assert_int_equal(parse("--workers", "0", NULL), QN_EINVAL);
    assert_int_equal(parse("--workers", "4x", NULL), QN_EINVAL);
    assert_int_equal(parse("--workers", "99999999999999999999", NULL), QN_EINVAL);
    assert_int_equal(parse("--port", "0", NULL), 0);
    assert_int_equal(parse("--format", "cs", NULL), QN_EINVAL);
    assert_int_equal(parse("--format", "csv", NULL), 0);
    assert_int_equal(parse("one", "two", NULL), QN_EINVAL);
    assert_string_equal(err.text, "unexpected 'two'");
}

static void test_json(void **state)
{
    struct qn_buf out;

    (void)state;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_int_equal(parse("n", "-p", "q=a \"b\"=c", "-o", "f\n", "--workers", "3", "--accept", NULL), 0);
    qn_buf_add_byte(&out, '{');
    assert_int_equal(cli_add_member(&out, "script", "n"), 0);
    assert_int_equal(cli_add_options(&out, &args), 0);
    cli_add_name(&out, "params");
    qn_buf_add_byte(&out, '{');
    assert_int_equal(cli_add_pairs(&out, &args, "param"), 0);
    qn_buf_add_str(&out, "}}");
    assert_string_equal(qn_buf_cstr(&out), "{\"script\":\"n\",\"output\":\"f\\n\",\"workers\":3,\"accept\":true,"
                                           "\"params\":{\"q\":\"a \\\"b\\\"=c\"}}");
    qn_buf_free(&out);
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"run", "plan", "emulate"};

    (void)state;
    assert_string_equal(cli_nearest("rum", words, 3), "run");
    assert_string_equal(cli_nearest("emulat", words, 3), "emulate");
    assert_null(cli_nearest("xyz", words, 3));
    assert_null(cli_nearest("", words, 3));
}

static void test_event(void **state)
{
    static const char line[] = "{\"type\":\"hole\",\"n\":12,\"f\":1.9,\"s\":\"a\\nb\\u001b[2J\",\"z\":null,\"b\":true}";
    struct cli_event event;
    char big[2048];

    (void)state;
    cli_event_open(&event, line, sizeof line - 1);
    assert_true(cli_event_is(&event, "hole"));
    assert_false(cli_event_is(&event, "hol"));
    assert_int_equal(cli_event_integer(&event, "n", -1), 12);
    assert_int_equal(cli_event_integer(&event, "f", -1), 1);
    assert_int_equal(cli_event_integer(&event, "s", -1), -1);
    assert_string_equal(cli_event_text(&event, "s"), "a b [2J"); /* nothing may steer the terminal */
    assert_string_equal(cli_event_text(&event, "z"), "");
    assert_string_equal(cli_event_text(&event, "b"), "true");
    assert_string_equal(cli_event_text(&event, "none"), "");
    cli_event_close(&event);

    memset(big, 'x', sizeof big);
    memcpy(big, "{\"s\":\"", 6);
    memcpy(big + 6 + 510, "\xC3\xA9", 2); /* lies across the 511th byte */
    memcpy(big + sizeof big - 3, "\"}", 3);
    cli_event_open(&event, big, sizeof big - 1);
    assert_int_equal(strlen(cli_event_text(&event, "s")), 510);
    cli_event_close(&event);

    cli_event_open(&event, "nonsense", 8);
    assert_string_equal(cli_event_text(&event, "s"), "");
    cli_event_close(&event);
}

static void test_numbers(void **state)
{
    char out[32];

    (void)state;
    assert_string_equal(cli_grouped(0, out), "0");
    assert_string_equal(cli_grouped(999, out), "999");
    assert_string_equal(cli_grouped(1000, out), "1,000");
    assert_string_equal(cli_grouped(1234567, out), "1,234,567");
    assert_string_equal(cli_duration(850, out), "850 ms");
    assert_string_equal(cli_duration(12000, out), "12 s");
    assert_string_equal(cli_duration(200000, out), "3 min 20 s");
    assert_string_equal(cli_duration(7500000, out), "2 h 5 min");
}

static void tell(struct cli_progress *progress, const char *line)
{
    struct cli_event event;

    cli_event_open(&event, line, strlen(line));
    cli_progress_event(progress, &event);
    cli_event_close(&event);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_progress(void **state)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    struct cli_progress *progress;
    char text[512];
    int other;

    (void)state;
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    setenv("TERM", "xterm", 1);
    progress = cli_progress_new(other);
    assert_non_null(progress);
    tell(progress, "{\"type\":\"run_started\",\"query\":\"demo\",\"leaves\":3}");
    tell(progress, "{\"type\":\"split\"}");
    tell(progress, "{\"type\":\"request\"}");
    tell(progress, "{\"type\":\"page\",\"records\":5000}");
    tell(progress, "{\"type\":\"leaf_whole\"}");
    tell(progress, "{\"type\":\"retry\"}");
    tell(progress, "{\"type\":\"waiting\",\"reason\":\"429\",\"ms\":12000}");
    cli_progress_text(progress, now_ms() + 1000, 200, text, sizeof text);
    assert_non_null(strstr(text, "demo  429: resuming in 11 s  1/4 leaves  1 pages  5,000 rows"));
    assert_non_null(strstr(text, "1 requests  1 retries  ETA"));
    assert_int_equal(cli_progress_text(progress, now_ms(), 20, text, sizeof text), 20);
    cli_progress_text(progress, now_ms() + 20000, 200, text, sizeof text);
    assert_null(strstr(text, "resuming"));
    tell(progress, "{\"type\":\"waiting\",\"reason\":\"503\",\"ms\":1800000,\"until\":\"2024-01-01T00:36:00Z\"}");
    cli_progress_text(progress, now_ms(), 200, text, sizeof text);
    assert_non_null(strstr(text, "demo  503: resuming in 30 min 0 s, at 00:36Z  1/4 leaves"));
    tell(progress, "{\"type\":\"resumed\",\"ms\":1800000}");
    cli_progress_text(progress, now_ms(), 200, text, sizeof text);
    assert_null(strstr(text, "resuming"));
    cli_progress_line(progress, "a line");
    cli_progress_free(progress);
    close(other);
    close(terminal);

    setenv("TERM", "dumb", 1);
    assert_null(cli_progress_new(STDERR_FILENO));
    assert_int_equal(qn_mem_blocks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),    cmocka_unit_test(test_refusals), cmocka_unit_test(test_json),
        cmocka_unit_test(test_nearest),  cmocka_unit_test(test_event),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_progress),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
