/* quern help, quern version. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "quern.h"

static const struct cli_option no_options[] = {CLI_HELP_OPTION, {0}};

static const struct topic {
    const char *name, *summary, *text;
} topics[] = {
    {"exit-status", "what quern's exit status means",
     "  0    complete\n"
     "  1    failed; the message says why, nothing stands under the output's name\n"
     "  2    usage: unknown option, missing or malformed parameter\n"
     "  3    incomplete: holes, or too few records; what came stays in the partial file, whose path is printed\n"
     "  4    authentication or permission refused by the API\n"
     "  5    the query is invalid\n"
     "  75   deferred: the API is unavailable; run again later\n"
     "  130  interrupted; run again\n"
     "  141  the reader of stdout went away\n"},
    {"environment", "variables that the scripts that ship read",
     "  GENESYS_BASE_URL       the API, with its path prefix; wins over the region\n"
     "  GENESYS_REGION         such as eu-west-1 or mypurecloud.ie (default us-east-1)\n"
     "  GENESYS_LOGIN_URL      the login host, if it is not the one that belongs to the API\n"
     "  GENESYS_CLIENT_ID      OAuth client (client credentials)\n"
     "  GENESYS_CLIENT_SECRET  its secret\n\n"
     "--env-file FILE sets those that the environment does not. http_proxy and https_proxy serve other machines "
     "only.\n"},
    {"times", "how from, to and other times are written",
     "  2024-01-01                 midnight UTC\n"
     "  2024-01-01T10:00:00Z       an instant; +02:00 instead of Z works\n"
     "  now, today                 today is midnight UTC\n"
     "  -7d, -12h, +30m            from now; units s m h d w M (months) y\n\n"
     "'from' is included, 'to' is not.\n"},
};

static void print_option(const struct cli_option *option)
{
    char left[64];

    snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter ? "-" : " ", option->letter ? option->letter : ' ',
             option->letter ? ", " : "  ", option->name, option->value ? " " : "", option->value ? option->value : "");
    printf("  %-28s %s\n", left, option->help);
}

void cli_print_command(const struct cli_command *command)
{
    printf("usage: quern %s%s%s%s\n\n%s\n\n", command->name, command->options[1].name ? " [OPTION]..." : "",
           *command->words ? " " : "", command->words, command->summary);
    for (const struct cli_option *option = command->options; option->name; option++) print_option(option);
    if (command->more) printf("\n%s", command->more);
}

void cli_print_overview(int to_stderr)
{
    FILE *out = to_stderr ? stderr : stdout;

    fprintf(out, "usage: quern COMMAND [OPTION]...\n\n"
                 "quern turns a query that is too big for an API into rows that can be trusted.\n\ncommands\n");
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fprintf(out, "\ntopics of quern help\n");
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        fprintf(out, "  %-12s %s\n", topics[i].name, topics[i].summary);
}

static int unknown_topic(const char *wanted)
{
    const char *names[32];
    size_t count = 0;
    const char *near;

    for (size_t i = 0; i < cli_command_count; i++) names[count++] = cli_commands[i]->name;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) names[count++] = topics[i].name;
    near = cli_nearest(wanted, names, count);
    if (near) return cli_fail(CLI_USAGE, "no help on '%s'; did you mean '%s'?", wanted, near);
    return cli_fail(CLI_USAGE, "no help on '%s'; 'quern help' lists commands and topics", wanted);
}

static int help(const struct cli_args *args)
{
    const char *wanted = args->word_count > 0 ? args->words[0] : NULL;
    const struct cli_command *command = wanted ? cli_find(wanted) : NULL;

    if (command) {
        cli_print_command(command);
        return cli_finish_output(CLI_OK);
    }
    for (size_t i = 0; wanted && i < sizeof topics / sizeof *topics; i++) {
        if (strcmp(topics[i].name, wanted) != 0) continue;
        printf("%s", topics[i].text);
        return cli_finish_output(CLI_OK);
    }
    if (wanted) return unknown_topic(wanted);
    cli_print_overview(0);
    return cli_finish_output(CLI_OK);
}

static int version(const struct cli_args *args)
{
    (void)args;
    printf("quern %s\n", quern_version());
    return cli_finish_output(CLI_OK);
}

const struct cli_command cli_help = {
    .name = "help",
    .words = "[TOPIC]",
    .most_words = 1,
    .summary = "help on a command or a topic",
    .options = no_options,
    .run = help,
};
const struct cli_command cli_version = {
    .name = "version",
    .words = "",
    .most_words = 0,
    .summary = "print the version",
    .options = no_options,
    .run = version,
};
