// SPDX-License-Identifier: GPL-3.0-or-later
//
// link_steps: what link.c (states), link_connect.c (the way up), link_receive.c (bytes in) and
// link_send.c (bytes out) call of one another. Private to these files. Core-local.
#ifndef RINGTAPE_CAPTURE_LINK_STEPS_H
#define RINGTAPE_CAPTURE_LINK_STEPS_H

#include "capture/link.h"

#include "format/event.h"

// ---- link.c ----

// Asserts what holds in each state.
void link_check(const struct link *link);
// The connection is of no further use: tells why, hangs up, and comes back after a pause.
// `status`: STATUS_LINK_DOWN, or STATUS_LINK_REFUSED where the exchange said no.
__attribute__((format(printf, 3, 4))) void link_fail(struct link *link, enum status_kind status,
                                                     const char *format, ...);
// The state and its deadline from now.
void link_enter(struct link *link, enum link_state state, int64_t limit_ns);
void link_hear_news(struct link *link, enum link_news news);
// A state that has an open connection in use.
bool link_connected(const struct link *link);
// Says goodbye (close frame, close_notify) and waits a while for the peer's.
void link_drain(struct link *link);
// A link on its way out: what the exchange still says is taken, but changes nothing.
bool link_leaving(const struct link *link);
// Cancels what is in flight; the last callback closes the handle.
void link_hang_up(struct link *link);
// To be called by every callback of a draining link.
void link_settle(struct link *link);
// A successor is wanted; once per connection.
void link_want_renewal(struct link *link);
// Wakes the link at `deadline_ns` (monotonic) at the latest.
void link_wake_by(struct link *link, int64_t deadline_ns);
void link_status(struct link *link, enum status_kind kind, int64_t count, const char *detail);

// ---- link_connect.c ----

// Takes a permit and resolves the name, or waits for the permit.
void link_begin(struct link *link);
// TLS stands: sends the upgrade request.
void link_upgrade(struct link *link);
// The server has agreed to speak WebSocket.
void link_upgraded(struct link *link);
// All requests were sent and nothing speaks against it.
void link_enter_live(struct link *link);
// The exchange has answered or sent data while SUBSCRIBING.
void link_subscribed_by(struct link *link, bool reply);

// ---- link_receive.c ----

void link_receive_start(struct link *link);

// ---- link_send.c ----

// Sends what TLS has ready, unless a send is in flight.
void link_flush(struct link *link);
// Encrypts plaintext of any size. False: the link has failed.
bool link_write(struct link *link, const uint8_t *bytes, uint32_t size);
// One WebSocket frame. False: the link has failed.
bool link_send_frame(struct link *link, enum websocket_opcode opcode, const uint8_t *payload,
                     uint32_t size);
void link_send_close(struct link *link, uint16_t code);
// The next client message, if one is due and allowed: pong, ping, subscription. Returns when to
// come again (INT64_MAX: nothing to do).
int64_t link_talk(struct link *link, int64_t now_ns);
// The next request that takes streams back, as link_talk() (INT64_MAX: all were, or the link has
// failed).
int64_t link_take_back(struct link *link, int64_t now_ns);
// The next request that takes dropped streams back. False: the link has failed.
bool link_send_dropped(struct link *link);
// True when every stream was asked for.
bool link_all_requested(const struct link *link);

#endif
