// SPDX-License-Identifier: GPL-3.0-or-later
//
// sandbox: see sandbox.h. Files, memory, and the keys of the section `security`.
#include "control/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/config.h"
#include "control/config_http.h"
#include "format/ensure.h"

// ---- configuration ----

#define SECURITY(member) offsetof(struct config, security.member)

const struct config_entry config_security_keys[] = {
    {"seccomp", CONFIG_CHOICE, CONFIG_PUT_SECCOMP, 0, 0, "strict", "strict or off",
     "strict: the running daemon has the system calls that it needs and no others", NULL},
    {"landlock", CONFIG_BOOLEAN, SECURITY(landlock), 0, 0, "on", "on or off",
     "nothing is written, made or removed outside of the store, where the kernel has Landlock",
     NULL},
    {"root", CONFIG_BOOLEAN, SECURITY(root), 0, 0, "off", "on or off",
     "on: running as root is meant, and is no reason for a warning", NULL},
    {0},
};

bool sandbox_put(void *base, const char *text)
{
    struct config_security *security = &((struct config *)base)->security;
    const bool off = strcmp(text, "off") == 0;
    if (!off && strcmp(text, "strict") != 0) return false;
    security->seccomp = off ? SANDBOX_OFF : SANDBOX_STRICT;
    return true;
}

// ---- memory ----

void sandbox_private(void)
{
    ensure(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0); // fails for other values alone
}

bool sandbox_is_root(void)
{
    return geteuid() == 0;
}

// ---- files ----

// As the kernel has them; the headers of a distribution may be older. Each version knows the
// rights before it, too.
#define FILES_RIGHTS_1                                                                             \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FILES_REFER (1ull << 13)     // version 2: rename into another folder
#define FILES_TRUNCATE (1ull << 14)  // version 3
#define FILES_IOCTL_DEV (1ull << 15) // version 5
#define FILES_SCOPE_SIGNAL (1ull << 1) // version 6

struct files_rules { // struct landlock_ruleset_attr of version 6
    uint64_t files;
    uint64_t network;
    uint64_t scoped;
};

static long files_create(const struct files_rules *rules, size_t size, uint32_t flags)
{
    return syscall(SYS_landlock_create_ruleset, rules, size, flags);
}

static struct files_rules files_rules(long version)
{
    struct files_rules rules = {.files = FILES_RIGHTS_1 | LANDLOCK_ACCESS_FS_EXECUTE};
    ensure(version > 0);
    if (version >= 2) rules.files |= FILES_REFER;
    if (version >= 3) rules.files |= FILES_TRUNCATE;
    if (version >= 5) rules.files |= FILES_IOCTL_DEV;
    if (version >= 6) rules.scoped = FILES_SCOPE_SIGNAL;
    return rules;
}

// All but execution and devices below the store.
static int files_allow(int ruleset, const struct files_rules *rules, const char *store)
{
    const uint64_t never = LANDLOCK_ACCESS_FS_EXECUTE | FILES_IOCTL_DEV |
                           LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    struct landlock_path_beneath_attr below = {.allowed_access = rules->files & ~never};
    int error = 0;
    below.parent_fd = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (below.parent_fd < 0) return -errno;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
        error = -errno;
    (void)close(below.parent_fd);
    return error;
}

int sandbox_files(const char *store)
{
    const long version = files_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    ensure(store != NULL);
    if (SANDBOX_SANITIZED || version <= 0) return 0; // not built in, or not switched on
    const struct files_rules rules = files_rules(version);
    const size_t size = version >= 6 ? sizeof rules : version >= 4 ? 2 * sizeof(uint64_t)
                                                                   : sizeof(uint64_t);
    const int ruleset = (int)files_create(&rules, size, 0);
    if (ruleset < 0) return -errno;
    int error = files_allow(ruleset, &rules, store);
    if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) error = -errno;
    if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) error = -errno;
    (void)close(ruleset);
    return error == 0 ? (int)version : error;
}
