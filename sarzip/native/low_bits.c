/* Low bits of numbers, which the pixel coder's network says nothing of (codec/predictive/low_bits.py): as they
   are, or a word that they are those of the pixel to the left or above, where that is in the same cell. */
#include "binary.h"

enum { CONTEXTS_EACH = 4, LIMIT = 255 };

/* Bits one after the other, the lowest first. */
typedef struct {
    uint8_t *bytes;
    int64_t at;
} bit_row;

INLINE void put_low(bit_row *to, uint64_t word, int64_t count)
{
    for (int64_t end = to->at + count; to->at < end;) {
        int64_t room = least(8 - (to->at & 7), end - to->at);
        to->bytes[to->at >> 3] |= (uint8_t)((word & (((uint64_t)1 << room) - 1)) << (to->at & 7));
        word >>= room;
        to->at += room;
    }
}

/* Beyond `size` bits there are zeros, and nothing is read. */
INLINE uint64_t take_low(bit_row *from, int64_t size, int64_t count)
{
    uint64_t word = 0;
    for (int64_t got = 0; got < count;) {
        int64_t room = least(8 - (from->at & 7), count - got);
        uint64_t byte = from->at < size ? from->bytes[from->at >> 3] : 0;
        word |= ((byte >> (from->at & 7)) & (((uint64_t)1 << room) - 1)) << got;
        got += room;
        from->at += room;
    }
    return word;
}

/* Which neighbour may have the same number: 1 left, 2 above, 0 none. Before rows and columns there are none. */
INLINE int candidate(const int32_t *index, int64_t y, int64_t x, int64_t width)
{
    int64_t at = y * width + x;
    if (x > 0 && index[at - 1] == index[at]) {
        return 1;
    }
    return y > 0 && index[at - width] == index[at] ? 2 : 0;
}

/* Encode the low bits of numbers (rows, width), or add them to numbers that are the first of their cell. index:
   the cells, -1 where there is none; bits: raw bits of each cell; first: its first number. repeats: whether
   candidates are asked. Returns the number of raw bits. */
int64_t KERNEL(low_bits)(int64_t *state, uint8_t *flags, int64_t flag_bytes, uint8_t *raw, int64_t raw_bits,
                         int64_t *numbers, const int32_t *index, int64_t rows, int64_t width,
                         const uint8_t *bits, const int64_t *first, uint16_t *contexts, int64_t repeats,
                         int64_t encoding)
{
    coder with = {state[0], state[1], state[2]};
    context *model = (context *)contexts;
    bit_row row = {raw, 0};
    int last[3] = {0, 0, 0};
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < width; x++) {
            int64_t at = y * width + x, cell = index[at];
            if (cell < 0 || bits[cell] == 0) {
                continue;
            }
            int from = repeats ? candidate(index, y, x, width) : 0;
            if (from) {
                int64_t other = numbers[from == 1 ? at - 1 : at - width];
                context *of = model + CONTEXTS_EACH * (from - 1) + last[from];
                int same = numbers[at] == other;
                if (encoding) {
                    encode_bit(&with, flags, of, same, LIMIT);
                } else {
                    same = decode_bit(&with, flags, flag_bytes, of, LIMIT);
                }
                last[from] = (last[from] << 1 | same) & (CONTEXTS_EACH - 1);
                if (same) {
                    numbers[at] = other;
                    continue;
                }
            }
            if (encoding) {
                put_low(&row, (uint64_t)(numbers[at] - first[cell]), bits[cell]);
            } else {
                numbers[at] += (int64_t)take_low(&row, raw_bits, bits[cell]);
            }
        }
    }
    state[0] = with.low;
    state[1] = with.range;
    state[2] = with.position;
    return row.at;
}
