/* call.h - one quern_call with what surrounds it on a command line: signals, log, progress. Main thread only. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "cli/args.h"
#include "cli/event.h"

struct cli_call {
    const char *command;
    const char *options; /* JSON object */
    const char *ca_file; /* or NULL */
    bool allow_insecure;
    bool log_json;
    const char *log_level;                                 /* see cli_log_event; or NULL */
    bool progress;                                         /* show it if stderr is a terminal */
    void (*on_event)(void *user, struct cli_event *event); /* also told of every event; may be NULL */
    void *user;
};

/* Runs it; *result gets the result's JSON text. Returns the exit status. SIGINT and SIGTERM interrupt the call; a
 * second one ends the program at once. */
int cli_call(const struct cli_call *call, struct qn_buf *result);
/* Prints the result's message, if there is one: "quern: ...", or with log_json an event of type "log". */
void cli_print_message(const struct qn_buf *result, bool log_json);
/* The options of a call on a script: {"script":..., members of options with a key, "params":{...}}. NUL-terminated. */
int cli_script_options(const struct cli_args *args, const char *script, struct qn_buf *options);
