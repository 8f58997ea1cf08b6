// SPDX-License-Identifier: GPL-3.0-or-later
//
// Values are numbers and names without anything to escape.
#include "tools/exchange_sim_fault_log.h"

#include <inttypes.h>

#include "format/ensure.h"

enum { BUFFER_BYTES = 1 << 18 };

bool exchange_sim_fault_log_open(struct exchange_sim_fault_log *log, const char *path)
{
    *log = (struct exchange_sim_fault_log){0};
    if (path == NULL)
        return true;
    log->file = fopen(path, "we");
    return log->file != NULL && setvbuf(log->file, NULL, _IOFBF, BUFFER_BYTES) == 0;
}

bool exchange_sim_fault_log_close(struct exchange_sim_fault_log *log)
{
    if (log->file == NULL)
        return true;
    bool const written = ferror(log->file) == 0;
    return fclose(log->file) == 0 && written;
}

void exchange_sim_fault_log_flush(struct exchange_sim_fault_log *log)
{
    if (log != NULL && log->file != NULL)
        (void)fflush(log->file);
}

bool exchange_sim_fault_log_begin(struct exchange_sim_fault_log *log, int64_t utc_ns,
                                  const char *fault)
{
    ensure(fault != NULL);
    if (log == NULL || log->file == NULL)
        return false;
    (void)fprintf(log->file, "{\"time_ns\":%" PRId64 ",\"fault\":\"%s\"", utc_ns, fault);
    log->lines++;
    return true;
}

void exchange_sim_fault_log_exchange(struct exchange_sim_fault_log *log,
                                     enum exchange_sim_exchange exchange)
{
    ensure(log->file != NULL);
    (void)fprintf(log->file, ",\"exchange\":\"%s\"", exchange_sim_exchange_name(exchange));
}

void exchange_sim_fault_log_number(struct exchange_sim_fault_log *log, const char *key,
                                   int64_t value)
{
    ensure(log->file != NULL && key != NULL);
    (void)fprintf(log->file, ",\"%s\":%" PRId64, key, value);
}

void exchange_sim_fault_log_text(struct exchange_sim_fault_log *log, const char *key,
                                 const char *value)
{
    ensure(log->file != NULL && key != NULL);
    (void)fprintf(log->file, ",\"%s\":\"%s\"", key, value);
}

void exchange_sim_fault_log_seconds(struct exchange_sim_fault_log *log, int64_t ns)
{
    ensure(log->file != NULL && ns >= 0);
    (void)fprintf(log->file, ",\"seconds\":%" PRId64 ".%03d", ns / 1000000000,
                  (int)(ns / 1000000 % 1000));
}

void exchange_sim_fault_log_end(struct exchange_sim_fault_log *log)
{
    ensure(log->file != NULL);
    (void)fputs("}\n", log->file);
}
