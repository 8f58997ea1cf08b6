// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: the fast parsers and the reference agree on every text, and what is accepted survives
// formatting and parsing.
#include "format/ensure.h"
#include "protocol/decimal.h"
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > DECIMAL_TEXT_SIZE_MAX + 1)
        return 0;
    char padded[DECIMAL_TEXT_SIZE_MAX + 1 + DECIMAL_PADDED_SIZE];
    memset(padded, '7', sizeof padded);
    if (size > 0)
        memcpy(padded, data, size);
    uint32_t length = (uint32_t)size;
    int64_t mantissa[3] = {0, 0, 0};
    uint8_t scale[3] = {0, 0, 0};
    enum decimal_error reference = decimal_parse_reference(padded, length, &mantissa[0], &scale[0]);
    ensure(decimal_parse((const char *)data, length, &mantissa[1], &scale[1]) == reference);
    ensure(decimal_parse_padded(padded, length, &mantissa[2], &scale[2]) == reference);
    ensure(mantissa[1] == mantissa[0] && scale[1] == scale[0]);
    ensure(mantissa[2] == mantissa[0] && scale[2] == scale[0]);
    if (reference != DECIMAL_OK)
        return 0;
    char text[DECIMAL_FORMAT_SIZE_MAX];
    uint32_t text_size = decimal_format(mantissa[0], scale[0], text);
    ensure(decimal_parse(text, text_size, &mantissa[1], &scale[1]) == DECIMAL_OK);
    ensure(mantissa[1] == mantissa[0] && scale[1] == scale[0]);
    return 0;
}
