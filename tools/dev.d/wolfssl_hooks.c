// SPDX-License-Identifier: GPL-3.0-or-later
//
// The hooks that the bundled wolfSSL is compiled with (CUSTOM_RAND_GENERATE_SEED and XTIME_MS):
// the system's sources, unless the program has set others.
#include "wolfssl_hooks.h"

#include <stddef.h>
#include <sys/random.h>
#include <time.h>

static wolfssl_seed_function *seed_function;
static wolfssl_time_function *time_function;

void wolfssl_hook_seed_set(wolfssl_seed_function *function)
{
    seed_function = function;
}

void wolfssl_hook_time_set(wolfssl_time_function *function)
{
    time_function = function;
}

int wolfssl_hook_seed(unsigned char *output, unsigned int size)
{
    if (seed_function != NULL) return seed_function(output, size);
    while (size > 0) {
        // 256 bytes are never interrupted nor short once the pool is initialised.
        size_t chunk = size < 256 ? size : 256;
        if (getrandom(output, chunk, 0) != (ssize_t)chunk) return -1;
        output += chunk;
        size -= (unsigned int)chunk;
    }
    return 0;
}

long long wolfssl_hook_time_ms(void *unused)
{
    (void)unused;
    if (time_function != NULL) return time_function();
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
