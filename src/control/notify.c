// SPDX-License-Identifier: GPL-3.0-or-later
//
// notify: one datagram to the socket of the service manager. Contract: see notify.h.
#include "control/notify.h"

#include "base/limits.h"
#include "control/config_value.h"
#include "format/ensure.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@')) return;
    size_t size = strlen(path);
    if (size >= sizeof address.sun_path) return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') address.sun_path[0] = '\0'; // abstract name
    int handle = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (handle < 0) return;
    socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    ssize_t sent = sendto(handle, state, strlen(state), MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, address_size);
    (void)sent;
    (void)close(handle);
}

static int64_t watchdog_every_ns(void)
{
    const char *every = getenv("WATCHDOG_USEC");
    const char *whose = getenv("WATCHDOG_PID");
    int64_t every_us = 0;
    int64_t pid = 0;
    if (every == NULL || !config_value_integer(every, &every_us)) return 0;
    if (whose != NULL && (!config_value_integer(whose, &pid) || pid != getpid())) return 0;
    if (every_us <= 0 || every_us > INT64_MAX / LIMIT_MICROSECOND_NS) return 0;
    return every_us * LIMIT_MICROSECOND_NS;
}

void notify_watchdog_init(struct notify_watchdog *watchdog, int64_t monotonic_ns)
{
    ensure(monotonic_ns > 0);
    // The first heartbeats come a tick after the shards' start.
    *watchdog = (struct notify_watchdog){.every_ns = watchdog_every_ns(),
                                         .after_ns = monotonic_ns + LIMIT_SECOND_NS};
}

static enum notify_verdict watchdog_still(struct notify_watchdog *watchdog, int64_t monotonic_ns)
{
    ensure(watchdog->every_ns > 0);
    if (watchdog->still_ns == 0) {
        watchdog->still_ns = monotonic_ns;
        return NOTIFY_STANDS;
    }
    const bool heard = getenv("NOTIFY_SOCKET") != NULL;
    const bool long_enough = monotonic_ns - watchdog->still_ns >= watchdog->every_ns;
    return !heard && long_enough ? NOTIFY_HANGS : NOTIFY_STOOD;
}

enum notify_verdict notify_watchdog(struct notify_watchdog *watchdog, bool moves,
                                    int64_t monotonic_ns)
{
    ensure(monotonic_ns > 0);
    if (watchdog->every_ns == 0 || monotonic_ns < watchdog->after_ns) return NOTIFY_MOVES;
    if (!moves) return watchdog_still(watchdog, monotonic_ns);
    notify_manager("WATCHDOG=1");
    watchdog->still_ns = 0;
    watchdog->after_ns = monotonic_ns + watchdog->every_ns / 4;
    return NOTIFY_MOVES;
}
