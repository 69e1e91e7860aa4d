/* hash.c - see hash.h. */
#include "base/hash.h"

#include "base/lowest.h"

#define XXH_STATIC_LINKING_ONLY /* a state on the stack */
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the same hash with the vectors that this processor has */
#endif

struct qn_hash qn_hash_bytes(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct qn_hash){.hi = hash.high64, .lo = hash.low64};
}

enum { BLOCK = 16 << 10 }; /* small enough to be in the nearest cache for the second look */

struct qn_hash qn_hash_control(const void *data, size_t size, bool *control)
{
    const unsigned char *bytes = data;
    size_t end = size;
    XXH3_state_t state;
    *control = false;
    while (end > 0 && bytes[end - 1] < ' ') end--;
    XXH3_128bits_reset(&state);
    for (size_t at = 0; at < size; at += BLOCK) {
        size_t n = size - at < BLOCK ? size - at : BLOCK, looked = at >= end ? 0 : end - at < n ? end - at : n;
        XXH3_128bits_update(&state, bytes + at, n);
        if (!*control) *control = qn_lowest_byte(bytes + at, looked) < ' ';
    }
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return (struct qn_hash){.hi = hash.high64, .lo = hash.low64};
}
