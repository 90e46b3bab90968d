/* Loops around the networks of lapped16: hyper-latents, scale classes, tilt. */
#include "common.h"

enum { WEIGHT_BITS = 6, TOP_HIDDEN = 255, SUM_BITS = 10, REACH = 2 };

/* Sums (channels, columns) of whole rows of the padded grid of latents, `wide` each, to classes (channels, h, w)
   from row `first` on, rounded, in 0..top. */
void KERNEL(classify)(const float *sums, int64_t channels, int64_t columns, int64_t wide, const int64_t *bias,
                      int64_t beyond, int64_t top, int64_t first, uint8_t *out, int64_t h, int64_t w)
{
    for (int64_t c = 0; c < channels; c++) {
        int32_t half = (int32_t)bias[c] + (1 << (SUM_BITS - 1)), move = (int32_t)beyond, most_ = (int32_t)top;
        for (int64_t i = 0; i < columns / wide && first + i < h; i++) {
            const float *from = sums + c * columns + i * wide;
            uint8_t *to = out + (c * h + first + i) * w;
            for (int64_t j = 0; j < w; j++) {
                int32_t value = (((int32_t)from[j] + half) >> SUM_BITS) + move;
                value = value < 0 ? 0 : value;
                to[j] = (uint8_t)(value < most_ ? value : most_);
            }
        }
    }
}

/* Sum (count 1/1024) to a hidden integer (count 1/16). */
INLINE float hidden(float total)
{
    float x = total * (1.0f / (1 << WEIGHT_BITS));
    x = x > 0 ? x : 0;
    x = x < TOP_HIDDEN ? x : TOP_HIDDEN;
    return (float)(int32_t)x; /* floor, for it is not negative */
}

/* Sums (channels, n), times the factor and with their bias, to hidden integers in place. */
void KERNEL(activate)(float *sums, int64_t channels, int64_t n, float factor, const float *bias)
{
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < n; i++) {
            sums[c * n + i] = hidden(factor * sums[c * n + i] + bias[c]);
        }
    }
}

/* The same for sums (4·channels, h·width) into (channels, 2h·2·width): four channels are the four positions of
   a 2×2 square. */
void KERNEL(activate_and_shuffle)(const float *sums, int64_t channels, int64_t n, const float *bias,
                                  int64_t width, float *out)
{
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t y = 0; y < n / most(width, 1); y++) {
            for (int down = 0; down < 2; down++) {
                int64_t at = 4 * c + 2 * down;
                const float *left = sums + at * n + y * width, *right = left + n;
                float *to = out + c * 4 * n + 2 * width * (2 * y + down);
                for (int64_t x = 0; x < width; x++) {
                    to[2 * x] = hidden(left[x] + bias[at]);
                    to[2 * x + 1] = hidden(right[x] + bias[at + 1]);
                }
            }
        }
    }
}

/* Planes (channels, h, w) to the 3×3 surroundings of each position (channels, 9, h, w), edges repeated. */
void KERNEL(surround)(const float *planes, int64_t channels, int64_t h, int64_t w, float *around)
{
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t down = 0; down < 3; down++) {
            for (int64_t y = 0; y < h; y++) {
                const float *row = planes + (c * h + least(most(y + down - 1, 0), h - 1)) * w;
                float *left = around + ((c * 9 + 3 * down) * h + y) * w, *same = left + h * w, *right = same + h * w;
                left[0] = row[0];
                memcpy(left + 1, row, (size_t)(w - 1) * sizeof *row);
                memcpy(same, row, (size_t)w * sizeof *row);
                memcpy(right, row + 1, (size_t)(w - 1) * sizeof *row);
                right[w - 1] = row[w - 1];
            }
        }
    }
}

/* Add the magnitudes of every channel (channels, n) to the row of its zone. */
void KERNEL(pool)(const float *units, int64_t channels, int64_t n, const uint8_t *zones, float *sums)
{
    for (int64_t c = 0; c < channels; c++) {
        float *to = sums + zones[c] * n;
        for (int64_t i = 0; i < n; i++) {
            to[i] += __builtin_fabsf(units[c * n + i]);
        }
    }
}

/* Prediction of a hyper-latent from left, above and above-left, weights in 1/16; zero outside. */
INLINE int32_t expected(const int32_t *z, int64_t w, const int32_t *weights, int64_t i, int64_t j)
{
    int32_t left = j ? z[-1] : 0, above = i ? z[-w] : 0, corner = i && j ? z[-w - 1] : 0;
    return (weights[0] * left + weights[1] * above + weights[2] * corner + 8) >> 4;
}

/* Hyper-latents before rounding to integers z and to what is coded of them: the inverse of integrate.
   Differences are rounded towards zero by `zone` more than to the nearest. weights (channels, 3). */
void KERNEL(differences)(const float *values, const int32_t *weights, float zone, int64_t channels, int64_t h,
                         int64_t w, int32_t *z, int32_t *residual)
{
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < h; i++) {
            for (int64_t j = 0; j < w; j++) {
                int64_t at = (c * h + i) * w + j;
                int32_t guess = expected(z + at, w, weights + 3 * c, i, j);
                float found = values[at] - (float)guess, size = __builtin_fabsf(found) + 0.5f - zone;
                int32_t whole = (int32_t)(size > 0 ? size : 0);
                residual[at] = found >= 0 ? whole : -whole;
                z[at] = guess + residual[at];
            }
        }
    }
}

/* Residuals to hyper-latents in place: add the prediction to each. */
void KERNEL(integrate)(int32_t *z, const int32_t *weights, int64_t channels, int64_t h, int64_t w)
{
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < h; i++) {
            for (int64_t j = 0; j < w; j++) {
                int32_t *at = z + (c * h + i) * w + j;
                *at += expected(at, w, weights + 3 * c, i, j);
            }
        }
    }
}

INLINE float smaller(float a, float b) { return a < b ? a : b; }

/* Per channel, of every stride-th of n places: cost (channels, 3) in bits at classes moved by moves − REACH,
   moves and moves + REACH, of the better of the two integers that matter. lengths (count, magnitudes). */
void KERNEL(survey)(const float *coefficients, const uint8_t *classes, int64_t channels, int64_t n,
                    int64_t stride, const int64_t *moves, const float *lengths, int64_t count,
                    int64_t magnitudes, float weight, double *cost)
{
    for (int64_t c = 0; c < channels; c++) {
        double sums[3] = {0};
        for (int64_t i = c % stride; i < n; i += stride) {
            float a = smaller(__builtin_fabsf(coefficients[c * n + i]), (float)(magnitudes - 1));
            int64_t q = least(most((int64_t)(a - 0.25f), 0), magnitudes - 2);
            float error = a - (float)q, stay = weight * error * error, step = weight * (error - 1) * (error - 1);
            for (int m = 0; m < 3; m++) {
                int64_t row = least(most(classes[c * n + i] + moves[c] + REACH * (m - 1), 0), count - 1);
                const float *bits = lengths + row * magnitudes + q;
                sums[m] += smaller(bits[0] + stay, bits[1] + step);
            }
        }
        memcpy(cost + 3 * c, sums, sizeof sums);
    }
}

/* Add moves (channels) to classes (channels, n) in place, within 0..top. */
void KERNEL(shift_classes)(uint8_t *classes, int64_t channels, int64_t n, const int64_t *moves, int64_t top)
{
    for (int64_t c = 0; c < channels; c++) {
        int16_t move = (int16_t)moves[c], highest = (int16_t)top;
        if (move == 0) {
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            int16_t moved = (int16_t)(classes[c * n + i] + move);
            moved = moved > 0 ? moved : 0;
            classes[c * n + i] = (uint8_t)(moved < highest ? moved : highest);
        }
    }
}
