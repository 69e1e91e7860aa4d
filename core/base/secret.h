/* secret.h - a string that does not print itself, and the list of values that must never be printed.
 *
 * A secret's value is registered while the secret, or one derived from it, lives; qn_redact replaces every
 * registered value and its base64 form (at each of the three alignments; also base64url) by "[redacted]", plain,
 * percent-encoded in any manner, with + for a space, or escaped as JSON does. Those that overlap share one mark.
 * Everything that leaves quern as text (log, event, error, progress, summary) passes qn_redact.
 * Values shorter than 4 bytes are not searched for. The registry has a lock: any thread.
 * Memory of a value is wiped before it is freed. */
#pragma once

#include "base/buf.h"

struct qn_secret; /* immutable, reference-counted */

struct qn_secret *qn_secret_new(const char *value, size_t size); /* copies, registers; NULL without memory */
struct qn_secret *qn_secret_ref(struct qn_secret *secret);
void qn_secret_unref(struct qn_secret *secret);
/* The value, for the transport and for derived secrets only. Valid while the reference is held. */
const char *qn_secret_value(const struct qn_secret *secret, size_t *size);
/* A new secret: prefix + value + suffix ("Bearer " .. token). NULL without memory. */
struct qn_secret *qn_secret_concat(const char *prefix, size_t prefix_size, const struct qn_secret *secret,
                                   const char *suffix, size_t suffix_size);
/* A new secret holding base64(user ":" value), for a Basic header. */
struct qn_secret *qn_secret_basic(const struct qn_secret *secret, const char *user, size_t user_size);
/* A new secret holding the application/x-www-form-urlencoded form of the value. */
struct qn_secret *qn_secret_form(const struct qn_secret *secret);

/* Appends text with every registered value redacted. 0 or QN_E...; nothing is appended then. */
int qn_redact(struct qn_buf *out, const char *text, size_t size);
/* True if text holds a registered value or one of its forms (tests, sinks). */
bool qn_secret_found(const char *text, size_t size);
