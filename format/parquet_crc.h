// SPDX-License-Identifier: Apache-2.0
//
// parquet_crc: CRC-32 as in zlib, PNG and Parquet page headers (polynomial 0xEDB88320, reflected).
//
// Eight bytes a step by eight tables (slicing-by-8, Kounavis and Berry 2005), or by multiplication
// where the CPU can. The tables are computed into memory of the caller, who owns them. Threading:
// read-only after init.
#ifndef RINGTAPE_FORMAT_PARQUET_CRC_H
#define RINGTAPE_FORMAT_PARQUET_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parquet_crc {
    uint32_t table[8][256];
    bool folds; // the CPU has what it takes; false: tables alone, to the same result
};

void parquet_crc_init(struct parquet_crc *crc);
// CRC-32 of the bytes; that of "123456789" is 0xCBF43926.
uint32_t parquet_crc_of(const struct parquet_crc *crc, const void *bytes, size_t size);

#endif
