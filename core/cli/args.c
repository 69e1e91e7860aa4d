#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json/write.h"

#define LONGEST_NAME 40

/* Number of single changes (insert, remove, replace) from a to b; LONGEST_NAME for long words. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t row[LONGEST_NAME + 1];

    if (n >= LONGEST_NAME || m >= LONGEST_NAME) return LONGEST_NAME;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *wanted, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(wanted) > 3 ? 3 : 2; /* one change for short words, two for others */

    for (size_t i = 0; i < count; i++) {
        size_t changes = distance(wanted, words[i]);
        if (changes < least) {
            least = changes;
            best = words[i];
        }
    }
    return best;
}

static int unknown(const struct cli_option *table, const char *name, size_t size, struct qn_err *err)
{
    const char *names[64];
    size_t count = 0;
    char wanted[LONGEST_NAME];
    const char *near;

    for (; table[count].name && count < 64; count++) names[count] = table[count].name;
    if (size >= sizeof wanted) size = sizeof wanted - 1;
    memcpy(wanted, name, size);
    wanted[size] = 0;
    near = cli_nearest(wanted, names, count);
    if (near) return qn_fail(err, QN_EINVAL, "unknown option --%s; did you mean --%s?", wanted, near);
    return qn_fail(err, QN_EINVAL, "unknown option --%s", wanted);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strlen(value);

    for (const char *at = choices; at && *at;) {
        size_t length = strcspn(at, "|");
        if (length == size && !memcmp(at, value, size)) return true;
        at += length + (at[length] == '|');
    }
    return false;
}

static int check_number(const struct cli_option *option, const char *value, struct qn_err *err)
{
    char *end;
    long long number, least = option->kind == CLI_NUMBER ? 1 : 0;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < least || number > 1000000000LL)
        return qn_fail(err, QN_EINVAL, "--%s takes a whole number from %lld on, not '%s'", option->name, least, value);
    return 0;
}

static int check_value(const struct cli_option *option, const char *value, struct qn_err *err)
{
    switch (option->kind) {
    case CLI_NUMBER:
    case CLI_COUNT: return check_number(option, value, err);
    case CLI_PAIR: {
        const char *equal = strchr(value, '=');
        if (equal && equal != value) return 0;
        return qn_fail(err, QN_EINVAL, "--%s takes KEY=VALUE, not '%s'", option->name, value);
    }
    case CLI_CHOICE:
        if (is_choice(option->choices, value)) return 0;
        return qn_fail(err, QN_EINVAL, "--%s is one of %s, not '%s'", option->name, option->choices, value);
    case CLI_TEXT:
        if (*value) return 0;
        return qn_fail(err, QN_EINVAL, "--%s takes a %s; it is empty", option->name, option->value);
    case CLI_FLAG: break;
    }
    return 0;
}

static int add_given(struct cli_args *out, const struct cli_option *option, const char *value, struct qn_err *err)
{
    int rc = value ? check_value(option, value, err) : 0;

    if (rc < 0) return rc;
    if (out->given_count == CLI_MOST_GIVEN) return qn_fail(err, QN_EINVAL, "more than %d options", CLI_MOST_GIVEN);
    out->given[out->given_count++] = (struct cli_given){option, value};
    return 0;
}

/* Takes the value from after '=' or from the next word; *used counts the words taken. */
static int take(const struct cli_option *option, const char *attached, const char *next, struct cli_args *out,
                int *used, struct qn_err *err)
{
    *used = 1;
    if (option->kind == CLI_FLAG) {
        if (attached) return qn_fail(err, QN_EINVAL, "--%s takes no value", option->name);
        return add_given(out, option, NULL, err);
    }
    if (attached) return add_given(out, option, attached, err);
    if (!next) return qn_fail(err, QN_EINVAL, "--%s needs a value: --%s %s", option->name, option->name, option->value);
    *used = 2;
    return add_given(out, option, next, err);
}

static int take_long(const struct cli_option *table, const char *word, const char *next, struct cli_args *out,
                     int *used, struct qn_err *err)
{
    const char *name = word + 2, *equal = strchr(name, '=');
    size_t size = equal ? (size_t)(equal - name) : strlen(name);

    for (const struct cli_option *option = table; option->name; option++)
        if (strlen(option->name) == size && !memcmp(option->name, name, size))
            return take(option, equal ? equal + 1 : NULL, next, out, used, err);
    return unknown(table, name, size, err);
}

static int take_short(const struct cli_option *table, const char *word, const char *next, struct cli_args *out,
                      int *used, struct qn_err *err)
{
    for (const struct cli_option *option = table; option->name; option++)
        if (option->letter == word[1]) return take(option, word[2] ? word + 2 : NULL, next, out, used, err);
    return qn_fail(err, QN_EINVAL, "unknown option %s", word);
}

int cli_args_parse(const struct cli_option *table, size_t most_words, int argc, char **argv, struct cli_args *out,
                   struct qn_err *err)
{
    bool only_words = false;
    int i = 0;

    memset(out, 0, sizeof *out);
    while (i < argc) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        int used = 1, rc = 0;

        if (!only_words && !strcmp(word, "--")) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1] == '-') {
            rc = take_long(table, word, next, out, &used, err);
        } else if (!only_words && word[0] == '-' && word[1]) {
            rc = take_short(table, word, next, out, &used, err);
        } else if (out->word_count == most_words || out->word_count == CLI_MOST_WORDS) {
            rc = qn_fail(err, QN_EINVAL, "unexpected '%s'", word);
        } else {
            out->words[out->word_count++] = word;
        }
        if (rc < 0) return rc;
        i += used;
    }
    return 0;
}

const char *cli_args_get(const struct cli_args *args, const char *name)
{
    for (size_t i = args->given_count; i-- > 0;)
        if (!strcmp(args->given[i].option->name, name)) return args->given[i].value ? args->given[i].value : "";
    return NULL;
}

bool cli_args_has(const struct cli_args *args, const char *name)
{
    return cli_args_get(args, name) != NULL;
}

static int add_name(struct qn_buf *out, const char *name, size_t size)
{
    int rc = out->size > 0 && out->data[out->size - 1] != '{' ? qn_buf_add_byte(out, ',') : 0;

    if (rc == 0) rc = qn_json_string(out, name, size);
    return rc < 0 ? rc : qn_buf_add_byte(out, ':');
}

int cli_add_name(struct qn_buf *out, const char *name)
{
    return add_name(out, name, strlen(name));
}

int cli_add_text(struct qn_buf *out, const char *text)
{
    return qn_json_string(out, text, strlen(text));
}

int cli_add_member(struct qn_buf *out, const char *name, const char *text)
{
    int rc = cli_add_name(out, name);

    return rc < 0 ? rc : cli_add_text(out, text);
}

static int add_option(struct qn_buf *out, const struct cli_given *given)
{
    const struct cli_option *option = given->option;
    int rc = cli_add_name(out, option->key);

    if (rc < 0) return rc;
    if (option->kind == CLI_FLAG) return qn_buf_add_str(out, "true");
    if (option->kind == CLI_NUMBER || option->kind == CLI_COUNT)
        return qn_buf_add_fmt(out, "%lld", strtoll(given->value, NULL, 10));
    return cli_add_text(out, given->value);
}

int cli_add_options(struct qn_buf *out, const struct cli_args *args)
{
    int rc = 0;

    for (size_t i = 0; i < args->given_count && rc == 0; i++)
        if (args->given[i].option->key) rc = add_option(out, &args->given[i]);
    return rc;
}

int cli_add_pairs(struct qn_buf *out, const struct cli_args *args, const char *name)
{
    int rc = 0;

    for (size_t i = 0; i < args->given_count && rc == 0; i++) {
        const char *pair = args->given[i].value, *equal;
        if (strcmp(args->given[i].option->name, name) != 0) continue;
        equal = strchr(pair, '=');
        rc = add_name(out, pair, (size_t)(equal - pair));
        if (rc == 0) rc = cli_add_text(out, equal + 1);
    }
    return rc;
}

int cli_add_list(struct qn_buf *out, const struct cli_args *args, const char *name, const char *key)
{
    if (!cli_args_has(args, name)) return 0;
    int rc = cli_add_name(out, key);

    if (rc == 0) rc = qn_buf_add_byte(out, '[');
    for (size_t i = 0, count = 0; i < args->given_count && rc == 0; i++) {
        if (strcmp(args->given[i].option->name, name) != 0) continue;
        if (count++ > 0) rc = qn_buf_add_byte(out, ',');
        if (rc == 0) rc = cli_add_text(out, args->given[i].value);
    }
    return rc < 0 ? rc : qn_buf_add_byte(out, ']');
}
