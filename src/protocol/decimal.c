// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two ways to the same value.
//
// Reference: one pass over the grammar (RFC 8259 section 6) gathers
//     value = significant * 10^(zeros - places + exponent)
// where `significant` is the digits without the zeros at their end, `zeros` the count of those,
// `places` the digits after the point; then the scale is chosen: as spelled if that fits, else the
// smallest. Fast: plain digits with an optional point, at most 18 of them: 16 characters at once in
// a vector register, else eight digits at a time in a 64-bit one; whatever does not look like that
// is left to the reference, errors included.
#include "protocol/decimal.h"

#include "format/ensure.h"
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

// Exponents beyond this cannot matter: the text has at most DECIMAL_TEXT_SIZE_MAX digits.
#define EXPONENT_LIMIT 100000
#define FAST_DIGITS_MAX 18
// Sign, 18 digits, point: the fast way never looks at longer texts as a whole.
#define FAST_SIZE_MAX 20

static const uint64_t power_of_ten[DECIMAL_SCALE_MAX + 1] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
};

_Static_assert(FAST_SIZE_MAX + 8 <= DECIMAL_PADDED_SIZE, "an eight-byte load from any position");

// ---- reference ----------------------------------------------------------------------------------

struct scan {
    const char *at;
    const char *end;
    uint64_t significant;
    uint32_t zeros;
    uint32_t places;
    int32_t exponent;
    bool negative;
    bool overflow;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// value * 10^power, or false if above INT64_MAX.
static bool scale_up(uint64_t *value, uint32_t power)
{
    if (*value == 0)
        return true;
    if (power > DECIMAL_SCALE_MAX)
        return false;
    return !__builtin_mul_overflow(*value, power_of_ten[power], value) && *value <= INT64_MAX;
}

static void scan_digit(struct scan *scan, char c)
{
    ensure(is_digit(c));
    if (c == '0') {
        scan->zeros++;
        return;
    }
    if (!scale_up(&scan->significant, scan->zeros + 1))
        scan->overflow = true;
    else
        scan->significant += (uint64_t)(c - '0');
    if (scan->significant > INT64_MAX)
        scan->overflow = true;
    scan->zeros = 0;
}

// One or more digits; returns how many.
static uint32_t scan_digits(struct scan *scan)
{
    uint32_t count = 0;
    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++, count++)
        scan_digit(scan, *scan->at);
    return count;
}

static bool scan_exponent(struct scan *scan)
{
    if (scan->at == scan->end || (*scan->at != 'e' && *scan->at != 'E'))
        return true;
    scan->at++;
    bool negative = false;
    if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
        negative = *scan->at++ == '-';
    if (scan->at == scan->end || !is_digit(*scan->at))
        return false;
    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++)
        if (scan->exponent < EXPONENT_LIMIT)
            scan->exponent = scan->exponent * 10 + (*scan->at - '0');
    if (negative)
        scan->exponent = -scan->exponent;
    return true;
}

static bool scan_number(struct scan *scan)
{
    if (*scan->at == '-') {
        scan->negative = true;
        scan->at++;
    }
    bool leading_zero = scan->at < scan->end && *scan->at == '0';
    uint32_t count = scan_digits(scan);
    if (count == 0 || (leading_zero && count > 1))
        return false;
    if (scan->at < scan->end && *scan->at == '.') {
        scan->at++;
        scan->places = scan_digits(scan);
        if (scan->places == 0)
            return false;
    }
    return scan_exponent(scan) && scan->at == scan->end;
}

// Chooses the scale for significant * 10^shift, spelled with `spelled` places.
static enum decimal_error choose_scale(uint64_t significant, int32_t shift, int32_t spelled,
                                       uint64_t *mantissa, uint8_t *scale)
{
    int32_t wanted = spelled > 0 ? spelled : 0;
    ensure(shift + wanted >= 0);
    uint64_t value = significant;
    if (wanted <= (int32_t)DECIMAL_SCALE_MAX && scale_up(&value, (uint32_t)(shift + wanted))) {
        *mantissa = value;
        *scale = (uint8_t)wanted;
        return DECIMAL_OK;
    }
    // As spelled it does not fit: without the trailing zeros after the point it may.
    value = significant;
    int32_t least = shift < 0 && significant != 0 ? -shift : 0;
    if (least > (int32_t)DECIMAL_SCALE_MAX)
        return DECIMAL_TOO_PRECISE;
    if (!scale_up(&value, shift > 0 ? (uint32_t)shift : 0))
        return DECIMAL_TOO_LARGE;
    *mantissa = value;
    *scale = (uint8_t)least;
    return DECIMAL_OK;
}

enum decimal_error decimal_parse_reference(const char *text, uint32_t size, int64_t *mantissa,
                                           uint8_t *scale)
{
    if (size == 0)
        return DECIMAL_EMPTY;
    if (size > DECIMAL_TEXT_SIZE_MAX)
        return DECIMAL_TOO_LONG;
    struct scan scan = {.at = text, .end = text + size};
    if (!scan_number(&scan))
        return DECIMAL_MALFORMED;
    if (scan.overflow)
        return DECIMAL_TOO_LARGE;
    uint64_t magnitude = 0;
    int32_t spelled = (int32_t)scan.places - scan.exponent;
    enum decimal_error error =
        choose_scale(scan.significant, (int32_t)scan.zeros - spelled, spelled, &magnitude, scale);
    if (error != DECIMAL_OK)
        return error;
    ensure(magnitude <= INT64_MAX);
    *mantissa = scan.negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return DECIMAL_OK;
}

// ---- fast ---------------------------------------------------------------------------------------

static uint64_t load_8(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

// How many bytes from the first one on are digits, 0..8. The first byte is the lowest.
static uint32_t digits_leading(uint64_t word)
{
    // The high bit of a byte is set where it is above '9' (sum) or below '0' (difference); a borrow
    // can reach only bytes above the first non-digit.
    uint64_t others = ((word + 0x4646464646464646u) | (word - 0x3030303030303030u)) &
                      0x8080808080808080u;
    return others == 0 ? 8 : (uint32_t)__builtin_ctzll(others) / 8;
}

// The value of the first `count` (1..8) bytes, all digits: pairs, then fours, then eight.
static uint64_t digits_value(uint64_t word, uint32_t count)
{
    // The digits move to the high end; zeros come in as leading digits.
    word = (word & 0x0f0f0f0f0f0f0f0fu) << (64 - 8 * count);
    word = word * 10 + (word >> 8);
    return (((word & 0x000000ff000000ffu) * 0x000f424000000064u) +
            (((word >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
           32;
}

// Digits from `at` on, at most 24 and not beyond `end`; value is appended to *value.
static uint32_t take_digits(const char *at, const char *end, uint64_t *value)
{
    uint32_t taken = 0;
    while (taken < FAST_DIGITS_MAX + 1) {
        uint64_t word = load_8(at + taken);
        uint32_t count = digits_leading(word);
        ptrdiff_t left = end - (at + taken);
        if ((ptrdiff_t)count > left)
            count = (uint32_t)left;
        if (count == 0)
            break;
        *value = *value * power_of_ten[count] + digits_value(word, count);
        taken += count;
        if (count < 8)
            break;
    }
    return taken;
}

static inline bool continues_number(char c)
{
    // What nearly always follows comes first.
    if (c == '"' || c == ',')
        return false;
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

// Not inlined: with AVX2 it is the rare way, and would spill registers of the usual one.
__attribute__((noinline)) static uint32_t take_words(const char *text, uint32_t size,
                                                     int64_t *mantissa, uint8_t *scale)
{
    // No load may start beyond the padding that the contract promises.
    const char *end = text + (size < FAST_SIZE_MAX ? size : FAST_SIZE_MAX);
    const char *at = text;
    bool negative = size > 0 && *at == '-';
    at += negative;
    const char *whole = at;
    uint64_t value = 0;
    uint32_t digits = take_digits(at, end, &value);
    at += digits;
    if (digits == 0 || (*whole == '0' && digits > 1))
        return 0;
    uint32_t places = 0;
    if (at < end && *at == '.') {
        places = take_digits(at + 1, end, &value);
        if (places == 0)
            return 0;
        at += 1 + places;
    }
    uint32_t taken = (uint32_t)(at - text);
    if (digits + places > FAST_DIGITS_MAX || (taken < size && continues_number(*at)))
        return 0;
    ensure(value < power_of_ten[FAST_DIGITS_MAX]);
    *mantissa = negative ? -(int64_t)value : (int64_t)value;
    *scale = (uint8_t)places;
    return taken;
}

#ifdef __AVX2__
// The value of 16 bytes, each 0..9, the first the most significant.
static uint64_t vector_value(__m128i digits)
{
    const __m128i tens = _mm_set1_epi16(0x010a);           // 10, 1
    const __m128i hundreds = _mm_set1_epi32(0x00010064);   // 100, 1
    const __m128i myriads = _mm_set1_epi32(0x00012710);    // 10000, 1
    __m128i pairs = _mm_maddubs_epi16(digits, tens);
    __m128i fours = _mm_madd_epi16(pairs, hundreds);
    __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), myriads);
    uint64_t halves = (uint64_t)_mm_cvtsi128_si64(eights);
    return (halves & UINT32_MAX) * 100000000u + (halves >> 32);
}

// A number of at most 16 characters behind its sign. The count of characters, which the next number
// of a message waits for, is known long before the value. UINT32_MAX: longer.
static uint32_t take_vector(const char *text, uint32_t size, int64_t *mantissa, uint8_t *scale)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    uint32_t left = size - negative;
    __m128i bytes = _mm_loadu_si128((const __m128i_u *)at);
    __m128i digits = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    __m128i good = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    // Bit n: character n is no digit of the text; bit 16 is always set.
    uint32_t others = ~(uint32_t)_mm_movemask_epi8(good) | 0xffff0000u;
    if (left < 16)
        others |= UINT32_MAX << left;
    uint32_t whole = (uint32_t)__builtin_ctz(others);
    uint32_t length = whole;
    uint32_t places = 0;
    if (whole < left && at[whole] == '.') {
        length = (uint32_t)__builtin_ctz(others & (others - 1));
        places = length - whole - 1;
    }
    if (length >= 16 && left > 16 && continues_number(at[16]))
        return UINT32_MAX;
    bool bare_point = length > whole && places == 0;
    if (whole == 0 || (*at == '0' && whole > 1) || bare_point ||
        (length < left && continues_number(at[length])))
        return 0;
    // Lane n takes digit n - (16 - count): to the right, the point left out, zeros before.
    uint32_t count = length - (places > 0);
    const __m128i lanes = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i source = _mm_add_epi8(lanes, _mm_set1_epi8((char)(count - 16)));
    source = _mm_sub_epi8(source, _mm_cmpgt_epi8(source, _mm_set1_epi8((char)(whole - 1))));
    int64_t value = (int64_t)vector_value(_mm_shuffle_epi8(digits, source));
    *mantissa = negative ? -value : value;
    *scale = (uint8_t)places;
    return negative + length;
}
#endif

uint32_t decimal_take_padded(const char *text, uint32_t size, int64_t *mantissa, uint8_t *scale)
{
#ifdef __AVX2__
    uint32_t taken = size > 0 ? take_vector(text, size, mantissa, scale) : 0;
    if (taken != UINT32_MAX)
        return taken;
#endif
    return take_words(text, size, mantissa, scale);
}

enum decimal_error decimal_parse_padded(const char *text, uint32_t size, int64_t *mantissa,
                                        uint8_t *scale)
{
    int64_t value = 0;
    uint8_t places = 0;
    bool fast = size > 0 && size <= FAST_SIZE_MAX &&
                decimal_take_padded(text, size, &value, &places) == size;
    if (!fast)
        return decimal_parse_reference(text, size, mantissa, scale);
    *mantissa = value;
    *scale = places;
    return DECIMAL_OK;
}

enum decimal_error decimal_parse(const char *text, uint32_t size, int64_t *mantissa,
                                 uint8_t *scale)
{
    if (size > FAST_SIZE_MAX)
        return decimal_parse_reference(text, size, mantissa, scale);
    char padded[DECIMAL_PADDED_SIZE] = {0};
    if (size > 0)
        memcpy(padded, text, size);
    return decimal_parse_padded(padded, size, mantissa, scale);
}

// ---- text ---------------------------------------------------------------------------------------

uint32_t decimal_format(int64_t mantissa, uint8_t scale, char target[DECIMAL_FORMAT_SIZE_MAX])
{
    ensure(scale <= DECIMAL_SCALE_MAX);
    uint64_t left = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    char reversed[DECIMAL_FORMAT_SIZE_MAX];
    uint32_t size = 0;
    for (uint32_t digits = 0; left > 0 || digits <= scale; digits++) {
        if (digits == scale && scale > 0)
            reversed[size++] = '.';
        reversed[size++] = (char)('0' + left % 10);
        left /= 10;
    }
    if (mantissa < 0)
        reversed[size++] = '-';
    ensure(size <= DECIMAL_FORMAT_SIZE_MAX);
    for (uint32_t i = 0; i < size; i++)
        target[i] = reversed[size - 1 - i];
    return size;
}

const char *decimal_error_text(enum decimal_error error)
{
    switch (error) {
    case DECIMAL_OK:
        return "decimal: ok";
    case DECIMAL_EMPTY:
        return "decimal: empty text";
    case DECIMAL_MALFORMED:
        return "decimal: not a JSON number";
    case DECIMAL_TOO_LONG:
        return "decimal: text above 256 characters";
    case DECIMAL_TOO_LARGE:
        return "decimal: digits do not fit 63 bits";
    case DECIMAL_TOO_PRECISE:
        return "decimal: more than 18 places after the point";
    }
    ensure(!"a decimal_error");
    return "";
}
