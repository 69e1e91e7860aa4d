/* main.c - argv to command to exit status. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_command *const cli_commands[] = {&cli_run,  &cli_plan, &cli_path,   &cli_emulate,
                                                  &cli_init, &cli_help, &cli_version};
const size_t cli_command_count = sizeof cli_commands / sizeof *cli_commands;

int cli_fail(int status, const char *format, ...)
{
    va_list list;

    fputs("quern: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return status;
}

int cli_finish_output(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    if (errno == EPIPE) return CLI_PIPE_CLOSED;
    return cli_fail(CLI_FAILED, "cannot write to stdout: %s", strerror(errno ? errno : EIO));
}

const struct cli_command *cli_find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (!strcmp(cli_commands[i]->name, name)) return cli_commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[16];
    const char *near;

    for (size_t i = 0; i < cli_command_count; i++) names[i] = cli_commands[i]->name;
    near = cli_nearest(name, names, cli_command_count);
    if (near) return cli_fail(CLI_USAGE, "unknown command '%s'; did you mean '%s'?", name, near);
    return cli_fail(CLI_USAGE, "unknown command '%s'; 'quern help' lists them", name);
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    static struct cli_args args;
    struct qn_err err;

    if (cli_args_parse(command->options, command->most_words, argc, argv, &args, &err) < 0)
        return cli_fail(CLI_USAGE, "%s: %s; see 'quern help %s'", command->name, err.text, command->name);
    if (cli_args_has(&args, "help")) {
        cli_print_command(command);
        return cli_finish_output(CLI_OK);
    }
    return command->run(&args);
}

int main(int argc, char **argv)
{
    const struct cli_command *command;

    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is told by write */
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
    if (argc < 2) {
        cli_print_overview(1);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) argv[1] = "help";
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) argv[1] = "version";
    command = cli_find(argv[1]);
    return command ? run_command(command, argc - 2, argv + 2) : unknown_command(argv[1]);
}
