/* Loops of training (sarzip/training): symbols of quantised coefficients, and the cost of latents. */
#include "common.h"

enum { LANES = 16, MAGNITUDES = 256 };
static const float STEEPEST = 8.0f; /* bits per step */

/* Count the magnitudes of n indices by class and quantiser: counts (classes, quantisers, magnitudes). */
void KERNEL(count_symbols)(const int32_t *index, const uint8_t *cls, int64_t n, const uint8_t *shift,
                           const uint8_t *following, const uint8_t *quantiser, int64_t *counts,
                           int64_t quantisers, int64_t magnitudes)
{
    uint8_t state[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        int64_t k = index[i], s = state[i % LANES], r = shift[cls[i]], value = (k + ((1 << r) >> 1)) >> r;
        value = least(value < 0 ? -value : value, magnitudes - 1);
        counts[(cls[i] * quantisers + quantiser[s]) * magnitudes + value]++;
        state[i % LANES] = following[2 * s + (k & 1)];
    }
}

INLINE float at_most(float a, float b) { return a < b ? a : b; }
INLINE float at_least(float a, float b) { return a > b ? a : b; }

/* See training/lapped16/rd_cost.py. lengths (classes, MAGNITUDES): bits. The other arrays have n values. */
void KERNEL(latent_cost)(const float *units, const float *classes, int64_t n, const float *lengths, int64_t count,
                         const float *pull, double multiplier, float *cost, float *bits, float *rounded,
                         float *push, float *slope)
{
    float weight = (float)multiplier, top = (float)(count - 1);
    for (int64_t i = 0; i < n; i++) {
        float u = units[i], a = at_most(u < 0 ? -u : u, (float)(MAGNITUDES - 1));
        float place = at_most(at_least(classes[i], 0), top);
        int64_t k = least((int64_t)place, count - 2), low = (int64_t)at_least(a - 0.25f, 0);
        low = least(low, MAGNITUDES - 2);
        const float *here = lengths + k * MAGNITUDES + low, *next = here + MAGNITUDES;
        float part = place - (float)k, slope0 = next[0] - here[0], slope1 = next[1] - here[1];
        float bits0 = here[0] + part * slope0, bits1 = here[1] + part * slope1;
        float e0 = a - (float)low, e1 = e0 - 1;
        float cost0 = bits0 + weight * e0 * e0, cost1 = bits1 + weight * e1 * e1;
        int up = cost1 < cost0;
        float error = up ? e1 : e0, q = (float)low + (float)up;
        float p = pull[k] > 0 ? at_most(a * pull[k], STEEPEST) : 2 * weight * error;
        cost[i] = up ? cost1 : cost0;
        bits[i] = up ? bits1 : bits0;
        slope[i] = up ? slope1 : slope0;
        rounded[i] = u < 0 ? -q : q;
        push[i] = u < 0 ? -p : p;
    }
}
