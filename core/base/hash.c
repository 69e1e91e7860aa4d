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

struct qn_hasher *qn_hasher_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state) XXH3_128bits_reset(state);
    return (struct qn_hasher *)state;
}

void qn_hasher_add(struct qn_hasher *hasher, const void *data, size_t size)
{
    XXH3_128bits_update((XXH3_state_t *)hasher, data, size);
}

struct qn_hash qn_hasher_hash(const struct qn_hasher *hasher)
{
    XXH128_hash_t hash = XXH3_128bits_digest((const XXH3_state_t *)hasher);
    return (struct qn_hash){.hi = hash.high64, .lo = hash.low64};
}

void qn_hasher_free(struct qn_hasher *hasher)
{
    XXH3_freeState((XXH3_state_t *)hasher);
}
