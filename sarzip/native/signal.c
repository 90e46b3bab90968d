/* The signal in decibels (codec/signal): power of cells, and rounding to integers that keeps it. */
#include "maths.h"

enum { CELL = 32, BINS = 256 };

static const float OCTAVES = 0.33219280948873623f; /* of power in a dB: log2(10) / 10 */
static const float HIGHEST_OCTAVE = 115.0f;        /* beyond 346 dB about the centre nothing is told apart */
static const float TOP_WEIGHT = 4.0f;
static const double NEPER = 0.23025850929940458; /* ln(10) / 10 */

/* 10^(db/10) within 3e-7 of itself: 2^f by its Taylor polynomial, |f| <= 1/2. A loop of it vectorises. */
INLINE float power_of(float db)
{
    float x = db * OCTAVES;
    x = x > -HIGHEST_OCTAVE ? x : -HIGHEST_OCTAVE;
    x = x < HIGHEST_OCTAVE ? x : HIGHEST_OCTAVE;
    int32_t whole = (int32_t)(x + 200.5f) - 200;
    float f = x - (float)whole, p = 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    return p * float_of_bits((whole + 127) << 23);
}

INLINE float relative(float db, float floor)
{
    float power = power_of(db) - floor;
    return power > 0 ? power : 0;
}

/* Sums over cells of a part of a signal with rows `stride` apart: rows × columns pixels. classes: not 0 where a
   pixel is no measurement; without, if masked is 0. sums: scratch of a row. */
void KERNEL(cell_power)(const float *signal, int64_t stride, int64_t rows, int64_t columns, float floor,
                        const uint8_t *classes, int64_t masked, float *sums, double *cells)
{
    int64_t across = (columns + CELL - 1) / CELL;
    for (int64_t top = 0; top < rows; top += CELL) {
        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (int64_t y = top; y < least(top + CELL, rows); y++) {
            const float *row = signal + y * stride;
            const uint8_t *flags = classes + y * columns;
            if (!masked) {
                for (int64_t x = 0; x < columns; x++) {
                    sums[x] += relative(row[x], floor);
                }
            } else {
                for (int64_t x = 0; x < columns; x++) {
                    sums[x] += flags[x] ? 0 : relative(row[x], floor);
                }
            }
        }
        for (int64_t j = 0; j < across; j++) {
            double total = 0;
            for (int64_t x = CELL * j; x < least(CELL * j + CELL, columns); x++) {
                total += sums[x];
            }
            cells[top / CELL * across + j] = total;
        }
    }
}

INLINE float weight_of(float power) { return power < TOP_WEIGHT ? power : TOP_WEIGHT; }

INLINE double sum_of(const float *values, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        total += values[i];
    }
    return total;
}

/* Gain g with power · exp(neper · g · w) summing up to the power a cell is to have, from the sums of p, p·w,
   p·w², p·w³, to third order in g. */
INLINE double gain_for(double total, double first, double second, double third, double wanted_db)
{
    double goal = total * (exp_of(NEPER * wanted_db) - 1.0), gain = goal / first;
    for (int round = 0; round < 4; round++) {
        double value = gain * (first + gain * (second / 2.0 + gain * third / 6.0)) - goal;
        gain -= value / (first + gain * (second + gain * third / 2.0));
    }
    return gain;
}

/* See codec/signal/cell_power.py: signal (rows, columns) shifted in place, so that the power of its cells changes
   by `cells`, in 0.1 dB. */
void KERNEL(shift_cells)(float *signal, int64_t rows, int64_t columns, float floor, const uint8_t *classes,
                         int64_t masked, const int16_t *cells)
{
    int64_t across = (columns + CELL - 1) / CELL;
    float power[CELL][CELL], moments[4][CELL]; /* sums over the rows of a cell, by column */
    for (int64_t cell = 0; cell < (rows + CELL - 1) / CELL * across; cell++) {
        if (cells[cell] == 0) {
            continue;
        }
        int64_t top = CELL * (cell / across), left = CELL * (cell % across), count = 0;
        int64_t high = least(CELL, rows - top), wide = least(CELL, columns - left);
        memset(moments, 0, sizeof moments);
        for (int64_t y = 0; y < high; y++) {
            const float *row = signal + (top + y) * columns + left;
            const uint8_t *flags = classes + (top + y) * columns + left;
            for (int64_t x = 0; x < wide; x++) {
                power[y][x] = relative(row[x], floor);
            }
            for (int64_t x = 0; masked && x < wide; x++) {
                power[y][x] = flags[x] ? 0 : power[y][x];
            }
            for (int64_t x = 0; x < wide; x++) {
                moments[0][x] += power[y][x];
                count += power[y][x] > 0;
            }
        }
        double total = sum_of(moments[0], wide);
        if (count == 0 || total == 0.0) {
            continue;
        }
        double wanted = 0.1 * cells[cell], within = wanted < -1 ? -1 : wanted > 1 ? 1 : wanted;
        double constant = wanted - within;
        float scale = (float)((double)count / total);
        for (int64_t y = 0; y < high; y++) {
            for (int64_t x = 0; x < wide; x++) {
                float weight = weight_of(power[y][x] * scale), once = power[y][x] * weight;
                moments[1][x] += once;
                moments[2][x] += once * weight;
                moments[3][x] += once * weight * weight;
            }
        }
        double first = sum_of(moments[1], CELL), second = sum_of(moments[2], CELL);
        double gain = gain_for(total, first, second, sum_of(moments[3], CELL), within);
        float slope = (float)(gain / NEPER), offset = (float)constant;
        for (int64_t y = 0; y < high; y++) {
            float *row = signal + (top + y) * columns + left;
            for (int64_t x = 0; x < wide; x++) {
                row[x] += offset + slope * weight_of(power[y][x] * scale);
            }
        }
    }
}

/* To the nearest whole number, ties to even: valid below 2^22. */
INLINE float rounded(float x) { return (x + 12582912.0f) - 12582912.0f; }

/* See codec/signal/integer_rounding.py: values (rows, columns), not negative, rounded in place in the cells that
   need it. up, down: ratios of power that are allowed; highest: mean from which on nothing is needed. */
void KERNEL(level_cells)(float *values, int64_t rows, int64_t columns, const uint8_t *classes, int64_t masked,
                         int64_t squared, double up, double down, double highest)
{
    for (int64_t cell = 0; cell < (rows + CELL - 1) / CELL * ((columns + CELL - 1) / CELL); cell++) {
        int64_t across = (columns + CELL - 1) / CELL, top = CELL * (cell / across), left = CELL * (cell % across);
        int64_t bottom = least(top + CELL, rows), right = least(left + CELL, columns), count = 0;
        double wanted = 0, found = 0, mean = 0, gains[BINS] = {0};
        for (int64_t y = top; y < bottom; y++) {
            for (int64_t at = y * columns + left; at < y * columns + right; at++) {
                if (!masked || !classes[at]) {
                    double value = values[at], whole = __builtin_rint(value);
                    wanted += squared ? value * value : value;
                    found += squared ? whole * whole : whole;
                    mean += value;
                    count++;
                }
            }
        }
        if (count == 0 || mean >= highest * (double)count || (down * wanted <= found && found <= up * wanted)) {
            continue;
        }
        /* 1: too low, round up what was rounded down; −1: the other way */
        float side = found < wanted ? 1.0f : -1.0f;
        double missing = __builtin_fabs(wanted * (side > 0 ? down : up) - found);
        for (int64_t y = top; y < bottom; y++) {
            for (int64_t at = y * columns + left; at < y * columns + right; at++) {
                if (!masked || !classes[at]) {
                    float whole = rounded(values[at]), off = side * (values[at] - whole);
                    if (off > 0 && (side > 0 || whole > 0)) {
                        float gain = squared ? 2 * whole * side + 1 : 1;
                        gains[least((int64_t)(off * 2 * BINS), BINS - 1)] += __builtin_fabsf(gain);
                    }
                }
            }
        }
        int first = BINS - 1;
        while (first > 0 && missing > gains[first]) {
            missing -= gains[first--];
        }
        for (int64_t y = top; y < bottom; y++) {
            for (int64_t at = y * columns + left; at < y * columns + right; at++) {
                float whole = rounded(values[at]), off = side * (values[at] - whole);
                if ((!masked || !classes[at]) && off > 0 && (side > 0 || whole > 0)) {
                    int64_t place = least((int64_t)(off * 2 * BINS), BINS - 1);
                    if (place > first || (place == first && missing > 0)) {
                        missing -= place == first ? (squared ? __builtin_fabsf(2 * whole * side + 1) : 1.0) : 0.0;
                        whole += side;
                    }
                }
                if (!masked || !classes[at]) {
                    values[at] = whole;
                }
            }
        }
    }
}

/* out[i] = table[values[i]], of 8 or 16 bits. */
void KERNEL(look_up_bytes)(const float *table, const uint8_t *values, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = table[values[i]];
    }
}

void KERNEL(look_up_words)(const float *table, const uint16_t *values, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = table[values[i]];
    }
}
