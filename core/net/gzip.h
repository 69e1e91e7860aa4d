/* gzip.h - a body packed as one gzip member (RFC 1952), for answers of the server. Any thread. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* NULL without memory. */
struct qn_bytes *qn_gzip(const struct qn_bytes *body);
/* Does the value of an Accept-Encoding header allow gzip? Weights other than 0 do not matter. NULL: no. */
bool qn_gzip_accepted(const char *accept_encoding);
