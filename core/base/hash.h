/* hash.h - 128-bit hash of bytes (XXH3, libxxhash) for key comparison inside one run. Not cryptographic. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qn_hash {
    uint64_t hi, lo;
};

struct qn_hash qn_hash_bytes(const void *data, size_t size);
/* The same, and: is there a byte below a space, but for the last ones? Two questions for which the bytes come into the
 * cache once. */
struct qn_hash qn_hash_control(const void *data, size_t size, bool *control);
