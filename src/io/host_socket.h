// SPDX-License-Identifier: GPL-3.0-or-later
//
// host_socket: TCP sockets of the kernel as io_uring.c needs them. Results: a handle, or a negative
// errno.
#ifndef RINGTAPE_IO_HOST_SOCKET_H
#define RINGTAPE_IO_HOST_SOCKET_H

#include "io/io.h"

enum {
    HOST_SOCKET_ADDRESS_BYTES_MAX = 28, // struct sockaddr_in6
    HOST_SOCKET_BACKLOG = 256,
};

// Writes the kernel's form of the address, HOST_SOCKET_ADDRESS_BYTES_MAX of room; returns its size.
uint32_t host_socket_address(const struct io_address *address, void *room);
// Small commands must leave at once: Nagle's algorithm would hold them for the peer's delayed ACK.
void host_socket_no_delay(int handle);
// A blocking socket: the ring waits for it by itself; with O_NONBLOCK it would answer -EAGAIN.
int host_socket_create(const struct io_address *address);
int host_socket_listen(const struct io_address *address, uint16_t *port);

#endif
