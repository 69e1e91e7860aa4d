/* cli.h - the commands of the command line, and what they share. Main thread only. */
#pragma once

#include <stddef.h>

#include "cli/args.h"

/* Exit statuses that the command line decides by itself; all others come from quern_call. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130, CLI_PIPE_CLOSED = 141 };

struct cli_command {
    const char *name;
    const char *words; /* "SCRIPT|NAME" for the help; "" if it takes none */
    size_t most_words;
    const char *summary;              /* one line */
    const struct cli_option *options; /* ends with a zero name */
    const char *more;                 /* further help, or NULL */
    int (*run)(const struct cli_args *args);
};

extern const struct cli_command cli_run, cli_plan, cli_path, cli_emulate, cli_init, cli_help, cli_version;
extern const struct cli_command *const cli_commands[];
extern const size_t cli_command_count;

/* The command of that name, or NULL. */
const struct cli_command *cli_find(const char *name);
/* Prints the help of one command on stdout. */
void cli_print_command(const struct cli_command *command);
/* Prints the overview: on stdout for those who asked, on stderr for those who typed something else. */
void cli_print_overview(int to_stderr);

/* Writes "quern: ..." and a line break to stderr; returns status. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout: status, or 141 if its reader went away, or 1 with a message if it cannot be written. */
int cli_finish_output(int status);

/* Options that several commands share. */
#define CLI_HELP_OPTION                                                                                                \
    {                                                                                                                  \
        'h', "help", CLI_FLAG, NULL, NULL, NULL, "this text"                                                           \
    }
#define CLI_PARAM_OPTION                                                                                               \
    {                                                                                                                  \
        'p', "param", CLI_PAIR, "KEY=VALUE", NULL, NULL, "a parameter of the script; may be given again"               \
    }
#define CLI_ENV_OPTION                                                                                                 \
    {                                                                                                                  \
        0, "env-file", CLI_TEXT, "FILE", NULL, "env_file", "NAME=VALUE lines; never overrides the environment"         \
    }
#define CLI_COMPRESS_OPTION                                                                                            \
    {                                                                                                                  \
        0, "compress", CLI_CHOICE, "gzip|zstd|none", "gzip|zstd|none", "compress", "instead of what .gz or .zst says"  \
    }
#define CLI_PLUGIN_OPTION                                                                                              \
    {                                                                                                                  \
        0, "plugin", CLI_TEXT, "FILE", NULL, NULL, "a file that adds columns or changes rows; may be given again"      \
    }
#define CLI_RATE_OPTION                                                                                                \
    {                                                                                                                  \
        0, "rate", CLI_TEXT, "N/min|none", NULL, "rate", "requests a minute (or /s, /h) instead of the script's"       \
    }
#define CLI_LOG_OPTION                                                                                                 \
    {                                                                                                                  \
        0, "log", CLI_CHOICE, "human|json", "human|json", NULL, "json: one event a line on stderr"                     \
    }
