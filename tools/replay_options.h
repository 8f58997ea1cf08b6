// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_options: what `ringtape replay` was asked for, and the three ways of playing.
//
// Ownership: texts point into argv. Threading: main thread.
#ifndef RINGTAPE_TOOLS_REPLAY_OPTIONS_H
#define RINGTAPE_TOOLS_REPLAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_name.h"
#include "tools/ringtape_query.h"

struct replay_options {
    struct ringtape_query query;
    bool exchange[EXCHANGE_SIM_EXCHANGES]; // is played; none: those that the store has
    int64_t speed_thousandths;             // 0: max
    uint8_t host[4];
    uint16_t port; // of the first exchange; the others follow. 0: any
    const char *certificate_file, *key_file;
    bool plain;
    uint64_t wait_clients;
    uint64_t queue_mib; // for a client that reads slowly
    bool hold, loop, json;
    const char *ports_file;
    bool frames;
    const char *kafka; // brokers; NULL: not
    const char *kafka_prefix;
    const char *kafka_format;
};

// True: go on. False: end with *exit_code; help or the mistake has been printed.
bool replay_options_read(struct replay_options *options, int argc, char **argv, int *exit_code);

// Set by SIGINT and SIGTERM. Each way of playing ends in order then, and with exit code 0.
extern volatile int replay_stop;

// Each returns an exit code.
int replay_serve(const struct replay_options *options);  // as the exchange's server
int replay_frames(const struct replay_options *options); // as lines on standard output
int replay_kafka(const struct replay_options *options);

#endif
