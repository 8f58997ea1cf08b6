// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape replay: hands over to ringtape-replay, which lies beside this program.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

int ringtape_replay(int argc, char **argv)
{
    static const char program[] = "ringtape-replay";
    char path[RINGTAPE_PATH_BYTES_MAX + sizeof program];
    char **arguments = calloc((size_t)argc + 2, sizeof *arguments);
    const ssize_t size = readlink("/proc/self/exe", path, RINGTAPE_PATH_BYTES_MAX);
    if (arguments == NULL) return ringtape_fail("out of memory");
    ensure(argc >= 0);
    ssize_t folder = size;
    while (folder > 0 && path[folder - 1] != '/') folder--;
    if (folder <= 0) return ringtape_fail("/proc/self/exe: %s", strerror(errno));
    memcpy(path + folder, program, sizeof program);
    arguments[0] = path;
    for (int i = 0; i < argc; i++) arguments[i + 1] = argv[i];
    (void)execv(path, arguments);
    const int code = ringtape_fail("%s: %s; it belongs beside 'ringtape'", path, strerror(errno));
    free(arguments);
    return code;
}
