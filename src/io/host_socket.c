// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sockets made and bound directly; all waiting on them goes through the ring.
#include "io/host_socket.h"

#include "format/ensure.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct sockaddr_in6) == HOST_SOCKET_ADDRESS_BYTES_MAX, "as the header says");

uint32_t host_socket_address(const struct io_address *address, void *room)
{
    ensure(address != NULL && room != NULL);
    if (address->ipv6) {
        struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
        memcpy(&ipv6.sin6_addr, address->bytes, 16);
        memcpy(room, &ipv6, sizeof ipv6);
        return sizeof ipv6;
    }
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&ipv4.sin_addr, address->bytes, 4);
    memcpy(room, &ipv4, sizeof ipv4);
    return sizeof ipv4;
}

void host_socket_no_delay(int handle)
{
    int one = 1;
    (void)setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int host_socket_create(const struct io_address *address)
{
    int family = address->ipv6 ? AF_INET6 : AF_INET;
    // Not socket(): the ring closes it, which ThreadSanitizer does not see (host_file_read()).
    int handle = (int)syscall(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return -errno;
    host_socket_no_delay(handle);
    return handle;
}

static int host_socket_port(int handle, uint16_t *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } bound;
    socklen_t size = sizeof bound;
    if (getsockname(handle, &bound.any, &size) != 0)
        return -errno;
    *port = ntohs(bound.any.sa_family == AF_INET6 ? bound.ipv6.sin6_port : bound.ipv4.sin_port);
    return 0;
}

int host_socket_listen(const struct io_address *address, uint16_t *port)
{
    ensure(port != NULL);
    union {
        struct sockaddr any;
        char bytes[HOST_SOCKET_ADDRESS_BYTES_MAX];
    } name;
    socklen_t size = host_socket_address(address, &name);
    int handle = host_socket_create(address);
    if (handle < 0)
        return handle;
    int one = 1;
    (void)setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int error = bind(handle, &name.any, size) == 0 && listen(handle, HOST_SOCKET_BACKLOG) == 0
                    ? host_socket_port(handle, port)
                    : -errno;
    if (error == 0)
        return handle;
    (void)close(handle);
    return error;
}
