/* Bias corrections (codec/streams/bias_correction.py): one small integer for each cell of 32×32 pixels. */
#include "binary.h"

enum { EVEN = 32768, CONTEXTS = 14, COUNTED = 60, UNARY = 20, GROUPS = 12, LONGEST = 12, LARGEST = 300 };

/* Estimated deviations, in 1/64 unit, from which on the next group of contexts is taken. */
static const int64_t SPREADS[GROUPS] = {8, 16, 24, 36, 52, 72, 100, 140, 200, 300, 480, 800};

typedef struct {
    coder *state;
    uint8_t *data;
    int64_t size;
    context *model;
    int encoding;
} stream;

INLINE int model_bit(const stream *of, int64_t at, int bit)
{
    if (of->encoding) {
        encode_bit(of->state, of->data, &of->model[at], bit, COUNTED);
        return bit;
    }
    return decode_bit(of->state, of->data, of->size, &of->model[at], COUNTED);
}

INLINE int even_bit(const stream *of, int bit)
{
    if (of->encoding) {
        put_bit(of->state, of->data, EVEN, bit);
        return bit;
    }
    return take_bit(of->state, of->data, of->size, EVEN);
}

/* Zero or not, sign, magnitude in unary, and from UNARY on in Elias's gamma code. */
static int64_t code_number(const stream *of, int64_t first, int64_t phase, int64_t value)
{
    int64_t size = value < 0 ? -value : value, magnitude = 1;
    if (!model_bit(of, first + phase, value != 0)) {
        return 0;
    }
    int negative = model_bit(of, first + 4 + phase, value < 0);
    while (magnitude < UNARY && model_bit(of, first + 8 + least(magnitude - 1, 5), size > magnitude)) {
        magnitude++;
    }
    if (magnitude == UNARY) {
        int64_t rest = size - UNARY + 1, low = 1;
        int length = 0;
        while (length < LONGEST && even_bit(of, rest >> (length + 1) > 0)) {
            length++;
        }
        for (int place = length - 1; place >= 0; place--) {
            low = 2 * low + even_bit(of, (int)(rest >> place & 1));
        }
        magnitude += low - 1;
    }
    return negative ? -magnitude : magnitude;
}

INLINE int64_t floored(int64_t value, int64_t by) { return value / by - (value % by < 0); }

INLINE int64_t size_of(int64_t value) { return value < 0 ? -value : value; }

/* Encode corrections, or decode them into `cells` (rows, columns); false where one is out of range.
   errors: as large, zeros. model: one context for each of CONTEXTS in GROUPS + 1 groups. */
int64_t KERNEL(code_cells)(int64_t *state, uint8_t *data, int64_t size, uint16_t *model, int64_t *cells,
                           int64_t *errors, int64_t rows, int64_t columns, int64_t encoding)
{
    stream of = {(coder *)state, data, size, (context *)model, encoding != 0};
    int64_t mean = 0, deviation = 64, count = 0; /* in 1/64 of a unit */
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            int64_t weight = 0, values = 0, around = 0, here = i * columns + j;
            for (int above = 0; above < 2; above++) {
                for (int beside = -1; beside < 2; beside++) {
                    if (i < above || j + beside < 0 || j + beside >= columns || (!above && beside >= 0)) {
                        continue;
                    }
                    int64_t nearness = above && beside ? 1 : 2, there = here - above * columns + beside;
                    weight += nearness;
                    values += nearness * cells[there];
                    around += nearness * errors[there];
                }
            }
            int64_t guess = mean + ((3 * (64 * values - weight * mean)) >> 6);
            int64_t spread = deviation + ((around - weight * deviation) >> 5);
            int group = 0;
            while (group < GROUPS && spread >= SPREADS[group]) {
                group++;
            }
            int64_t centre = (guess + 32) >> 6, phase = ((guess + 32) & 63) >> 4;
            cells[here] = centre + code_number(&of, CONTEXTS * group, phase, cells[here] - centre);
            if (size_of(cells[here]) > LARGEST) {
                return 0;
            }
            errors[here] = size_of(64 * cells[here] - guess);
            mean += floored(64 * cells[here] - mean, least(count, 40) + 2);
            deviation += floored(errors[here] - deviation, least(count, 30) + 2);
            count++;
        }
    }
    return 1;
}

/* Golomb–Rice numbers of format 1.0: `bits` (one a byte) to n unsigned ones; false where they do not add up. */
int64_t KERNEL(unrice)(const uint8_t *bits, int64_t size, int64_t k, int32_t *numbers, int64_t n)
{
    int64_t position = 0;
    for (int64_t index = 0; index < n; index++) {
        int64_t value = 0;
        while (position < size && bits[position]) {
            value++;
            position++;
        }
        if (position + 1 + k > size || value > 4096) {
            return 0;
        }
        position++;
        for (int64_t place = 0; place < k; place++) {
            value = 2 * value + bits[position++];
        }
        numbers[index] = (int32_t)value;
    }
    return size - position < 8;
}
