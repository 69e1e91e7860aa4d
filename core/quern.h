/* quern.h - the embedding API: everything the command line does, from a C program.
 *
 *     struct quern *q = quern_new(&(struct quern_options){ .on_event = print_line });
 *     int exit_status = quern_call(q, "run", "{\"script\":\"details_sliced\",\"params\":{\"from\":\"-1d\"},"
 *                                            "\"output\":\"out.json\"}");
 *     puts(quern_result(q));
 *     quern_free(q);
 *
 * One thread uses a struct quern; quern_interrupt alone may be called from any thread and from signal handlers.
 * Options and results are JSON texts in UTF-8. Compile and link with `pkg-config --cflags --libs quern`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quern;

struct quern_options {   /* zero is a good value for each; texts are copied */
    const char *lib_dir; /* folder that holds quern/init.lua; NULL: the modules compiled into this library or program */
    const char
        *scripts_dir;    /* folder of the scripts that ship; NULL: beside lib_dir, or found from this file's place */
    const char *ca_file; /* PEM file of certificates to trust instead of the system's; NULL: the system's */
    bool allow_insecure; /* http:// to peers that are not loopback */
    /* Called on the thread of quern_call for each event: one JSON object without a line break, with a member "type".
     * Secrets are redacted. `line` is valid during the call. It must not call quern_call or quern_free. */
    void (*on_event)(void *user, const char *line, size_t size);
    /* The types of the events that it is called for, NULL behind the last; borrowed until quern_free. NULL: all. */
    const char *const *event_types;
    void *user;
};

/* NULL options are all zero. NULL without memory. Free with quern_free. */
struct quern *quern_new(const struct quern_options *options);

/* Runs a command to its end and returns its exit status (the table is in the documentation: 0 complete, 1 failed,
 * 2 usage, 3 incomplete, 4 refused by the API, 5 invalid query, 75 deferred, 130 interrupted, 141 reader closed).
 *
 *   "run"    script, params {}, output, format, compress, concurrency, workers, env_file, accept_incomplete, csv_safe,
 *            strict, on_error ("stop", "skip", "quarantine"), quarantine, rate, plugins [paths], listen, audit,
 *            alert_url, wait (true: stay for up to 24 hours while the API is not available)
 *   "plan"   script, params {}, output, format, compress, env_file, rate, plugins; sends nothing
 *   "list"   nothing; the scripts that ship
 *   "serve"  script, params {}, host, port; until it is interrupted
 *   "path"   expression, file ("-" or absent: standard input), paths (true: normalized paths instead of values)
 */
int quern_call(struct quern *q, const char *command, const char *options_json);

/* The result of the last quern_call: a JSON object with "exit", "message" if there is something to say, and what the
 * command gives (the summary of a run, the text of a plan); for "path" with status 0 the JSON array of what was
 * selected. Valid until the next call or quern_free; never NULL ("{}" before the first call). */
const char *quern_result(const struct quern *q);

/* Ends the running call early with status 130; a call that has not begun yet ends as soon as it begins.
 * Async-signal-safe, any thread. */
void quern_interrupt(struct quern *q);

/* Frees everything. Returns how many things of its own were left (handles, tasks, references); 0 is the only good
 * answer. NULL is fine. */
int quern_free(struct quern *q);

/* The folder of quern's own files, which holds lua, scripts and examples. 0, or -1 if it is not found or does not fit.
 */
int quern_home(char *out, size_t size);

/* "0.1.0". Static. */
const char *quern_version(void);

#ifdef __cplusplus
}
#endif
