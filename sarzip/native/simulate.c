/* Simulated scenes (sarzip/simulate): landscape, speckle, point targets.

   Scenes are made on one machine, not exchanged: here libm is allowed. */
#include "common.h"
#include <math.h>

enum { LATTICE = 8, FIELDS = 6, REGION = 768, POINT_CELL = 16, REACH = 8 };
enum { HEIGHT, FOREST, SETTLEMENT, RIVER, ROAD, WIND };
enum { SEA, WATER, FIELD, WOOD, TOWN, WAY };

static const double PI = 3.14159265358979323846;
static const double NEPER = 0.23025850929940458; /* ln(10) / 10 */
static const double LINE = 48.0;                 /* makes rivers and roads a few pixels wide at any scale */
/* Wavelength of a field's largest octave as a fraction of the landscape's scale, and its number of octaves. */
static const double WAVELENGTH[FIELDS] = {1.0, 0.30, 0.35, 0.7, 0.25, 0.4};
static const int OCTAVES[FIELDS] = {7, 4, 4, 3, 3, 4};
/* Probability, by cover, that a cell of 16×16 pixels holds a point target. */
static const double POINT_CHANCE[6] = {0.0005, 0.0, 0.006, 0.002, 0.3, 0.004};

/* 64 random bits of a position, which may be negative down to -2^20: SplitMix64 (simulate/chance.py). */
INLINE uint64_t bits(uint64_t key, int64_t row, int64_t column)
{
    uint64_t place = (uint64_t)(row + 1048576) << 32 | (uint64_t)(column + 1048576);
    uint64_t x = key + place * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

int64_t KERNEL(position_bits)(int64_t key, int64_t row, int64_t column)
{
    return (int64_t)bits((uint64_t)key, row, column);
}

INLINE double uniform(uint64_t key, int64_t row, int64_t column)
{
    return (double)(bits(key, row, column) >> 11) * (1.0 / 9007199254740992.0);
}

INLINE double byte_of(uint64_t word, int number) { return (double)(word >> 8 * number & 255) / 255.0; }

INLINE int64_t floored(int64_t value, int64_t by) { return value / by - (value % by < 0); }

INLINE double smooth(double t) { return t * t * t * (t * (6.0 * t - 15.0) + 10.0); }

/* Smooth noise in [-1, 1] with a lattice of whole numbers. */
static double value_noise(uint64_t key, double row, double column)
{
    double low = floor(row), left = floor(column), a = smooth(row - low), b = smooth(column - left);
    int64_t r = (int64_t)low, c = (int64_t)left;
    double top = uniform(key, r, c) * (1 - b) + uniform(key, r, c + 1) * b;
    double bottom = uniform(key, r + 1, c) * (1 - b) + uniform(key, r + 1, c + 1) * b;
    return 2.0 * (top * (1 - a) + bottom * a) - 1.0;
}

/* The slow fields on rows × columns lattice points from (first_row, first_column) on: out (FIELDS, rows,
   columns), zeros before. */
void KERNEL(slow_fields)(int64_t key, double scale, int64_t first_row, int64_t first_column, int64_t rows,
                         int64_t columns, float *out)
{
    for (int field = 0; field < FIELDS; field++) {
        float *plane = out + field * rows * columns;
        double wavelength = scale * WAVELENGTH[field], gain = 1.0, total = 0.0;
        for (int octave = 0; octave < OCTAVES[field] && wavelength >= 2 * LATTICE; octave++) {
            uint64_t lane = (uint64_t)key + (uint64_t)(1 + field * 16 + octave) * 0xD1342543DE82EF95u;
            for (int64_t i = 0; i < rows; i++) {
                for (int64_t j = 0; j < columns; j++) {
                    double row = (double)((first_row + i) * LATTICE) / wavelength;
                    double column = (double)((first_column + j) * LATTICE) / wavelength;
                    float *at = plane + i * columns + j;
                    *at = (float)(*at + gain * value_noise(lane, row, column));
                }
            }
            total += gain * gain;
            wavelength *= 0.5;
            gain *= 0.55;
        }
        /* Value noise has a standard deviation of about 0.33. */
        double norm = 1.0 / (0.33 * sqrt(total));
        for (int64_t at = 0; at < rows * columns; at++) {
            plane[at] = (float)(plane[at] * norm);
        }
    }
}

/* The landscape about an area: slow fields (FIELDS, rows, columns) from a lattice point on. */
typedef struct {
    uint64_t key;
    double scale;
    const float *fields;
    int64_t rows, columns, first_row, first_column;
} landscape;

INLINE double field_at(const landscape *land, int field, double row, double column)
{
    int64_t r = (int64_t)row, c = (int64_t)column;
    double a = row - (double)r, b = column - (double)c;
    const float *at = land->fields + (field * land->rows + r) * land->columns + c, *below = at + land->columns;
    double top = at[0] * (1 - b) + at[1] * b, bottom = below[0] * (1 - b) + below[1] * b;
    return top * (1 - a) + bottom * a;
}

/* The random bits of the parcel a pixel lies in; *edge: the distance to its nearest edge in pixels. */
static uint64_t parcel(uint64_t key, int64_t row, int64_t column, double height, double width, double *edge)
{
    uint64_t region = bits(key, floored(row, REGION), floored(column, REGION));
    double angle = (double)(region & 1023) * (PI / 1024);
    double stretch = 0.6 + (double)(region >> 10 & 1023) / 1024;
    double y = (double)row, x = (double)column, cosine = cos(angle), sine = sin(angle);
    double u = y * cosine + x * sine, v = x * cosine - y * sine;
    double high = height * stretch, wide = width * stretch, lane = floor(u / high);
    v += wide * uniform(key + 7, (int64_t)lane, 0); /* parcels of neighbouring lanes do not line up */
    double place = floor(v / wide), du = u - lane * high, dv = v - place * wide;
    *edge = fmin(fmin(du, high - du), fmin(dv, wide - dv));
    return bits(region, (int64_t)lane, (int64_t)place);
}

/* Co-polarised backscatter in dB of a pixel; *kind: its cover; *drop: by how many dB the cross-polarised one is
   weaker (C-band: least of forest, whose volume turns the polarisation). */
static double cover(const landscape *land, int64_t row, int64_t column, int *kind, double *drop)
{
    uint64_t key = land->key;
    double line = LINE / land->scale, edge;
    double y = (double)row / LATTICE - (double)land->first_row;
    double x = (double)column / LATTICE - (double)land->first_column;
    double fine = value_noise(key + 11, (double)row / 5.0, (double)column / 5.0);
    double height = field_at(land, HEIGHT, y, x) + 0.03 * fine;
    if (height < -0.55) {
        double wind = field_at(land, WIND, y, x);
        double swell = sin(0.31 * (double)column + 0.17 * (double)row + 2.0 * wind);
        *kind = SEA;
        *drop = 9.0;
        return -20.5 + 1.8 * wind + 0.7 * swell;
    }
    if (fabs(field_at(land, RIVER, y, x)) < line * (1.0 + 0.15 * fine)) {
        *kind = WATER;
        *drop = 8.0;
        return -21.0 + 0.5 * fine;
    }
    double slope = field_at(land, HEIGHT, y, x + 1.0) - field_at(land, HEIGHT, y, x);
    double steep = fmin(fmax(height - 0.6, 0.0), 1.0), relief = fmin(fmax(90.0 * steep * slope, -9.0), 8.0);
    if (fabs(field_at(land, ROAD, y, x)) < line) {
        *kind = WAY;
        *drop = 9.0;
        return -16.5 + relief;
    }
    if (field_at(land, SETTLEMENT, y, x) > 1.25 + 0.1 * fine && height < 0.9) {
        uint64_t block = parcel(key + 13, row, column, 26.0, 40.0, &edge);
        *kind = TOWN;
        *drop = 7.0 + 3.0 * byte_of(block, 2);
        if (edge < 1.6) {
            return -15.0;
        }
        double front = byte_of(parcel(key + 17, row, column, 4.0, 6.0, &edge), 0);
        return -9.0 + 4.0 * byte_of(block, 1) + 14.0 * front * front * front * front;
    }
    if (field_at(land, FOREST, y, x) > 0.5 + 0.15 * fine) {
        double crown = value_noise(key + 19, (double)row / 2.5, (double)column / 2.5);
        *kind = WOOD;
        *drop = 5.5;
        return -9.5 + 1.0 * fine + 1.8 * crown + relief;
    }
    uint64_t own = parcel(key + 23, row, column, 34.0, 61.0, &edge);
    *kind = FIELD;
    *drop = 6.5 + 5.0 * byte_of(own, 2);
    if (edge < 0.9 && byte_of(own, 1) > 0.6) {
        *drop = 6.0;
        return -8.5 + relief; /* a hedge or a row of trees */
    }
    return -15.5 + 7.0 * byte_of(own, 0) + 0.4 * fine + relief;
}

/* Cover of one pixel. */
int64_t KERNEL(cover_of)(int64_t key, double scale, const float *fields, int64_t high, int64_t wide,
                         int64_t first_row, int64_t first_column, int64_t row, int64_t column)
{
    landscape land = {(uint64_t)key, scale, fields, high, wide, first_row, first_column};
    int kind;
    double drop;
    cover(&land, row, column, &kind, &drop);
    return kind;
}

/* Square root of half of backscatter plus noise, at rows × columns samples from (row, column) on, `down` and
   `right` of which make up a pixel. cross: 1 for the cross-polarised channel, else 0. */
void KERNEL(half_amplitude)(int64_t key, double scale, const float *fields, int64_t high, int64_t wide,
                            int64_t first_row, int64_t first_column, int64_t row, int64_t column, int64_t rows,
                            int64_t columns, double noise, int64_t down, int64_t right, int64_t cross, float *out)
{
    landscape land = {(uint64_t)key, scale, fields, high, wide, first_row, first_column};
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            float *at = out + i * columns + j;
            int64_t place = floored(column + j, right);
            if (j > 0 && floored(column + j - 1, right) == place) {
                at[0] = at[-1];
                continue;
            }
            int kind;
            double drop, level = cover(&land, floored(row + i, down), place, &kind, &drop);
            *at = (float)sqrt(0.5 * (exp(NEPER * (level - (double)cross * drop)) + noise));
        }
    }
}

/* Point targets of rows × columns cells from (row, column) on: their number; out (n, 4): row, column, dB,
   phase in turns. cross: as above; corners hardly turn the polarisation. */
int64_t KERNEL(find_point_targets)(int64_t key, double scale, const float *fields, int64_t high, int64_t wide,
                                   int64_t first_row, int64_t first_column, int64_t row, int64_t column,
                                   int64_t rows, int64_t columns, int64_t cross, double *out)
{
    landscape land = {(uint64_t)key, scale, fields, high, wide, first_row, first_column};
    int64_t count = 0;
    for (int64_t i = row; i < row + rows; i++) {
        for (int64_t j = column; j < column + columns; j++) {
            uint64_t word = bits(land.key + 29, i, j);
            double chance = byte_of(word, 0) * 256 + byte_of(word, 1);
            if (chance > 256 * 0.35) {
                continue; /* no cover has that many */
            }
            double y = ((double)i + byte_of(word, 2)) * POINT_CELL, x = ((double)j + byte_of(word, 3)) * POINT_CELL;
            int kind;
            double drop, level = cover(&land, (int64_t)y, (int64_t)x, &kind, &drop), *to = out + 4 * count;
            if (chance > 256 * POINT_CHANCE[kind]) {
                continue;
            }
            to[0] = y + byte_of(word, 4) / 16;
            to[1] = x + byte_of(word, 5) / 16;
            to[2] = level + 9.0 - 7.0 * log(1.0 - uniform(land.key + 31, i, j)) - (double)cross * (drop + 6.0);
            to[3] = byte_of(word, 6);
            count++;
        }
    }
    return count;
}

/* One look: white complex noise times amplitude (rows + 16, columns + 16), filtered along rows' direction
   (vertical) and along columns' (horizontal), into real and imaginary (rows, columns), zeros before. lane: half
   of a position's random bits. scratch: two rows of amplitude's width and two of the look's. */
void KERNEL(shaped_look)(const float *amplitude, int64_t rows, int64_t columns, int64_t row0, int64_t column0,
                         int64_t key, int64_t lane, const float *vertical, const float *horizontal,
                         const float *table, float *scratch, float *real, float *imaginary)
{
    int64_t wide = columns + 2 * REACH;
    float *white_real = scratch, *white_imaginary = scratch + wide;
    float *line_real = scratch + 2 * wide, *line_imaginary = line_real + columns;
    for (int64_t row = 0; row < rows + 2 * REACH; row++) {
        for (int64_t column = 0; column < wide; column++) {
            uint64_t word = bits((uint64_t)key, row0 + row, column0 + column) >> 32 * lane;
            float strength = amplitude[row * wide + column];
            white_real[column] = strength * table[word & 0xFFFF];
            white_imaginary[column] = strength * table[word >> 16 & 0xFFFF];
        }
        memset(line_real, 0, 2 * (size_t)columns * sizeof *line_real);
        for (int tap = 0; tap <= 2 * REACH; tap++) {
            float weight = horizontal[tap];
            for (int64_t column = 0; column < columns; column++) {
                line_real[column] += weight * white_real[column + tap];
                line_imaginary[column] += weight * white_imaginary[column + tap];
            }
        }
        for (int tap = 0; tap <= 2 * REACH; tap++) {
            int64_t target = row - tap;
            if (target < 0 || target >= rows) {
                continue;
            }
            float weight = vertical[tap], *to = real + target * columns, *other = imaginary + target * columns;
            for (int64_t column = 0; column < columns; column++) {
                to[column] += weight * line_real[column];
                other[column] += weight * line_imaginary[column];
            }
        }
    }
}

/* Add n point targets to a look in place; parts outside of it are cut off. See simulate/speckle.py. */
void KERNEL(add_responses)(float *real, float *imaginary, int64_t rows, int64_t columns, const int64_t *centres,
                           const float *profiles, int64_t taps, const float *strengths, int64_t n)
{
    int64_t middle = taps / 2;
    for (int64_t point = 0; point < n; point++) {
        int64_t row = centres[3 * point], column = centres[3 * point + 1], reach = centres[3 * point + 2];
        int64_t left = most(column - reach, 0), right = least(column + reach + 1, columns);
        const float *down = profiles + 2 * point * taps, *across = down + taps;
        for (int64_t i = most(row - reach, 0); i < least(row + reach + 1, rows); i++) {
            for (int64_t j = left; j < right; j++) {
                float gain = down[middle + i - row] * across[middle + j - column];
                real[i * columns + j] += gain * strengths[2 * point];
                imaginary[i * columns + j] += gain * strengths[2 * point + 1];
            }
        }
    }
}

/* Add `scale` times the look's power, box by box of down × right samples, to `power` in place. */
void KERNEL(add_power)(float *power, int64_t wide, const float *real, const float *imaginary, int64_t rows,
                       int64_t columns, double scale, int64_t down, int64_t right)
{
    float weight = (float)scale;
    for (int64_t row = 0; row < rows; row++) {
        float *to = power + row / down * wide;
        for (int64_t column = 0; column < columns; column++) {
            int64_t at = row * columns + column;
            to[column / right] += weight * (real[at] * real[at] + imaginary[at] * imaginary[at]);
        }
    }
}
