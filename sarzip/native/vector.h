/* Vectors as wide as the processor's, by the compilers' vector extensions: SIMD_WIDTH numbers of 32 bits.

   A loop over vectors must give the same numbers whatever SIMD_WIDTH is: lanes are independent, or a sum has
   a fixed number of partial sums (16) that are added in a fixed order. */
#ifndef SARZIP_VECTOR_H
#define SARZIP_VECTOR_H

#include "common.h"

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

#endif
