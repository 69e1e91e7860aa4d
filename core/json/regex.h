/* regex.h - I-Regexp (RFC 9485), the regular expressions of JSONPath, run by PCRE2. Compiled once, then any thread.
 *
 * The grammar of RFC 9485 is checked here, so that nothing of PCRE2's own leaks through: `\d` and groups with `?` are
 * refused. Only `^` and `$` are anchors, as in the RFC's mappings to other engines. What matching may cost is bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct qn_regex;

/* whole: the expression must match all of a text (match()), else a part of it (search()). QN_ESYNTAX: the pattern,
 * which must be UTF-8, is no I-Regexp; QN_ENOMEM. */
int qn_regex_compile(const char *pattern, size_t size, bool whole, struct qn_regex **out, struct qn_err *err);
void qn_regex_free(struct qn_regex *regex); /* NULL is fine */
/* 1, 0, QN_ELIMIT (it would take too long), QN_ENOMEM. The text must be UTF-8. */
int qn_regex_matches(const struct qn_regex *regex, const char *text, size_t size);
