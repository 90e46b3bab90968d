/* Between coefficients in their places and indices in coding order. */
#include "common.h"

/* Number of each class; four rows of counters, because one would wait for itself where classes repeat. */
void KERNEL(histogram)(const uint8_t *cls, int64_t n, int64_t *counts)
{
    for (int64_t i = 0; i < n; i++) {
        counts[(i & 3) * 256 + cls[i]]++;
    }
}
