// SPDX-License-Identifier: GPL-3.0-or-later
//
// process: what the kernel says of this process: memory, threads, the file system of the store. A
// few files of /proc each; for threads that may wait a moment.
#ifndef RINGTAPE_CONTROL_PROCESS_H
#define RINGTAPE_CONTROL_PROCESS_H

#include <stdint.h>

#include "format/statistics_page.h"

uint64_t process_rss_bytes(void); // 0: not known
// Processor time by name of thread; threads of one name are added up. Returns how many.
uint32_t process_threads(struct statistics_thread threads[STATISTICS_THREADS_MAX]);
// Inode of the pid namespace; 0: not known.
uint64_t process_pid_namespace(void);
// Of the file system that holds `path`; both 0: not known.
void process_disk(const char *path, uint64_t *total_bytes, uint64_t *free_bytes);

#endif
