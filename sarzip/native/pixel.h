/* Contexts, network and distributions of the pixel coder (codec/predictive): what its encoder and decoder share.

   Pixels of a strip are visited along wavefronts t = column + 4·row, all pixels of one at once: every causal
   neighbour within three pixels lies on an earlier wavefront. All numbers are integers: levels in 1/32 of the
   group's residual deviation, products of 16 bits summed in 32, so that every processor gets the same. */
#ifndef SARZIP_PIXEL_H
#define SARZIP_PIXEL_H

#include "vector.h"

enum {
    TAPS = 18,   /* causal neighbours with dr² + dc² <= 10 */
    INPUTS = 24, /* those, least-squares prediction, activity, two running means of level and of error */
    HIDDEN = 32,
    OUTPUTS = 3,     /* mean, scale class, shape class */
    SKEW = 4,        /* wavefronts between rows */
    STRIP_ROWS = 256, /* most rows of a strip */
    MARGIN = 4,      /* rows above the strip, and columns beside it */
    RING = 32,       /* wavefronts that are kept */
    SPAN = STRIP_ROWS + MARGIN + 2 * 16,
    PLANES = 5, /* levels, fast and slow mean of levels (×8), of errors (×8) */
    SCALES = 48,
    SHAPES = 12,
    TABLE_STEPS = 768,  /* of a cumulative distribution: -14 to 10 deviations in 1/32 */
    TABLE_LEAST = -448, /* the first of them */
    INVERSE_STEPS = 1024,
    TABLE_BITS = 20,
    TOTAL_BITS = 22,
    FEATURE_MOST = 255,
};

static const int TAP_ROW[TAPS] = {-3, -3, -3, -2, -2, -2, -2, -2, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0};
static const int TAP_COLUMN[TAPS] = {-1, 0, 1, -2, -1, 0, 1, 2, -3, -2, -1, 0, 1, 2, 3, -3, -2, -1};
/* 1/d² of each, 1024 together: the reference that all levels are seen from. */
static const int TAP_WEIGHT[TAPS] = {20, 22, 20, 25, 40, 49, 40, 25, 20, 40, 99, 198, 99, 40, 20, 22, 49, 196};

/* A group's network and distributions, one array each in Python. */
typedef struct {
    const int16_t *weights;      /* layer by layer: for each pair of inputs, for each output, the two weights */
    const int32_t *biases;       /* of all outputs, each layer's after the other */
    const int32_t *coefficients; /* (TAPS) of the least-squares prediction, in 1/128 */
    const int32_t *cumulative;   /* (SHAPES, TABLE_STEPS + 1), of 2^TABLE_BITS */
    const int32_t *inverse;      /* (SHAPES, INVERSE_STEPS + 1): where the cumulative is i / INVERSE_STEPS */
    const int32_t *multiplier;   /* (SCALES): 1/64 of a unit to 1/256 of a table step, times 2^12 */
    const int32_t *back;         /* (SCALES): table steps to 1/64 of a unit, times 2^10 */
} pixel_model;

typedef int32_t pixel_rows[SPAN];

/* The last RING wavefronts of every plane, and the inputs and outputs of one. */
typedef struct {
    pixel_rows ring[PLANES][RING];
    pixel_rows cells[RING]; /* which cell each pixel is in, -1 where it is none */
    pixel_rows mean[4];     /* running means at the pixels of this wavefront, before these are known */
    pixel_rows reference, prediction;
    int32_t inputs[INPUTS / 2][SPAN]; /* pairs of int16 */
    int32_t hidden[2][HIDDEN / 2][SPAN];
    int32_t outputs[OUTPUTS + 1][SPAN];
} pixel_work;

INLINE int64_t clamp(int64_t value, int64_t low, int64_t high) { return least(most(value, low), high); }

INLINE ints ints_least(ints a, ints b)
{
    ints below = a < b;
    return (below & a) | (~below & b);
}

INLINE ints clip_ints(ints x, int32_t low, int32_t high)
{
    return ints_least(-ints_least(-x, all_ints(-low)), all_ints(high));
}

/* Sums of two products of int16 in each lane. */
INLINE ints multiply_pairs(ints a, ints b)
{
#if defined(__AVX512BW__)
    return (ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

INLINE ints pair_of(ints low, ints high) { return (low & 0xFFFF) | (high << 16); }

/* One layer of the network for n pixels (rounded up to whole vectors). Two vectors of pixels share a weight. */
INLINE void layer(const int32_t (*in)[SPAN], int pairs, const int16_t *weights, const int32_t *biases,
                  int outputs, int32_t (*out)[SPAN], int last, int64_t n)
{
    enum { TOGETHER = 4 };
    for (int64_t r = 0; r < n; r += 2 * SIMD_WIDTH) {
        for (int j = 0; j < outputs; j += TOGETHER) {
            ints sums[TOGETHER][2];
            for (int k = 0; k < TOGETHER; k++) {
                sums[k][0] = sums[k][1] = all_ints(biases[j + k]);
            }
            for (int i = 0; i < pairs; i++) {
                ints a = load_ints(in[i] + r), b = load_ints(in[i] + r + SIMD_WIDTH);
                for (int k = 0; k < TOGETHER; k++) {
                    int32_t both;
                    memcpy(&both, weights + 2 * (i * outputs + j + k), sizeof both);
                    ints weight = all_ints(both);
                    sums[k][0] += multiply_pairs(a, weight);
                    sums[k][1] += multiply_pairs(b, weight);
                }
            }
            for (int half = 0; half < 2; half++) {
                int64_t at = r + half * SIMD_WIDTH;
                for (int k = 0; k < TOGETHER; k += 2) {
                    ints low = sums[k][half] >> 7, high = sums[k + 1][half] >> 7;
                    if (last) {
                        store_ints(out[j + k] + at, low);
                        store_ints(out[j + k + 1] + at, high);
                    } else {
                        low = clip_ints(low, 0, FEATURE_MOST);
                        high = clip_ints(high, 0, FEATURE_MOST);
                        store_ints(out[(j + k) / 2] + at, pair_of(low, high));
                    }
                }
            }
        }
    }
}

INLINE const int32_t *ring_row(const pixel_work *of, int plane, int64_t t, int64_t row)
{
    return of->ring[plane][t & (RING - 1)] + row + MARGIN;
}

/* Everything at a level that stands for "nothing known". */
INLINE void start_strip(pixel_work *of, int32_t error)
{
    memset(of, 0, sizeof *of);
    for (int t = 0; t < RING; t++) {
        for (int r = 0; r < SPAN; r++) {
            of->cells[t][r] = -1;
            of->ring[3][t][r] = of->ring[4][t][r] = 8 * error;
        }
    }
}

/* Inputs of the network for n pixels of wavefront t from row `first` on. */
INLINE void gather(pixel_work *of, const int32_t *coefficients, int64_t t, int64_t first, int64_t n)
{
    for (int64_t r = 0; r < n; r += SIMD_WIDTH) {
        ints taps[INPUTS], reference = all_ints(512);
        for (int i = 0; i < TAPS; i++) {
            int64_t from = t + TAP_COLUMN[i] + SKEW * TAP_ROW[i];
            taps[i] = load_ints(ring_row(of, 0, from, first + TAP_ROW[i] + r));
            reference += taps[i] * TAP_WEIGHT[i];
        }
        reference >>= 10;
        ints prediction = all_ints(64), activity = all_ints(0);
        for (int i = 0; i < TAPS; i++) {
            taps[i] = clip_ints(taps[i] - reference, -FEATURE_MOST, FEATURE_MOST);
            prediction += taps[i] * coefficients[i];
            ints sign = taps[i] >> 31;
            activity += (taps[i] ^ sign) - sign;
        }
        taps[TAPS] = clip_ints(prediction >> 7, -FEATURE_MOST, FEATURE_MOST);
        taps[TAPS + 1] = ints_least(activity >> 4, all_ints(FEATURE_MOST));
        for (int k = 0; k < 4; k++) {
            ints west = load_ints(ring_row(of, k + 1, t - 1, first + r));
            ints north = load_ints(ring_row(of, k + 1, t - SKEW, first - 1 + r));
            ints north_east = load_ints(ring_row(of, k + 1, t - SKEW + 1, first - 1 + r));
            ints north_west = load_ints(ring_row(of, k + 1, t - SKEW - 1, first - 1 + r));
            ints mean = (west + north + north_east + north_west) >> 2;
            store_ints(of->mean[k] + r, mean);
            ints seen = (mean >> 3) - (k < 2 ? reference : all_ints(0));
            taps[TAPS + 2 + k] = clip_ints(seen, -FEATURE_MOST, FEATURE_MOST);
        }
        store_ints(of->reference + r, reference);
        store_ints(of->prediction + r, reference + taps[TAPS]);
        for (int i = 0; i < INPUTS; i += 2) {
            store_ints(of->inputs[i / 2] + r, pair_of(taps[i], taps[i + 1]));
        }
    }
}

/* Mean, scale class and shape class of n pixels. */
INLINE void run_network(pixel_work *of, const pixel_model *model, int64_t n)
{
    const int16_t *weights = model->weights;
    const int32_t *biases = model->biases;
    layer(of->inputs, INPUTS / 2, weights, biases, HIDDEN, of->hidden[0], 0, n);
    weights += INPUTS * HIDDEN;
    layer(of->hidden[0], HIDDEN / 2, weights, biases + HIDDEN, HIDDEN, of->hidden[1], 0, n);
    weights += HIDDEN * HIDDEN;
    layer(of->hidden[1], HIDDEN / 2, weights, biases + 2 * HIDDEN, OUTPUTS + 1, of->outputs, 1, n);
}

/* The running means of a wavefront whose levels are known, and what lies beside the strip. width: columns.
   known: 0 where a pixel is no measurement, whose level is the reference. */
INLINE void learn_levels(pixel_work *of, int64_t t, int64_t first, int64_t n, int64_t width)
{
    int slot = (int)(t & (RING - 1));
    const int32_t *level = of->ring[0][slot] + first + MARGIN, *cell = of->cells[slot] + first + MARGIN;
    for (int k = 0; k < 4; k++) {
        int32_t *to = of->ring[k + 1][slot] + first + MARGIN;
        int shift = k & 1 ? 4 : 2;
        for (int64_t r = 0; r < n; r++) {
            int32_t error = level[r] - of->prediction[r];
            error = error < 0 ? -error : error;
            error = error < FEATURE_MOST ? error : FEATURE_MOST;
            int32_t value = 8 * (k < 2 ? level[r] : error), mean = of->mean[k][r];
            to[r] = cell[r] < 0 ? mean : mean + ((value - mean) >> shift);
        }
    }
    int64_t lowest = first + n - 1;
    int starts = t == SKEW * lowest, ends = t - SKEW * first == width - 1;
    for (int beside = 1; beside <= MARGIN; beside++) {
        for (int k = 0; k <= PLANES; k++) {
            pixel_rows *ring = k < PLANES ? of->ring[k] : of->cells;
            if (starts) { /* the first pixel of a row stands for what lies to the left of the next */
                ring[(t + SKEW - beside) & (RING - 1)][lowest + 1 + MARGIN] = ring[slot][lowest + MARGIN];
            }
            if (ends) { /* the last one for what lies to its right */
                ring[(t + beside) & (RING - 1)][first + MARGIN] = ring[slot][first + MARGIN];
            }
        }
    }
}

/* First row of wavefront t in a strip, and how many rows it has. */
INLINE int64_t wavefront(int64_t t, int64_t rows, int64_t width, int64_t *first)
{
    *first = t < width ? 0 : (t - width + SKEW) / SKEW;
    return least(rows - 1, t / SKEW) - *first + 1;
}

#endif
