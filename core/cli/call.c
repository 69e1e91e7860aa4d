#include "cli/call.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/cli.h"
#include "cli/log.h"
#include "cli/progress.h"
#include "quern.h"

struct session {
    const struct cli_call *call;
    struct cli_progress *progress; /* NULL: none */
};

static struct quern *volatile running; /* for the signal handler */

static void on_signal(int number)
{
    (void)number;
    if (running) quern_interrupt(running);
}

static void catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* the second one ends the program */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void release_signals(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static void on_event(void *user, const char *line, size_t size)
{
    struct session *session = user;
    struct cli_event event;

    if (session->call->log_json) {
        /* one write a line, so that lines of several programs on one terminal or file do not mix */
        fwrite(line, 1, size, stderr);
        fputc('\n', stderr);
        fflush(stderr);
        if (!session->call->on_event) return;
    }
    cli_event_open(&event, line, size);
    if (!session->call->log_json) {
        if (session->progress) cli_progress_event(session->progress, &event);
        cli_log_event(&event, session->progress, session->call->log_level);
    }
    if (session->call->on_event) session->call->on_event(session->call->user, &event);
    cli_event_close(&event);
}

int cli_call(const struct cli_call *call, struct qn_buf *result)
{
    struct session session = {.call = call};
    struct quern_options options = {
        .ca_file = call->ca_file,
        .allow_insecure = call->allow_insecure,
        .on_event = on_event,
        .user = &session,
    };
    struct quern *q;
    const char *text;
    int status, left;

    if (call->progress && !call->log_json) session.progress = cli_progress_new(STDERR_FILENO);
    if (!session.progress && !call->log_json && !call->on_event) options.event_types = cli_log_types;
    q = quern_new(&options);
    if (!q) {
        cli_progress_free(session.progress);
        return cli_fail(CLI_FAILED, "out of memory");
    }
    running = q;
    catch_signals();
    status = quern_call(q, call->command, call->options);
    release_signals();
    running = NULL;
    cli_progress_free(session.progress);
    text = quern_result(q);
    if (qn_buf_add_str(result, text) < 0) status = cli_fail(CLI_FAILED, "out of memory");
    left = quern_free(q);
    if (left > 0) fprintf(stderr, "quern: %d things were left open; this is a defect of quern\n", left);
    return status;
}

/* {"level":"error","message":"...","time":"...","type":"log"}, as the run loop's own events are written. */
static void print_log_line(const char *message)
{
    struct timespec now;
    char time[QN_TIME_TEXT_SIZE];
    struct qn_buf line;

    clock_gettime(CLOCK_REALTIME, &now);
    qn_time_format((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, 3, time);
    qn_buf_init(&line, QN_BUF_NO_CAP);
    if (qn_buf_add_str(&line, "{\"level\":\"error\"") == 0 && cli_add_member(&line, "message", message) == 0 &&
        cli_add_member(&line, "time", time) == 0 && cli_add_member(&line, "type", "log") == 0)
        fprintf(stderr, "%.*s}\n", (int)line.size, line.data);
    qn_buf_free(&line);
}

void cli_print_message(const struct qn_buf *result, bool log_json)
{
    struct cli_event event;
    const char *message;

    cli_event_open(&event, result->data ? result->data : "", result->size);
    message = cli_event_text(&event, "message");
    if (*message && log_json)
        print_log_line(message);
    else if (*message)
        fprintf(stderr, "quern: %s\n", message);
    cli_event_close(&event);
}

int cli_script_options(const struct cli_args *args, const char *script, struct qn_buf *options)
{
    int rc = qn_buf_add_byte(options, '{');

    if (rc == 0) rc = cli_add_member(options, "script", script);
    if (rc == 0) rc = cli_add_options(options, args);
    if (rc == 0) rc = cli_add_list(options, args, "plugin", "plugins");
    if (rc == 0) rc = cli_add_name(options, "params");
    if (rc == 0) rc = qn_buf_add_byte(options, '{');
    if (rc == 0) rc = cli_add_pairs(options, args, "param");
    if (rc == 0) rc = qn_buf_add_str(options, "}}");
    if (rc == 0 && !qn_buf_cstr(options)) rc = QN_ENOMEM;
    return rc;
}
