/* Between coefficients in their places and indices in coding order, see codec/entropy/coding_order.py.

   start: (256,) where each class starts in coding order; classes below zero_below are not coded, and theirs
   is the place behind the last coded one. */
#include "symbols.h"

#define CLASSES 256
#define CENTROIDS 4
#define LIMIT ((float)(1 << 28))

/* A coefficient in spacings without what no index can stand for. */
INLINE float clean(float x)
{
    x = x == x ? x : 0;
    x = x > -LIMIT ? x : -LIMIT;
    return x < LIMIT ? x : LIMIT;
}

/* A lattice point of magnitude a of class c, moved by its centroid, times the spacing; k has its sign. A
   product, because processors guess wrongly which way a choice by the sign goes. */
INLINE float value_at(int32_t a, int32_t k, int64_t c, float spacing, const float *centroids)
{
    float sign = (float)(1 - 2 * (int32_t)((uint32_t)k >> 31));
    return sign * (spacing * ((float)a + centroids[c * (CENTROIDS + 1) + least(a, CENTROIDS)]));
}

/* Number of each class; four rows of counters, because one would wait for itself where classes repeat. */
void KERNEL(histogram)(const uint8_t *cls, int64_t n, int64_t *counts)
{
    for (int64_t i = 0; i < n; i++) {
        counts[(i & 3) * CLASSES + cls[i]]++;
    }
}

/* Scaled and cleaned coefficients in coding order; returns the number of outliers in classes that are not
   coded, whose values go to scratch behind the coded ones. */
int64_t KERNEL(gather)(const float *coef, const uint8_t *cls, int64_t n, const int64_t *start,
                       int64_t zero_below, float scale, float outlier, float *u)
{
    int64_t at[CLASSES], outliers = 0;
    memcpy(at, start, sizeof at);
    for (int64_t i = 0; i < n; i++) {
        float x = clean(coef[i] * scale);
        int64_t c = cls[i];
        int coded = c >= zero_below;
        u[at[c]] = x;
        at[c] += coded;
        outliers += !coded & (__builtin_fabsf(x) > outlier);
    }
    return outliers;
}

/* Numbers of 32 bits from coding order to their places; one behind the rest where nothing was coded. */
void KERNEL(scatter)(const uint32_t *points, const uint8_t *cls, int64_t n, const int64_t *start,
                     int64_t zero_below, uint32_t *out)
{
    int64_t at[CLASSES];
    memcpy(at, start, sizeof at);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = cls[i];
        out[i] = points[at[c]];
        at[c] += c >= zero_below;
    }
}

/* All of it at once for a uniform quantiser: symbol rows and indices in coding order, values in place.
   counts: outliers (see gather) and raw bits. */
void KERNEL(uniform)(const float *coef, const uint8_t *cls, int64_t n, const int64_t *start,
                     int64_t zero_below, float scale, float outlier, const float *rounding, const float *dead,
                     int64_t width, const uint32_t *base, const int32_t *half, const uint8_t *shift,
                     const uint8_t *order, float spacing, const float *centroids, uint32_t *rows,
                     int32_t *index, float *out, int64_t *counts)
{
    thresholds limits = {rounding, dead, width};
    alphabet tables = {base, half, shift, order};
    int64_t at[CLASSES], outliers = 0, raw = 0;
    memcpy(at, start, sizeof at);
    for (int64_t i = 0; i < n; i++) {
        float x = clean(coef[i] * scale);
        int64_t c = cls[i];
        if (c < zero_below) {
            out[i] = 0;
            outliers += __builtin_fabsf(x) > outlier;
            continue;
        }
        int64_t place = at[c]++;
        int32_t k = nearest(x, c, &limits);
        rows[place] = symbol(k, c, c, &tables, &raw);
        index[place] = k;
        out[i] = value_at(k < 0 ? -k : k, k, c, spacing, centroids);
    }
    counts[0] = outliers;
    counts[1] = raw;
}

/* Values of n indices in coding order: their lattice points moved by the centroids, times the spacing. */
void KERNEL(values_of)(const int32_t *index, const uint8_t *cls, int64_t n, const uint8_t *following,
                       const uint8_t *quantiser, int64_t states, float spacing, const float *centroids,
                       float *out)
{
    uint8_t state[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        int32_t k = index[i], a = k < 0 ? -k : k;
        if (states > 1) {
            uint8_t *held = state + (i & (LANES - 1));
            a = a + a - ((k != 0) & (quantiser[*held] != 0));
            *held = following[2 * *held | (k & 1)];
        }
        out[i] = value_at(a, k, cls[i], spacing, centroids);
    }
}
