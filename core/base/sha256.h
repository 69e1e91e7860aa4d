/* sha256.h - SHA-256 (FIPS 180-4) of a text, by GLib. Any thread. */
#pragma once

#include <stddef.h>

#define QN_SHA256_HEX 65 /* 64 digits, lower case, and the final zero */

/* GLib ends the process when it has no memory for its few hundred bytes. */
void qn_sha256_hex(const char *data, size_t size, char out[static QN_SHA256_HEX]);
