/* hash.h - 128-bit hash of bytes (XXH3, libxxhash) for key comparison inside one run. Not cryptographic. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct qn_hash {
    uint64_t hi, lo;
};

struct qn_hash qn_hash_bytes(const void *data, size_t size);
