/* url.h - what quern does with URLs: join a path to a base, resolve a next link, compare origins, set parameters.
 *
 * Parsing is libcurl's URL API; around it stand three rules. A path is normalised ("..", ".", "%2e", percent forms
 * of plain characters) before anything is compared or sent. A path reference never leaves the base's path prefix,
 * compared by whole segments. User names in URLs are refused, fragments are dropped, the scheme is http or https.
 *
 * Results are appended to `out`, which the caller owns; after a failure `out` is as before. Pure, any thread.
 * Texts of errors are redacted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct qn_url_pair {
    const char *name, *value;
    size_t name_size, value_size;
};

/* The URL of `reference` under `base` (which may have a path prefix, no query). "/x" is taken under the prefix
 * unless it starts with it; "x" always is; "?q" and "" stay on the base; an absolute URL is kept as it is, and
 * "//host/x" takes the base's scheme: compare origins before sending anything secret there. */
int qn_url_join(const char *base, const char *reference, struct qn_buf *out, struct qn_err *err);
/* A link found in an answer from `current`: "" and "#f" are `current` itself, "?q" its path, "x" its directory, "/x"
 * the origin with the base's prefix as in join. Where current has another origin than base, no prefix applies. */
int qn_url_resolve(const char *base, const char *current, const char *link, struct qn_buf *out, struct qn_err *err);
/* Same scheme, host (letter case apart) and effective port. False if either does not parse. */
bool qn_url_same_origin(const char *a, const char *b);
/* "https://host:443", always with the port. */
int qn_url_origin(const char *url, struct qn_buf *out, struct qn_err *err);
/* url with the parameters set: others keep their place and text, those named in pairs are dropped and then appended
 * in the order of pairs (a name may repeat). Spaces become %20. */
int qn_url_with_query(const char *url, const struct qn_url_pair *pairs, size_t count, struct qn_buf *out,
                      struct qn_err *err);
/* application/x-www-form-urlencoded text of bytes (space is "+"). */
int qn_url_encode(const char *text, size_t size, struct qn_buf *out);
/* The host of url is "localhost" or a loopback address. What a name resolves to is not known here. */
bool qn_url_is_loopback(const char *url);
/* The same for a bare host or address: "localhost", "127.0.0.2", "::1", "[::1]", "::ffff:127.0.0.1". */
bool qn_url_host_is_loopback(const char *host);
