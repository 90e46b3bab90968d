/* The lapped transform of a plane (codec/lapped16/transform.py): 16 functions of 32 taps along either axis. */
#include "vector.h"

/* TOGETHER: blocks at a time, as many as the registers hold. PARTS: vectors of a block. */
enum { STRIDE = 16, TAPS = 32, TOGETHER = SIMD_WIDTH == 4 ? 2 : 4, PARTS = STRIDE / SIMD_WIDTH };

/* out[16c + k] = sum over i of row[16c + i] · matrix[i, k], matrix (32, 16), for `blocks` blocks c. */
INLINE void along_row(const float *row, const float *matrix, float *out, int blocks)
{
    floats sums[TOGETHER][PARTS] = {{{0}}};
    for (int i = 0; i < TAPS; i++) {
        for (int part = 0; part < PARTS; part++) {
            floats factors = load_floats(matrix + STRIDE * i + SIMD_WIDTH * part);
            for (int b = 0; b < blocks; b++) {
                sums[b][part] += row[STRIDE * b + i] * factors;
            }
        }
    }
    for (int b = 0; b < blocks; b++) {
        for (int part = 0; part < PARTS; part++) {
            store_floats(out + STRIDE * b + SIMD_WIDTH * part, sums[b][part]);
        }
    }
}

INLINE void along_rows(const float *rows, int64_t stride, const float *matrix, float *out, int64_t width,
                       int64_t count)
{
    for (int64_t r = 0; r < count; r++) {
        const float *row = rows + r * stride;
        float *to = out + r * width;
        int64_t at = 0;
        for (; at + STRIDE * TOGETHER <= width; at += STRIDE * TOGETHER) {
            along_row(row + at, matrix, to + at, TOGETHER);
        }
        for (; at < width; at += STRIDE) {
            along_row(row + at, matrix, to + at, 1);
        }
    }
}

/* out[u, x] = sum over t of matrix[u, t] · window[t, x], matrix (16, 32), window (32, width). */
INLINE void along_columns(const float *matrix, const float *window, float *out, int64_t width)
{
    for (int64_t x = 0; x < width; x += SIMD_WIDTH) {
        for (int half = 0; half < STRIDE; half += 8) {
            floats sums[8] = {{0}};
            for (int t = 0; t < TAPS; t++) {
                floats samples = load_floats(window + t * width + x);
                for (int u = 0; u < 8; u++) {
                    sums[u] += matrix[(half + u) * TAPS + t] * samples;
                }
            }
            for (int u = 0; u < 8; u++) {
                store_floats(out + (half + u) * width + x, sums[u]);
            }
        }
    }
}

/* Signal (16h + 16, 16w + 16), its rows `stride` apart, to latents (256, h, w). basis (16, 32), across its
   transpose, channel (16, 16): plane of row and column function. scratch: 48 rows of 16w. */
void KERNEL(lapped_analyse)(const float *signal, int64_t stride, const float *basis, const float *across,
                            const int64_t *channel, int64_t h, int64_t w, float *scratch, float *latents)
{
    int64_t width = STRIDE * w;
    float *window = scratch, *rows = scratch + TAPS * width;
    along_rows(signal, stride, across, window + STRIDE * width, width, STRIDE);
    for (int64_t block = 0; block < h; block++) {
        memcpy(window, window + STRIDE * width, (size_t)(STRIDE * width) * sizeof *window);
        along_rows(signal + STRIDE * (block + 1) * stride, stride, across, window + STRIDE * width, width, STRIDE);
        along_columns(basis, window, rows, width);
        for (int u = 0; u < STRIDE; u++) {
            for (int v = 0; v < STRIDE; v++) {
                float *plane = latents + (channel[STRIDE * u + v] * h + block) * w;
                const float *from = rows + u * width + v;
                for (int64_t c = 0; c < w; c++) {
                    plane[c] = from[STRIDE * c];
                }
            }
        }
    }
}

/* Latents (256, h + 2, w + 2) to signal (16h + 16, 16w + 16). down (16, 32) along columns, across (32, 16) along
   rows. scratch: 48 rows of 16 (w + 2). */
void KERNEL(lapped_restore)(const float *latents, const float *down, const float *across, const int64_t *channel,
                            int64_t h, int64_t w, float *scratch, float *signal)
{
    int64_t width = STRIDE * (w + 2), wide = STRIDE * (w + 1);
    float *window = scratch, *rows = scratch + TAPS * width;
    for (int64_t block = 0; block < h + 2; block++) {
        memcpy(window, window + STRIDE * width, (size_t)(STRIDE * width) * sizeof *window);
        for (int u = 0; u < STRIDE; u++) {
            for (int v = 0; v < STRIDE; v++) {
                const float *plane = latents + (channel[STRIDE * u + v] * (h + 2) + block) * (w + 2);
                float *to = window + (STRIDE + u) * width + v;
                for (int64_t c = 0; c < w + 2; c++) {
                    to[STRIDE * c] = plane[c];
                }
            }
        }
        if (block > 0) {
            along_columns(down, window, rows, width);
            along_rows(rows, width, across, signal + STRIDE * (block - 1) * wide, wide, STRIDE);
        }
    }
}
