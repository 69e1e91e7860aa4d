/* quern plan: what a run would do; sends nothing. */
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"

static const struct cli_option options[] = {
    CLI_PARAM_OPTION,
    {'o', "output", CLI_TEXT, "FILE", NULL, "output", "as for run: its extension chooses the format"},
    {0, "format", CLI_CHOICE, "csv|ndjson|json", "csv|ndjson|json", "format",
     "instead of the script's or the extension's"},
    CLI_COMPRESS_OPTION,
    CLI_PLUGIN_OPTION,
    CLI_RATE_OPTION,
    CLI_ENV_OPTION,
    {0, "json", CLI_FLAG, NULL, NULL, NULL, "print the plan as a JSON object"},
    {0, "allow-insecure", CLI_FLAG, NULL, NULL, NULL, "as for run"},
    CLI_HELP_OPTION,
    {0},
};

static int print_plan(const struct qn_buf *result, bool json)
{
    struct cli_event plan;
    struct qn_buf text;
    qn_node node;

    if (json) {
        printf("%.*s\n", (int)result->size, result->data);
        return cli_finish_output(CLI_OK);
    }
    qn_buf_init(&text, QN_BUF_NO_CAP);
    cli_event_open(&plan, result->data, result->size);
    if (cli_event_member(&plan, "text", &node) && qn_doc_string(plan.doc, node, &text) == 0)
        fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
    cli_event_close(&plan);
    qn_buf_free(&text);
    return cli_finish_output(CLI_OK);
}

static int run(const struct cli_args *args)
{
    struct qn_buf request, result;
    int status;

    if (args->word_count == 0)
        return cli_fail(CLI_USAGE, "plan what? Give a script's name or file; 'quern run' lists names");
    qn_buf_init(&request, QN_BUF_NO_CAP);
    qn_buf_init(&result, QN_BUF_NO_CAP);
    if (cli_script_options(args, args->words[0], &request) < 0) {
        status = cli_fail(CLI_FAILED, "out of memory");
    } else {
        struct cli_call call = {
            .command = "plan",
            .options = request.data,
            .allow_insecure = cli_args_has(args, "allow-insecure"),
        };
        status = cli_call(&call, &result);
        cli_print_message(&result, false);
        if (status == CLI_OK) status = print_plan(&result, cli_args_has(args, "json"));
    }
    qn_buf_free(&request);
    qn_buf_free(&result);
    return status;
}

const struct cli_command cli_plan = {
    .name = "plan",
    .words = "SCRIPT|NAME",
    .most_words = 1,
    .summary = "show what would run: chunks, first request, what it may reach; sends nothing",
    .options = options,
    .more = "  quern plan details_sliced -p from=2024-01-01 -p to=2024-03-31\n",
    .run = run,
};
