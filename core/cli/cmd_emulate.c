/* quern emulate: a local API for trying things without an account. */
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"

/* An option whose name is a parameter of the serving script. */
#define EMULATED(name, kind, value, help)                                                                              \
    {                                                                                                                  \
        0, name, kind, value, NULL, NULL, help                                                                         \
    }

static const struct cli_option options[] = {
    {0, "port", CLI_COUNT, "N", NULL, "port", "0, the default: any free one; it is printed"},
    EMULATED("seed", CLI_COUNT, "N", "of the data set and of chance (default 1)"),
    EMULATED("days", CLI_NUMBER, "N", "length of the data set (default 90)"),
    EMULATED("rate", CLI_NUMBER, "N", "conversations a day (default 240)"),
    EMULATED("start", CLI_TEXT, "DATE", "first day of the data set (default 2024-01-01)"),
    EMULATED("prefix", CLI_TEXT, "PATH", "path prefix of the API"),
    EMULATED("max-records", CLI_NUMBER, "N", "details_sliced: 413 above (default 5000)"),
    EMULATED("max-buckets", CLI_NUMBER, "N", "interval_report: 413 above (default 5000)"),
    EMULATED("max-hours", CLI_NUMBER, "N", "aggregate_tree: 413 above (default 5000)"),
    EMULATED("job-ms", CLI_COUNT, "N", "interaction_search: how long a job runs (default 500)"),
    EMULATED("absolute-links", CLI_FLAG, NULL, "links to next pages have scheme and host"),
    EMULATED("limit", CLI_COUNT, "N", "requests a minute and token, then 429 (default 0: none)"),
    EMULATED("token-life", CLI_NUMBER, "S", "seconds (default 3600)"),
    EMULATED("delay-ms", CLI_COUNT, "N", "answers wait up to this long, seeded (default 0)"),
    EMULATED("client-id", CLI_TEXT, "ID", "the OAuth client that is let in (default demo)"),
    EMULATED("client-secret", CLI_TEXT, "TEXT", "its secret (default demo-secret)"),
    {0, "fault", CLI_TEXT, "RULE", NULL, NULL,
     "what goes wrong, such as 429:times=2,retry_after=1; may be given again; see below"},
    {'p', "param", CLI_PAIR, "KEY=VALUE", NULL, NULL, "any other parameter of the serving script"},
    CLI_LOG_OPTION,
    {0, "log-level", CLI_CHOICE, "debug|info|warn|error", "debug|info|warn|error", NULL,
     "least level of the lines that are logged (default: info); debug: one for each fault"},
    CLI_HELP_OPTION,
    {0},
};

static bool is_parameter(const struct cli_option *option)
{
    static const char *const others[] = {"fault", "param", "log", "log-level", "help"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(option->name, others[i]) == 0) return false;
    return !option->key;
}

static int add_parameter(struct qn_buf *out, const struct cli_given *given)
{
    char name[64];
    size_t size = strlen(given->option->name);

    for (size_t i = 0; i <= size; i++) name[i] = (char)(given->option->name[i] == '-' ? '_' : given->option->name[i]);
    return cli_add_member(out, name, given->value ? given->value : "true");
}

/* Fault rules hold commas, so they travel as a JSON array. */
static int add_faults(struct qn_buf *out, const struct cli_args *args)
{
    int rc = cli_add_name(out, "fault");
    const char *comma = "";

    if (rc == 0) rc = qn_buf_add_byte(out, '[');
    for (size_t i = 0; i < args->given_count && rc == 0; i++) {
        if (strcmp(args->given[i].option->name, "fault") != 0) continue;
        rc = qn_buf_add_str(out, comma);
        if (rc == 0) rc = cli_add_text(out, args->given[i].value);
        comma = ",";
    }
    return rc == 0 ? qn_buf_add_byte(out, ']') : rc;
}

/* {"script":"genesys","port":N,"params":{...}} */
static int make_request(const struct cli_args *args, struct qn_buf *out)
{
    int rc = qn_buf_add_byte(out, '{');

    if (rc == 0) rc = cli_add_member(out, "script", "genesys");
    if (rc == 0) rc = cli_add_options(out, args);
    if (rc == 0) rc = cli_add_name(out, "params");
    if (rc == 0) rc = qn_buf_add_byte(out, '{');
    for (size_t i = 0; i < args->given_count && rc == 0; i++)
        if (is_parameter(args->given[i].option)) rc = add_parameter(out, &args->given[i]);
    if (rc == 0 && cli_args_has(args, "fault")) rc = add_faults(out, args);
    if (rc == 0) rc = cli_add_pairs(out, args, "param");
    if (rc == 0) rc = qn_buf_add_str(out, "}}");
    if (rc == 0 && !qn_buf_cstr(out)) rc = QN_ENOMEM;
    return rc;
}

static void on_event(void *user, struct cli_event *event)
{
    const struct cli_args *args = user;
    const char *id = cli_args_get(args, "client-id"), *secret = cli_args_get(args, "client-secret");
    const char *prefix = cli_args_get(args, "prefix"), *start = cli_args_get(args, "start");

    if (!cli_event_is(event, "listening")) return;
    printf("listening on http://%s:%s%s\n", cli_event_text(event, "host"), cli_event_text(event, "port"),
           prefix ? prefix : "");
    fflush(stdout);
    fprintf(stderr,
            "try, in another terminal:\n"
            "  export GENESYS_BASE_URL=http://%s:%s%s GENESYS_CLIENT_ID=%s GENESYS_CLIENT_SECRET=%s "
            "GENESYS_ORGANIZATION_ID=demo\n"
            "  quern run details_sliced -p from=%s -p to=2024-02-01 -o conversations.json\n",
            cli_event_text(event, "host"), cli_event_text(event, "port"), prefix ? prefix : "", id ? id : "demo",
            secret ? "..." : "demo-secret", start ? start : "2024-01-01");
}

static int run(const struct cli_args *args)
{
    const char *log = cli_args_get(args, "log");
    struct qn_buf request, result;
    int status;

    qn_buf_init(&request, QN_BUF_NO_CAP);
    qn_buf_init(&result, QN_BUF_NO_CAP);
    if (make_request(args, &request) < 0) {
        status = cli_fail(CLI_FAILED, "out of memory");
    } else {
        struct cli_call call = {
            .command = "serve",
            .options = request.data,
            .log_level = cli_args_get(args, "log-level"),
            .log_json = log && !strcmp(log, "json"),
            .on_event = on_event,
            .user = (void *)args,
        };
        status = cli_call(&call, &result);
        cli_print_message(&result, call.log_json);
    }
    qn_buf_free(&request);
    qn_buf_free(&result);
    return status;
}

const struct cli_command cli_emulate = {
    .name = "emulate",
    .words = "",
    .most_words = 0,
    .summary = "serve a local Genesys-like API for trying things without an account",
    .options = options,
    .more =
        "It listens on 127.0.0.1 until it is interrupted.\n\n"
        "A fault is KIND[:key=value,...]. Which requests it meets:\n\n"
        "  times=N     at most so many (default 1; with every or share, all)\n"
        "  skip=N      so many pass first\n"
        "  every=N     each n-th\n"
        "  share=X     this share of them, 0 to 1, seeded\n"
        "  on=WHAT     data (all but token; default), token, a dialect, or a step of the search\n"
        "  path=TEXT   those with this text in path or url query\n\n"
        "Dialects are sliced, paged, intervals, tree and search; its steps are submit, poll, results and cancel.\n\n"
        "Instead of an answer:\n\n"
        "  400 ... 599        that status; retry_after=S, message=TEXT (the rest of the rule)\n"
        "  unavailable        503 for seconds=N (60); retry_after=S\n"
        "  revoke             401, and the token is good no more\n"
        "  foreign_redirect   307 to the origin to=URL\n"
        "  html               200 with a page of HTML\n"
        "  repeat             the answer before this one\n"
        "  reset              the connection is reset\n\n"
        "Another page than the right one:\n\n"
        "  duplicate      begins with the last record of the page before\n"
        "  late           the last records=N (1) are there only when it is asked for again\n"
        "  short          by=N records fewer (half), though it is not the last; the next page goes on from there\n"
        "  wrong_total    a total that is off by=N (7)\n"
        "  wrong_pages    a page count that is off by=N (1)\n"
        "  foreign_link   a next link to the origin to=URL\n\n"
        "Jobs of a search:\n\n"
        "  job_failed       the job fails, with message=TEXT\n"
        "  job_stuck        the job runs for ever\n"
        "  cursor_expired   400, and all cursors of the job so far are good no more\n\n"
        "The answer on its way:\n\n"
        "  slow           after=S seconds late (2)\n"
        "  truncate       half of the body\n"
        "  malformed      the body without its last byte\n"
        "  bom            a byte order mark before the body\n"
        "  gzip           packed, if the request accepts it\n"
        "  chunked        in chunks, without its length\n"
        "  huge_headers   bytes=N (60000) of headers\n"
        "  close          the connection is closed behind it\n\n"
        "  quern emulate --port 8080 --days 90 --fault 429:times=1,retry_after=2\n"
        "  quern emulate --fault cursor_expired --fault unavailable:seconds=120,on=poll --fault gzip:every=1\n",
    .run = run,
};
