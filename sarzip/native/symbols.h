/* Symbols of quantisation indices (codec/entropy/tables.py) and the uniform quantiser. */
#ifndef SARZIP_SYMBOLS_H
#define SARZIP_SYMBOLS_H

#include "common.h"

#define LANES 16 /* paths of dependent quantisation: coefficient i belongs to lane i % LANES */

/* The tables that coding looks at. base, half: by table; shift, order: by class. */
typedef struct {
    const uint32_t *base;
    const int32_t *half;
    const uint8_t *shift, *order;
} alphabet;

/* Symbol row of index k of class c in table t; adds the raw bits that go with it to *raw. */
INLINE uint32_t symbol(int64_t k, int64_t c, int64_t t, const alphabet *of, int64_t *raw)
{
    int64_t shift = of->shift[c], half = of->half[t];
    int64_t value = (k + (((int64_t)1 << shift) >> 1)) >> shift;
    uint64_t place = (uint64_t)(value + half);
    *raw += shift;
    if (place <= (uint64_t)(2 * half)) {
        return of->base[t] + (uint32_t)place + 1;
    }
    int64_t excess = (value < 0 ? -value : value) - half - 1 + ((int64_t)1 << of->order[c]);
    int64_t digits = excess > 1 ? 63 - __builtin_clzll((uint64_t)excess) : 0;
    *raw += 2 + 2 * digits - of->order[c];
    return of->base[t];
}

/* Thresholds of the uniform quantiser, see trellis.uniform_thresholds: rounding is (classes, width). */
typedef struct {
    const float *rounding, *dead;
    int64_t width;
} thresholds;

/* Index of a value of class c with a uniform quantiser of spacing 1. */
INLINE int32_t nearest(float value, int64_t c, const thresholds *of)
{
    float x = __builtin_fabsf(value);
    int32_t low = (int32_t)x;
    int64_t column = least(low, of->width - 1);
    int32_t k = low + (x - (float)low > of->rounding[c * of->width + column]);
    /* Products, because processors guess wrongly which way a choice between such values goes. */
    k *= x >= of->dead[c];
    return k * (1 - 2 * (value < 0));
}

#endif
