/* quern path: JSONPath on a document. */
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"

static const struct cli_option options[] = {
    {0, "paths", CLI_FLAG, NULL, NULL, "paths", "print normalized paths instead of values"},
    CLI_HELP_OPTION,
    {0},
};

static int run(const struct cli_args *args)
{
    struct qn_buf request, result;
    int status;

    if (args->word_count == 0) return cli_fail(CLI_USAGE, "path needs an expression, such as '$.conversations[*]'");
    qn_buf_init(&request, QN_BUF_NO_CAP);
    qn_buf_init(&result, QN_BUF_NO_CAP);
    if (qn_buf_add_byte(&request, '{') < 0 || cli_add_member(&request, "expression", args->words[0]) < 0 ||
        cli_add_member(&request, "file", args->word_count > 1 ? args->words[1] : "-") < 0 ||
        cli_add_options(&request, args) < 0 || qn_buf_add_byte(&request, '}') < 0 || !qn_buf_cstr(&request)) {
        status = cli_fail(CLI_FAILED, "out of memory");
    } else {
        struct cli_call call = {.command = "path", .options = request.data};
        status = cli_call(&call, &result);
        if (status == CLI_OK) {
            fwrite(result.data, 1, result.size, stdout);
            putchar('\n');
            status = cli_finish_output(CLI_OK);
        } else {
            cli_print_message(&result, false);
        }
    }
    qn_buf_free(&request);
    qn_buf_free(&result);
    return status;
}

const struct cli_command cli_path = {
    .name = "path",
    .words = "EXPR [FILE]",
    .most_words = 2,
    .summary = "JSONPath (RFC 9535) on a document; prints what it selects as a JSON array",
    .options = options,
    .more = "Without FILE, or for -, the document is read from stdin.\n\n"
            "  quern path '$.conversations[?@.duration > 60000].conversationId' page.json\n",
    .run = run,
};
