// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_capture: recordings of real exchanges, line by line, in whichever of the known forms
// they were made. The payload comes out byte for byte as it was on the wire.
//
//     <receive time in s, ms, us or ns> <JSON>            hftbacktest and its kin
//     <seconds, float>: <JSON>                            cryptofeed
//     <seconds, float>: b'<JSON as Python bytes>'         cryptofeed, binary frames
//     <URL> <-> <seconds>                                 cryptofeed: connected
//     <URL> <- <seconds>: <text>                          cryptofeed: sent by the client
//     <URL> -> <seconds>: <JSON>                          cryptofeed: REST reply
//     configuration: ...                                  cryptofeed: skipped
//     <JSON>                                              bare lines
//
// A bare or timed {"lastUpdateId":...} is a REST depth reply recorded inline.
//
// Ownership: the whole file is read, unpacked (by the gzip program where the name ends in .gz) and
// kept until exchange_sim_capture_close(); the slices of lines point into it and have 64 readable
// bytes behind them. Threading: one owner. Bound: 1 GiB unpacked.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_CAPTURE_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

enum exchange_sim_capture_kind {
    EXCHANGE_SIM_CAPTURE_MESSAGE,   // a WebSocket message as received
    EXCHANGE_SIM_CAPTURE_REST,      // a REST reply; url is empty where the form has none
    EXCHANGE_SIM_CAPTURE_REQUEST,   // a WebSocket message as sent by the client
    EXCHANGE_SIM_CAPTURE_CONNECTED, // only the URL
    EXCHANGE_SIM_CAPTURE_MALFORMED, // nothing of the above: the whole line
};

struct exchange_sim_capture_line {
    enum exchange_sim_capture_kind kind;
    bool binary;        // was recorded as bytes
    uint32_t number;    // from 1
    int64_t receive_ns; // 0: the form has none
    const uint8_t *text;
    uint32_t size;
    const char *url; // not terminated
    uint32_t url_size;
};

struct exchange_sim_capture;

// NULL on failure, with errno set (EINVAL: gzip refused it; EFBIG).
struct exchange_sim_capture *exchange_sim_capture_open(const char *path);
void exchange_sim_capture_close(struct exchange_sim_capture *capture);
// The next line that is worth anything; false at the end.
bool exchange_sim_capture_next(struct exchange_sim_capture *capture,
                               struct exchange_sim_capture_line *line);
// From the beginning again. Payloads decoded in place stay as they are.
void exchange_sim_capture_rewind(struct exchange_sim_capture *capture);

// A combined-stream frame {"stream":NAME,"data":PAYLOAD}: its two parts, both pointing into the
// text. False where the text has another form.
bool exchange_sim_capture_unwrap(const uint8_t *text, uint32_t size, const char **stream,
                                 uint32_t *stream_size, const uint8_t **payload,
                                 uint32_t *payload_size);

#endif
