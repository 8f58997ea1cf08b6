// SPDX-License-Identifier: GPL-3.0-or-later
//
// Seeded random numbers for property tests (splitmix64). The seed is printed once per use and taken
// from RINGTAPE_SEED if set, so that a failure can be repeated.
#ifndef RINGTAPE_TESTS_PROTOCOL_RANDOM_H
#define RINGTAPE_TESTS_PROTOCOL_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct protocol_random {
    uint64_t state;
};

__attribute__((unused)) static uint64_t random_next(struct protocol_random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// 0..bound-1
__attribute__((unused)) static uint32_t random_below(struct protocol_random *random, uint32_t bound)
{
    return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}

__attribute__((unused)) static struct protocol_random random_start(const char *name)
{
    const char *text = getenv("RINGTAPE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    (void)fprintf(stderr, "%s: RINGTAPE_SEED=%llu\n", name, (unsigned long long)seed);
    return (struct protocol_random){seed};
}

#endif
