/* args.h - options and words of a command, checked against a table.
 *
 * `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`; `--` ends the options. Everything refers to argv, nothing is
 * copied. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum cli_kind {
    CLI_FLAG, /* no value */
    CLI_TEXT,
    CLI_NUMBER, /* a whole number, 1 or more */
    CLI_COUNT,  /* a whole number, 0 or more */
    CLI_PAIR,   /* KEY=VALUE */
    CLI_CHOICE, /* one word of `choices` */
};

struct cli_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    enum cli_kind kind;
    const char *value;   /* its name in the help: "FILE" */
    const char *choices; /* CLI_CHOICE: "csv|ndjson|json" */
    const char *key;     /* member of the call's options, or NULL: the command looks at it itself */
    const char *help;
};

struct cli_given {
    const struct cli_option *option;
    const char *value; /* NULL for a flag */
};

#define CLI_MOST_WORDS 8
#define CLI_MOST_GIVEN 256

struct cli_args {
    const char *words[CLI_MOST_WORDS];
    size_t word_count;
    struct cli_given given[CLI_MOST_GIVEN];
    size_t given_count;
};

/* Reads argv[0 .. argc) (options and words, no program name). The table ends with a zero name. QN_EINVAL with a text
 * that names the option and, if one is near, the option that may have been meant. */
int cli_args_parse(const struct cli_option *table, size_t most_words, int argc, char **argv, struct cli_args *out,
                   struct qn_err *err);
/* The last value given for an option; NULL if it was not given; "" for a flag that was. */
const char *cli_args_get(const struct cli_args *args, const char *name);
bool cli_args_has(const struct cli_args *args, const char *name);

/* Building a JSON object: a member's name (after a comma unless it is the first), and a text. 0 or QN_E... */
int cli_add_name(struct qn_buf *out, const char *name);
int cli_add_text(struct qn_buf *out, const char *text);
int cli_add_member(struct qn_buf *out, const char *name, const char *text);
/* A member for every option that has a key. */
int cli_add_options(struct qn_buf *out, const struct cli_args *args);
/* A member for every KEY=VALUE of the option of that name. */
int cli_add_pairs(struct qn_buf *out, const struct cli_args *args, const char *name);

/* A member with the list of the values of the option of that name; none if it was not given. */
int cli_add_list(struct qn_buf *out, const struct cli_args *args, const char *name, const char *key);

/* The word of the list that differs least, by at most two changes; NULL if none does. */
const char *cli_nearest(const char *wanted, const char *const *words, size_t count);
