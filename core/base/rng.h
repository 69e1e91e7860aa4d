/* rng.h - a small seedable generator (xoshiro256**, public domain algorithm by Blackman and Vigna) for
 * jitter and emulated data. Embedded, one thread at a time. */
#pragma once

#include <stdint.h>

struct qn_rng {
    uint64_t s[4];
};

void qn_rng_seed(struct qn_rng *rng, uint64_t seed); /* splitmix64 fills the state */
uint64_t qn_rng_next(struct qn_rng *rng);
double qn_rng_unit(struct qn_rng *rng);                /* [0, 1) */
uint64_t qn_rng_below(struct qn_rng *rng, uint64_t n); /* [0, n), unbiased; n > 0 */
