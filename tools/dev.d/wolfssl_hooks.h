// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sources of time and randomness of the wolfSSL that set-up builds; compiled into its archive.
// The simulation replaces them to make a run repeatable. Process wide: set before the first
// context. Certificate dates and ticket lifetimes come from wolfSSL's own wc_SetTimeCb().
#ifndef WOLFSSL_HOOKS_H
#define WOLFSSL_HOOKS_H
#ifndef __ASSEMBLER__ // Included on the command line, so by assembly, too.

// Fills `output`; 0 or a negative error. The default is getrandom().
typedef int wolfssl_seed_function(unsigned char *output, unsigned int size);
// Milliseconds since 1970 UTC, for the age of TLS 1.3 tickets. The default is the system's clock.
typedef long long wolfssl_time_function(void);

// NULL brings the default back.
void wolfssl_hook_seed_set(wolfssl_seed_function *function);
void wolfssl_hook_time_set(wolfssl_time_function *function);

// Called by wolfSSL, which is compiled to use these names.
int wolfssl_hook_seed(unsigned char *output, unsigned int size);
long long wolfssl_hook_time_ms(void *unused);

#endif
#endif
