/* quern run: pulls a query; alone it lists the scripts that ship. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/log.h"

static const struct cli_option options[] = {
    CLI_PARAM_OPTION,
    {'o', "output", CLI_TEXT, "FILE", NULL, "output",
     "where rows go; its extension chooses format and compression (default: stdout)"},
    {0, "format", CLI_CHOICE, "csv|ndjson|json", "csv|ndjson|json", "format",
     "instead of the script's or the extension's"},
    CLI_COMPRESS_OPTION,
    {0, "csv-safe", CLI_FLAG, NULL, NULL, "csv_safe",
     "CSV: put ' before texts that a spreadsheet would run as formulas"},
    {0, "concurrency", CLI_NUMBER, "N", NULL, "concurrency", "leaves fetched side by side (default 4)"},
    {0, "workers", CLI_NUMBER, "N", NULL, "workers", "threads that convert pages (default: cores - 1; 2 on two cores)"},
    {0, "memory", CLI_TEXT, "SIZE", NULL, "memory",
     "bytes that pages under way and rows that wait may take, such as 64M (default 128M)"},
    CLI_PLUGIN_OPTION,
    {0, "strict", CLI_FLAG, NULL, NULL, "strict",
     "refuse a transform that keeps something from record to record (each is transformed twice)"},
    CLI_RATE_OPTION,
    CLI_ENV_OPTION,
    {0, "accept-incomplete", CLI_FLAG, NULL, NULL, "accept_incomplete",
     "publish the output in spite of holes (still exit 3)"},
    {0, "on-error", CLI_CHOICE, "stop|skip|quarantine", "stop|skip|quarantine", "on_error",
     "a record that fails ends the run (default), is left out, or goes to a file"},
    {0, "quarantine", CLI_TEXT, "FILE", NULL, "quarantine", "that file (default: OUTPUT.quarantine.ndjson)"},
    {0, "listen", CLI_TEXT, "ADDR", NULL, "listen",
     "let the API call when a job is done, at HOST:PORT (default host 127.0.0.1, any free port)"},
    {0, "summary", CLI_TEXT, "FILE", NULL, NULL, "write the run's summary there, as JSON"},
    {0, "audit", CLI_TEXT, "FILE", NULL, "audit", "add a JSON line for each query and each request to that file"},
    {0, "alert-url", CLI_TEXT, "URL", NULL, "alert_url",
     "POST JSON there when the API is not available, and when the run fails or is incomplete"},
    {0, "wait", CLI_FLAG, NULL, NULL, "wait",
     "when the API is not available, stay and ask again for up to 24 hours, instead of ending 75"},
    CLI_LOG_OPTION,
    {0, "log-level", CLI_CHOICE, "debug|info|warn|error", "debug|info|warn|error", NULL,
     "least level of the lines that a script logs (default: info; --log json has them all)"},
    {0, "ca-file", CLI_TEXT, "FILE", NULL, NULL, "trust these certificates (PEM) instead of the system's"},
    {0, "allow-insecure", CLI_FLAG, NULL, NULL, NULL, "allow http:// to other machines than this one"},
    CLI_HELP_OPTION,
    {0},
};

static int print_scripts(const struct qn_buf *result)
{
    struct cli_event list;
    qn_node scripts, name, summary;

    cli_event_open(&list, result->data, result->size);
    if (cli_event_member(&list, "scripts", &scripts)) {
        for (qn_node one = qn_doc_first(list.doc, scripts); one != QN_NONE; one = qn_doc_next(list.doc, scripts, one)) {
            if (!qn_doc_find(list.doc, one, "name", 4, &name) || !qn_doc_find(list.doc, one, "summary", 7, &summary))
                continue;
            printf("%-24s %s\n", cli_event_node_text(&list, name), cli_event_node_text(&list, summary));
        }
    }
    cli_event_close(&list);
    return cli_finish_output(CLI_OK);
}

static int list_scripts(void)
{
    struct cli_call call = {.command = "list", .options = "{}"};
    struct qn_buf result;
    int status;

    qn_buf_init(&result, QN_BUF_NO_CAP);
    status = cli_call(&call, &result);
    cli_print_message(&result, false);
    if (status == CLI_OK) status = print_scripts(&result);
    qn_buf_free(&result);
    return status;
}

static void print_count(struct cli_event *summary, const char *name, const char *one, const char *many)
{
    int64_t count = cli_event_integer(summary, name, 0);
    char number[32];

    fprintf(stderr, ", %s %s", cli_grouped(count, number), count == 1 ? one : many);
}

static void print_span(struct cli_event *summary)
{
    char span[32];

    fprintf(stderr, ", %s", cli_duration(cli_event_integer(summary, "elapsed_ms", 0), span));
}

/* ", 3 records failed (out.csv.quarantine.ndjson)" */
static void print_failed(struct cli_event *summary)
{
    const char *path;

    if (cli_event_integer(summary, "failed", 0) == 0) return;
    print_count(summary, "failed", "record failed", "records failed");
    path = cli_event_text(summary, "quarantine");
    if (*path) fprintf(stderr, " (%s)", path);
}

static void print_of_query(struct cli_event *summary)
{
    char leaves[32];

    fprintf(stderr, " of %s lea%s", cli_grouped(cli_event_integer(summary, "leaves", 0), leaves),
            cli_event_integer(summary, "leaves", 0) == 1 ? "f" : "ves");
    print_failed(summary);
    print_count(summary, "pages", "page", "pages");
    print_count(summary, "requests", "request", "requests");
    if (cli_event_integer(summary, "splits", 0) > 0) print_count(summary, "splits", "split", "splits");
    if (cli_event_integer(summary, "retries", 0) > 0) print_count(summary, "retries", "retry", "retries");
    print_span(summary);
    fprintf(stderr, "; tiled: %s, counted: %s", !strcmp(cli_event_text(summary, "tiled"), "true") ? "yes" : "no",
            cli_event_text(summary, "counted"));
}

static void print_of_program(struct cli_event *summary)
{
    print_count(summary, "requests", "request", "requests");
    if (cli_event_integer(summary, "retries", 0) > 0) print_count(summary, "retries", "retry", "retries");
    print_span(summary);
}

/* "quern: details_sliced complete: 12,955 rows of 3 leaves, 3 pages, 4 requests, 1.2 s; tiled: yes, counted: not
 * promised; out.json"; of a program "quern: x complete: 12 rows, 4 requests, 1.2 s; out.csv" */
static void print_summary(const struct qn_buf *result)
{
    struct cli_event summary;
    char rows[32];
    qn_node node;

    cli_event_open(&summary, result->data, result->size);
    if (cli_event_member(&summary, "rows", &node)) {
        fprintf(stderr, "quern: %s %s: %s rows", cli_event_text(&summary, "query"), cli_event_text(&summary, "verdict"),
                cli_grouped(cli_event_integer(&summary, "rows", 0), rows));
        if (cli_event_member(&summary, "program", &node))
            print_of_program(&summary);
        else
            print_of_query(&summary);
        if (strcmp(cli_event_text(&summary, "output"), "-") != 0)
            fprintf(stderr, "; %s", cli_event_text(&summary, "output"));
        fputc('\n', stderr);
    }
    cli_event_close(&summary);
}

static int write_summary(int fd, const char *path, const struct qn_buf *result)
{
    FILE *file = fdopen(fd, "w");
    int bad;

    if (!file) {
        int why = errno;
        close(fd);
        return cli_fail(CLI_FAILED, "cannot write the summary to %s: %s", path, strerror(why));
    }
    bad = ftruncate(fd, 0) != 0 && errno != EINVAL; /* EINVAL: a pipe or a terminal */
    bad |= fwrite(result->data, 1, result->size, file) != result->size;
    bad |= fputc('\n', file) == EOF;
    bad |= fclose(file) != 0;
    return bad ? cli_fail(CLI_FAILED, "cannot write the summary to %s: %s", path, strerror(errno)) : CLI_OK;
}

/* Opens the summary's file before anything is sent, so that a bad name is told at once. */
static int open_summary(const char *path, int *fd)
{
    *fd = -1;
    if (!path) return CLI_OK;
    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0) return cli_fail(CLI_FAILED, "cannot write the summary to %s: %s", path, strerror(errno));
    return CLI_OK;
}

static int finish(const struct cli_args *args, int status, int summary_fd, bool log_json, const struct qn_buf *result)
{
    const char *path = cli_args_get(args, "summary");

    if (status != CLI_PIPE_CLOSED) {
        cli_print_message(result, log_json);
        if (!log_json && (status == CLI_OK || status == 3)) print_summary(result);
    }
    if (summary_fd >= 0 && write_summary(summary_fd, path, result) != CLI_OK && status == CLI_OK) return CLI_FAILED;
    return status;
}

static int run(const struct cli_args *args)
{
    struct qn_buf request, result;
    int status, summary_fd;

    if (args->word_count == 0) {
        if (args->given_count == 0) return list_scripts();
        return cli_fail(CLI_USAGE,
                        "run what? Give a script's name or file; 'quern run' alone lists the scripts that ship");
    }
    status = open_summary(cli_args_get(args, "summary"), &summary_fd);
    if (status != CLI_OK) return status;
    qn_buf_init(&request, QN_BUF_NO_CAP);
    qn_buf_init(&result, QN_BUF_NO_CAP);
    if (cli_script_options(args, args->words[0], &request) < 0) {
        status = cli_fail(CLI_FAILED, "out of memory");
        if (summary_fd >= 0) close(summary_fd);
    } else {
        const char *log = cli_args_get(args, "log");
        struct cli_call call = {
            .command = "run",
            .options = request.data,
            .ca_file = cli_args_get(args, "ca-file"),
            .allow_insecure = cli_args_has(args, "allow-insecure"),
            .log_json = log && !strcmp(log, "json"),
            .log_level = cli_args_get(args, "log-level"),
            .progress = true,
        };
        status = cli_call(&call, &result);
        status = finish(args, status, summary_fd, call.log_json, &result);
    }
    qn_buf_free(&request);
    qn_buf_free(&result);
    return status;
}

const struct cli_command cli_run = {
    .name = "run",
    .words = "SCRIPT|NAME",
    .most_words = 1,
    .summary = "pull a query; alone: list the scripts that ship",
    .options = options,
    .more = "Rows go to the output (stdout without -o) and nothing else does; progress, log and summary go to stderr.\n"
            "A file appears under its name only when the run is whole.\n\n"
            "  quern run details_sliced -p from=2024-01-01 -p to=2024-03-31 -o conversations.json\n"
            "  quern run ./my_query.lua -p from=-7d -o rows.csv\n",
    .run = run,
};
