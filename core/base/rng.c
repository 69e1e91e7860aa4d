/* rng.c - see rng.h. */
#include "base/rng.h"

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void qn_rng_seed(struct qn_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        rng->s[i] = z ^ (z >> 31);
    }
}

uint64_t qn_rng_next(struct qn_rng *rng)
{
    uint64_t *s = rng->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double qn_rng_unit(struct qn_rng *rng)
{
    return (double)(qn_rng_next(rng) >> 11) * 0x1.0p-53;
}

uint64_t qn_rng_below(struct qn_rng *rng, uint64_t n)
{
    uint64_t threshold = -n % n, word; /* words below it would make small results likelier */
    do {
        word = qn_rng_next(rng);
    } while (word < threshold);
    return word % n;
}
