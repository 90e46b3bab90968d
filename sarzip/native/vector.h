/* Vectors as wide as the processor's, by the compilers' vector extensions: SIMD_WIDTH numbers of 32 bits.

   Wider ones than the processor has go through memory, many times slower: SIMD_WIDTH is all there is.

   A loop over vectors must give the same numbers whatever SIMD_WIDTH is: lanes are independent, or a sum has
   a fixed number of partial sums (16) that are added in a fixed order. */
#ifndef SARZIP_VECTOR_H
#define SARZIP_VECTOR_H

#include "common.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define SIMD_WIDTH 16
#elif defined(__AVX2__)
#define SIMD_WIDTH 8
#else
#define SIMD_WIDTH 4
#endif

typedef float floats __attribute__((vector_size(4 * SIMD_WIDTH), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * SIMD_WIDTH), may_alias));
typedef uint8_t bytes __attribute__((vector_size(SIMD_WIDTH), may_alias));

/* The same where they lie in memory at any address. */
typedef float floats_at __attribute__((vector_size(4 * SIMD_WIDTH), aligned(4), may_alias));
typedef int32_t ints_at __attribute__((vector_size(4 * SIMD_WIDTH), aligned(4), may_alias));
typedef uint8_t bytes_at __attribute__((vector_size(SIMD_WIDTH), aligned(1), may_alias));

INLINE floats load_floats(const float *at) { return *(const floats_at *)at; }
INLINE ints load_ints(const int32_t *at) { return *(const ints_at *)at; }
INLINE bytes load_bytes(const uint8_t *at) { return *(const bytes_at *)at; }
INLINE void store_floats(float *at, floats value) { *(floats_at *)at = value; }
INLINE void store_ints(int32_t *at, ints value) { *(ints_at *)at = value; }
INLINE void store_bytes(uint8_t *at, bytes value) { *(bytes_at *)at = value; }

INLINE floats all_floats(float value) { return (floats){0} + value; }
INLINE ints all_ints(int32_t value) { return (ints){0} + value; }

/* yes where the condition (all bits of a lane) holds, else no. */
INLINE floats choose(ints condition, floats yes, floats no)
{
    return (floats)((condition & (ints)yes) | (~condition & (ints)no));
}

/* a where it is below b, else b. */
INLINE floats lower(floats a, floats b)
{
#if defined(__AVX512F__)
    return (floats)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (floats)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (floats)_mm_min_ps((__m128)a, (__m128)b);
#else
    return choose(a < b, a, b);
#endif
}

INLINE floats magnitude(floats x) { return (floats)((ints)x & INT32_MAX); }

/* Every second element of two vectors in a row. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef SHUFFLE
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ints){__VA_ARGS__})
#endif
#if SIMD_WIDTH == 16
#define EVENS(a, b) SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODDS(a, b) SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#elif SIMD_WIDTH == 8
#define EVENS(a, b) SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODDS(a, b) SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#else
#define EVENS(a, b) SHUFFLE(a, b, 0, 2, 4, 6)
#define ODDS(a, b) SHUFFLE(a, b, 1, 3, 5, 7)
#endif

/* SIMD_WIDTH rows of four numbers, as four columns. */
INLINE void load_every_fourth(const float *at, floats columns[4])
{
    floats a = load_floats(at), b = load_floats(at + SIMD_WIDTH);
    floats c = load_floats(at + 2 * SIMD_WIDTH), d = load_floats(at + 3 * SIMD_WIDTH);
    floats even_low = EVENS(a, b), odd_low = ODDS(a, b), even_high = EVENS(c, d), odd_high = ODDS(c, d);
    columns[0] = EVENS(even_low, even_high);
    columns[1] = EVENS(odd_low, odd_high);
    columns[2] = ODDS(even_low, even_high);
    columns[3] = ODDS(odd_low, odd_high);
}

#endif
