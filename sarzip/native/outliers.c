/* Outliers (codec/streams/outliers.py): pixels that no transform of a neighbourhood can tell cheaply. */
#include "binary.h"

enum { CELL = 32, MOST_POINTS = 24, LEAST_BODY = 256, REACH = 8 };
static const double POINT_DB = 10.0, POINT_SPREADS = 9.0, RAMP_DB = 6.0, RAMP_SPREADS = 10.0;

INLINE double larger(double a, double b) { return a > b ? a : b; }

/* A plane of decibels and its class map, both `width` wide. */
typedef struct {
    float *signal;
    uint8_t *classes;
    int64_t width;
} plane;

/* Mean of the pixels of a cell that do not stand out by POINT_DB; *level: from which one is a point. */
static double body(const plane *of, int64_t top, int64_t bottom, int64_t left, int64_t right, double *level)
{
    double mean = 0.0, squares = 0.0, rough;
    int64_t count = 0;
    for (int64_t y = top; y < bottom; y++) {
        for (int64_t at = y * of->width + left; at < y * of->width + right; at++) {
            if (!of->classes[at]) {
                mean += of->signal[at];
                count++;
            }
        }
    }
    rough = mean / (double)most(count, 1) + POINT_DB;
    mean = 0.0;
    count = 0;
    for (int64_t y = top; y < bottom; y++) {
        for (int64_t at = y * of->width + left; at < y * of->width + right; at++) {
            float value = of->signal[at];
            if (!of->classes[at] && value < rough) {
                mean += value;
                squares += value * value;
                count++;
            }
        }
    }
    if (count < LEAST_BODY) {
        *level = __builtin_inf();
        return mean;
    }
    mean /= (double)count;
    double spread = __builtin_sqrt(larger(squares / (double)count - mean * mean, 0.0));
    *level = mean + larger(POINT_DB, POINT_SPREADS * spread);
    return mean;
}

/* Number of points, which get the class `number` and are replaced; what they were goes to places and raw.
   columns: three rows of scratch. */
int64_t KERNEL(find_points)(float *signal, uint8_t *classes, int64_t rows, int64_t width, int64_t number,
                            int64_t *places, float *raw, float *columns)
{
    plane of = {signal, classes, width};
    float *highest = columns, *total = columns + width, *squares = columns + 2 * width;
    int64_t found = 0;
    for (int64_t top = 0; top < rows; top += CELL) {
        int64_t bottom = least(top + CELL, rows);
        memcpy(highest, signal + top * width, (size_t)width * sizeof *highest);
        memset(total, 0, 2 * (size_t)width * sizeof *total);
        for (int64_t y = top; y < bottom; y++) {
            const float *row = signal + y * width;
            for (int64_t x = 0; x < width; x++) {
                total[x] += row[x];
                squares[x] += row[x] * row[x];
                highest[x] = row[x] > highest[x] ? row[x] : highest[x];
            }
        }
        for (int64_t left = 0; left < width; left += CELL) {
            int64_t right = least(left + CELL, width);
            double count = (double)((bottom - top) * (right - left));
            float sum = 0, square = 0, peak = highest[left];
            for (int64_t x = left; x < right; x++) {
                sum += total[x];
                square += squares[x];
                peak = highest[x] > peak ? highest[x] : peak;
            }
            double mean = sum / count, level;
            double spread = __builtin_sqrt(larger(square / count - mean * mean, 0.0));
            /* A cheap look first: the points themselves widen the spread, but not to half of what they are. */
            if (!(peak >= mean + larger(POINT_DB, POINT_SPREADS / 2 * spread))) {
                continue;
            }
            mean = body(&of, top, bottom, left, right, &level);
            int64_t points = 0;
            for (int64_t y = top; y < bottom; y++) {
                for (int64_t at = y * width + left; at < y * width + right; at++) {
                    points += !classes[at] && signal[at] >= level;
                }
            }
            if (points > MOST_POINTS) {
                continue;
            }
            for (int64_t y = top; y < bottom; y++) {
                for (int64_t at = y * width + left; at < y * width + right; at++) {
                    if (!classes[at] && signal[at] >= level) {
                        places[found] = at;
                        raw[found++] = signal[at];
                        classes[at] = (uint8_t)number;
                        signal[at] = (float)mean;
                    }
                }
            }
        }
    }
    return found;
}

/* Up to REACH pixels from `first` on, against the mean and the spread of twice as many further inside. */
static int64_t ramp(const float *signal, uint8_t *classes, int64_t number, int64_t first, int64_t direction)
{
    double mean = 0.0, squares = 0.0;
    for (int64_t i = REACH; i < 3 * REACH; i++) {
        double value = signal[first + direction * i];
        mean += value / (2 * REACH);
        squares += value * value / (2 * REACH);
    }
    double spread = __builtin_sqrt(larger(squares - mean * mean, 0.0));
    double level = mean - larger(RAMP_DB, RAMP_SPREADS * spread);
    int64_t found = 0;
    for (int64_t i = 0; i < REACH; i++) {
        int64_t x = first + direction * i;
        if (signal[x] >= level) {
            break;
        }
        if (!classes[x]) {
            classes[x] = (uint8_t)number;
            found++;
        }
    }
    return found;
}

/* Along rows: both ends of every run of pixels that are not missing; left, right: whether those at the edges
   of the plane count. */
int64_t KERNEL(find_ramps)(const float *signal, uint8_t *classes, int64_t rows, int64_t width, int64_t number,
                           int64_t left, int64_t right)
{
    int64_t found = 0;
    for (int64_t y = 0; y < rows; y++) {
        const float *row = signal + y * width;
        uint8_t *marks = classes + y * width;
        int64_t start = 0;
        while (start < width) {
            while (start < width && marks[start] && marks[start] != number) {
                start++;
            }
            int64_t end = start;
            while (end < width && (!marks[end] || marks[end] == number)) {
                end++;
            }
            if (end - start >= 4 * REACH) {
                if (left || start > 0) {
                    found += ramp(row, marks, number, start, 1);
                }
                if (right || end < width) {
                    found += ramp(row, marks, number, end - 1, -1);
                }
            }
            start = end;
        }
    }
    return found;
}

enum { EVEN = 32768, DIGITS = 16, MEMORY = 60, SIGNS = 3 * (DIGITS + 1), FIRST_DIGITS = SIGNS + 3, LARGEST = 1 << 14 };

/* Prediction and kind of neighbour (0 above, 1 left, 2 any). last: number + 1 of the last in a column. */
INLINE int64_t predicted(int64_t i, const int64_t *rows, const int64_t *columns, const int64_t *last,
                         const int32_t *units, int *kind)
{
    int64_t above = last[columns[i]] - 1;
    if (above >= 0 && rows[above] == rows[i] - 1) {
        *kind = 0;
        return units[above];
    }
    *kind = i > 0 && rows[i - 1] == rows[i] && columns[i - 1] == columns[i] - 1 ? 1 : 2;
    return i > 0 ? units[i - 1] : 0;
}

/* n units at places in raster order. last: zeros, one a column. out: 70 bytes a unit. */
void KERNEL(encode_outliers)(const int32_t *units, const int64_t *rows, const int64_t *columns, int64_t n,
                             int64_t *last, int64_t *state, uint8_t *out, uint16_t *model)
{
    coder *to = (coder *)state;
    context *in = (context *)model;
    for (int64_t i = 0; i < n; i++) {
        int kind, length = 0;
        int64_t value = units[i] - predicted(i, rows, columns, last, units, &kind);
        int64_t size = value < 0 ? -value : value;
        while (size >> length) {
            length++;
        }
        for (int step = 0; step < length; step++) {
            encode_bit(to, out, &in[kind * (DIGITS + 1) + step], 1, MEMORY);
        }
        if (length < DIGITS) {
            encode_bit(to, out, &in[kind * (DIGITS + 1) + length], 0, MEMORY);
        }
        if (length) {
            encode_bit(to, out, &in[SIGNS + kind], value < 0, MEMORY);
        }
        for (int place = length - 2; place >= 0; place--) {
            int bit = (int)(size >> place & 1);
            if (place == length - 2) {
                encode_bit(to, out, &in[FIRST_DIGITS + length], bit, MEMORY);
            } else {
                put_bit(to, out, EVEN, bit);
            }
        }
        last[columns[i]] = i + 1;
    }
}

/* Inverse; false where a unit is out of range. */
int64_t KERNEL(decode_outliers)(int32_t *units, const int64_t *rows, const int64_t *columns, int64_t n,
                                int64_t *last, int64_t *state, const uint8_t *data, int64_t size,
                                uint16_t *model)
{
    coder *from = (coder *)state;
    context *in = (context *)model;
    for (int64_t i = 0; i < n; i++) {
        int kind, length = 0;
        int64_t near = predicted(i, rows, columns, last, units, &kind), value;
        while (length < DIGITS && decode_bit(from, data, size, &in[kind * (DIGITS + 1) + length], MEMORY)) {
            length++;
        }
        value = length > 0;
        if (length) {
            int negative = decode_bit(from, data, size, &in[SIGNS + kind], MEMORY);
            for (int place = length - 2; place >= 0; place--) {
                int bit = place == length - 2 ? decode_bit(from, data, size, &in[FIRST_DIGITS + length], MEMORY)
                                              : take_bit(from, data, size, EVEN);
                value = 2 * value + bit;
            }
            value = negative ? -value : value;
        }
        value += near;
        if (value > LARGEST || value < -LARGEST) {
            return 0;
        }
        units[i] = (int32_t)value;
        last[columns[i]] = i + 1;
    }
    return 1;
}
