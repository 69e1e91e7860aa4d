/* hash.c - see hash.h. */
#include "base/hash.h"

#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the same hash with the vectors that this processor has */
#endif

struct qn_hash qn_hash_bytes(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (struct qn_hash){.hi = hash.high64, .lo = hash.low64};
}
