// SPDX-License-Identifier: Apache-2.0
//
// table[k][b] is the CRC of byte b followed by k zero bytes, so eight bytes are eight independent
// look-ups combined by XOR.
#include "format/parquet_crc.h"

#include "format/ensure.h"
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads below take bytes in this order");

void parquet_crc_init(struct parquet_crc *crc)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        crc->table[0][byte] = value;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            const uint32_t before = crc->table[slice - 1][byte];
            crc->table[slice][byte] = before >> 8 ^ crc->table[0][before & 0xff];
        }
    }
    ensure(crc->table[0][1] == 0x77073096u);
}

uint32_t parquet_crc_of(const struct parquet_crc *crc, const void *bytes, size_t size)
{
    ensure(bytes != NULL || size == 0);
    const uint8_t *next = bytes;
    const uint32_t(*t)[256] = crc->table;
    uint32_t value = 0xffffffffu;
    for (; size >= 8; next += 8, size -= 8) {
        uint32_t low, high;
        memcpy(&low, next, 4);
        memcpy(&high, next + 4, 4);
        low ^= value;
        value = t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^
                t[4][low >> 24] ^ t[3][high & 0xff] ^ t[2][high >> 8 & 0xff] ^
                t[1][high >> 16 & 0xff] ^ t[0][high >> 24];
    }
    for (; size > 0; size--) value = value >> 8 ^ t[0][(value ^ *next++) & 0xff];
    return ~value;
}
