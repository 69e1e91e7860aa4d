/* quern_path.h - the command "path": JSONPath on a file. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the JSON array of what `expression` selects in the document of `file` ("-": standard input), one node a line;
 * with `paths` their normalized paths as strings instead. QN_ESYNTAX with the column for the expression, or the place
 * for the document; QN_EIO. *usage tells whether the expression is at fault. */
int qn_quern_path(const char *expression, const char *file, bool paths, struct qn_buf *out, bool *usage,
                  struct qn_err *err);
