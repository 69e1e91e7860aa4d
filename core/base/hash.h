/* hash.h - 128-bit hash of bytes (XXH3, libxxhash) for key comparison inside one run. Not cryptographic. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qn_hash {
    uint64_t hi, lo;
};

struct qn_hash qn_hash_bytes(const void *data, size_t size);

/* The same of bytes that come piece by piece. NULL without memory. */
struct qn_hasher;
struct qn_hasher *qn_hasher_new(void);
void qn_hasher_add(struct qn_hasher *hasher, const void *data, size_t size);
struct qn_hash qn_hasher_hash(const struct qn_hasher *hasher); /* of what came so far */
void qn_hasher_free(struct qn_hasher *hasher);                 /* NULL is fine */
