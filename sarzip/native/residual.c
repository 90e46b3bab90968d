/* Steps on top of a decoded signal that keep a bound (codec/predictive/residual.py): small integers, most of
   them 0, by the adaptive binary coder in contexts of their neighbours. */
#include "binary.h"

enum {
    NEAR = 5, /* |left| + |above|, up to 4 */
    FAR = 9,  /* classes of the sum over eight others */
    ZERO = 0,
    ESCAPE = ZERO + NEAR * FAR,
    SIGN = ESCAPE + 1,
    ABOVE = SIGN + 9,
    UNARY = 18, /* magnitudes are told one by one up to here */
    LIMIT = 255,
    ROOM = 64, /* bytes that one pixel may take */
};
#define ESCAPED INT32_MIN

static const uint8_t FAR_CLASS[17] = {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 7, 7, 8};

INLINE int64_t size_of(int32_t step) { return step == ESCAPED ? 1 : step < 0 ? -(int64_t)step : step; }

INLINE int sign_of(int32_t step) { return step == ESCAPED || step == 0 ? 1 : step < 0 ? 0 : 2; }

/* Steps of a plane with a margin of three columns and two rows of zeros. */
typedef struct {
    const int32_t *row, *above, *second;
} neighbours;

INLINE int64_t far_class(neighbours of, int64_t x)
{
    int64_t sum = size_of(of.row[x - 2]) + size_of(of.row[x - 3]) + size_of(of.above[x - 2]) +
                  size_of(of.above[x - 1]) + size_of(of.above[x + 1]) + size_of(of.above[x + 2]) +
                  size_of(of.second[x]) + size_of(of.second[x + 1]);
    return FAR_CLASS[least(sum, 16)];
}

INLINE int decide(coder *with, uint8_t *data, int64_t size, context *of, int bit, int encoding)
{
    if (encoding) {
        encode_bit(with, data, of, bit, LIMIT);
        return bit;
    }
    return decode_bit(with, data, size, of, LIMIT);
}

INLINE int decide_evenly(coder *with, uint8_t *data, int64_t size, int bit, int encoding)
{
    if (encoding) {
        put_bit(with, data, 32768, bit);
        return bit;
    }
    return take_bit(with, data, size, 32768);
}

/* A step of magnitude 1 or more, its magnitude less 1: unary, then Elias's gamma code. -1: too large. */
INLINE int64_t magnitude(coder *with, uint8_t *data, int64_t size, context *model, int64_t value,
                         int encoding)
{
    int64_t told = 0;
    while (told < UNARY && decide(with, data, size, model + told, value > told, encoding)) {
        told++;
    }
    if (told < UNARY) {
        return told;
    }
    int64_t rest = value - UNARY + 1, digits = encoding ? 63 - __builtin_clzll((uint64_t)rest) : 0, found = 1;
    for (int64_t k = 0; k < 31; k++) {
        if (!decide_evenly(with, data, size, k < digits, encoding)) {
            break;
        }
        digits = encoding ? digits : k + 1;
    }
    for (int64_t k = digits - 1; k >= 0; k--) {
        found = 2 * found + decide_evenly(with, data, size, (int)(rest >> k & 1), encoding);
    }
    return found + UNARY - 1;
}

/* Encode the steps of the pixels that are not skipped, or decode them. steps: (rows + 2, width + 6) with its
   margins; escaped ones are INT32_MIN. Returns 0 if data is too short to encode into. */
int64_t KERNEL(residual_code)(int64_t *state, uint8_t *data, int64_t size, int32_t *steps,
                              const uint8_t *skip, int64_t rows, int64_t width, uint16_t *contexts,
                              int64_t encoding)
{
    coder with = {state[0], state[1], state[2]};
    context *model = (context *)contexts;
    int64_t stride = width + 6;
    for (int64_t y = 0; y < rows; y++) {
        int32_t *row = steps + (y + 2) * stride + 3;
        neighbours of = {row, row - stride, row - 2 * stride};
        for (int64_t x = 0; x < width; x++) {
            if (skip[y * width + x]) {
                continue;
            }
            if (encoding && with.position + ROOM > size) {
                return 0;
            }
            int64_t near = least(size_of(row[x - 1]) + size_of(of.above[x]), NEAR - 1);
            int64_t far = far_class(of, x), any = row[x] != 0;
            any = decide(&with, data, size, model + ZERO + near * FAR + far, (int)any, (int)encoding);
            if (!any) {
                continue;
            }
            if (decide(&with, data, size, model + ESCAPE, row[x] == ESCAPED, (int)encoding)) {
                row[x] = ESCAPED;
                continue;
            }
            int signs = 3 * sign_of(row[x - 1]) + sign_of(of.above[x]);
            int below = decide(&with, data, size, model + SIGN + signs, row[x] < 0, (int)encoding);
            context *sizes = model + ABOVE + UNARY * far;
            int64_t value = encoding ? size_of(row[x]) - 1 : 0;
            value = 1 + magnitude(&with, data, size, sizes, value, (int)encoding);
            row[x] = (int32_t)(below ? -value : value);
        }
    }
    state[0] = with.low;
    state[1] = with.range;
    state[2] = with.position;
    return 1;
}
