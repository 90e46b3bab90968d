/* Logarithm and exponential of our own: numpy's and libm's differ between processors in the last digits.

   Every operation is exactly rounded, so that all processors give the same; loops of them vectorise. Errors stay
   under 1.5 units in the last place (log: of the larger of the result and 1). */
#ifndef SARZIP_MATHS_H
#define SARZIP_MATHS_H

#include "common.h"

INLINE int32_t bits_of_float(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

INLINE float float_of_bits(int32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE int64_t bits_of_double(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

INLINE double double_of_bits(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Natural logarithm: x = 2^k·(1 + f), √½ <= 1 + f < √2; with s = f / (2 + f), ln(1 + f) = 2 artanh s =
   f − f²/2 + s·(f²/2 + rest), the rest a series in s². Zero gives −inf, what is negative NaN. */
INLINE double log_of(double x)
{
    int tiny = x < 2.2250738585072014e-308; /* subnormal numbers are scaled up */
    int64_t bits = bits_of_double(tiny ? x * 18014398509481984.0 : x);
    int64_t exponent = (bits - 0x3FE6A09E667F3BCD + ((int64_t)1024 << 52)) >> 52; /* + 1024: not negative */
    double f = double_of_bits(bits - ((exponent - 1024) << 52)) - 1.0;
    /* To a double without a conversion, which not every processor has in vectors: in the low bits of 2^52. */
    double k = double_of_bits(exponent | 0x4330000000000000) - (4503599627370496.0 + 1024.0);
    k -= tiny ? 54.0 : 0.0;
    double s = f / (2.0 + f), q = s * s, half = 0.5 * f * f, rest = 2.0 / 21;
    rest = rest * q + 2.0 / 19;
    rest = rest * q + 2.0 / 17;
    rest = rest * q + 2.0 / 15;
    rest = rest * q + 2.0 / 13;
    rest = rest * q + 2.0 / 11;
    rest = rest * q + 2.0 / 9;
    rest = rest * q + 2.0 / 7;
    rest = rest * q + 2.0 / 5;
    rest = rest * q + 2.0 / 3;
    /* ln 2 in two parts, so that k times the first is exact. */
    double low = s * (half + q * rest) + k * 1.90821492927058770002e-10;
    double found = k * 0.693147180369123816490 - ((half - low) - f);
    found = x > 0 ? found : __builtin_nan("");
    found = x == 0 ? -__builtin_inf() : found;
    return x == __builtin_inf() ? x : found;
}

INLINE float log_of_float(float x)
{
    int tiny = x < 1.17549435e-38f;
    int32_t bits = bits_of_float(tiny ? x * 8388608.0f : x);
    int32_t exponent = (bits - 0x3F3504F3) >> 23;
    float f = float_of_bits(bits - (int32_t)((uint32_t)exponent << 23)) - 1.0f;
    float k = (float)(exponent - (tiny ? 23 : 0));
    float s = f / (2.0f + f), q = s * s, half = 0.5f * f * f, rest = 2.0f / 9;
    rest = rest * q + 2.0f / 7;
    rest = rest * q + 2.0f / 5;
    rest = rest * q + 2.0f / 3;
    float low = s * (half + q * rest) + k * 9.0580006145e-06f;
    float found = k * 6.9313812256e-01f - ((half - low) - f);
    found = x > 0 ? found : __builtin_nanf("");
    found = x == 0 ? -__builtin_inff() : found;
    return x == __builtin_inff() ? x : found;
}

/* e^x: x = k·ln 2 + r, |r| <= ln(2)/2, e^r by its Taylor series, times 2^k in two steps: it may lie beyond what
   one number holds where 2^(k/2) does not. */
INLINE double exp_of(double x)
{
    double inside = x > -746.0 ? x : -746.0;
    inside = inside < 710.0 ? inside : 710.0;
    double shifted = inside * 1.4426950408889634 + 6755399441055744.0; /* 1.5·2^52: rounds to a whole number */
    int64_t k = bits_of_double(shifted) - bits_of_double(6755399441055744.0) + 2048; /* not negative */
    double whole = shifted - 6755399441055744.0;
    double r = (inside - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    int64_t first = (int64_t)((uint64_t)k >> 1);
    p *= double_of_bits((first - 1024 + 1023) << 52);
    p *= double_of_bits((k - first - 1024 + 1023) << 52);
    return x == x ? p : x;
}

INLINE float exp_of_float(float x)
{
    float inside = x > -104.0f ? x : -104.0f;
    inside = inside < 89.0f ? inside : 89.0f;
    float shifted = inside * 1.44269504f + 12582912.0f; /* 1.5·2^23 */
    int32_t k = bits_of_float(shifted) - bits_of_float(12582912.0f);
    float whole = shifted - 12582912.0f;
    float r = (inside - whole * 6.93145752e-01f) - whole * 1.42860677e-06f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t first = k >> 1;
    p *= float_of_bits((first + 127) << 23);
    p *= float_of_bits((k - first + 127) << 23);
    return x == x ? p : x;
}

#endif
