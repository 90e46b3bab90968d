/* Interleaved rANS with static tables: the coder that codec/entropy/rans.py describes. */
#include "symbols.h"

#define LOW_STATE ((uint64_t)1 << 16)

/* Symbol row of each of n indices; returns the number of raw bits. */
int64_t KERNEL(rans_rows)(const int32_t *index, const uint8_t *cls, int64_t n, const uint32_t *base,
                          const int32_t *half, const uint8_t *shift, const uint8_t *order,
                          const uint8_t *following, const uint8_t *quantiser, int64_t states, uint32_t *rows)
{
    alphabet tables = {base, half, shift, order};
    int64_t quantisers = states == 1 ? 1 : 2, raw = 0;
    uint8_t state[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        uint8_t *held = state + (i & (LANES - 1));
        int64_t c = cls[i], k = index[i];
        rows[i] = symbol(k, c, c * quantisers + quantiser[*held], &tables, &raw);
        *held = following[2 * *held | (k & 1)];
    }
    return raw;
}

/* Append `count` (<= 56) low bits of value, LSB first, at bit position `at` of zeros; returns the new
   position. */
INLINE int64_t put_bits(uint8_t *out, int64_t at, uint64_t value, int64_t count)
{
    uint64_t word = (value & (((uint64_t)1 << count) - 1)) << (at & 7);
    int64_t end = at + count;
    for (int64_t byte = at >> 3; 8 * byte < end; byte++, word >>= 8) {
        out[byte] |= (uint8_t)word;
    }
    return end;
}

/* Raw bits of n indices: the low bits of each, then for escapes sign, unary length and digits of the excess.
   escape: by row; half: by class; out: zeros, as long as rans_rows says. */
void KERNEL(rans_put_raw)(const int32_t *index, const uint8_t *cls, const uint32_t *rows, int64_t n,
                          const uint8_t *escape, const uint8_t *half, const uint8_t *shift,
                          const uint8_t *order, uint8_t *out)
{
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = cls[i], s = shift[c];
        if (s == 0 && !escape[rows[i]]) {
            continue;
        }
        int64_t k = index[i] + (((int64_t)1 << s) >> 1);
        at = put_bits(out, at, (uint64_t)k, s);
        if (escape[rows[i]]) {
            int64_t value = k >> s;
            uint64_t excess =
                (uint64_t)((value < 0 ? -value : value) - half[c] - 1 + ((int64_t)1 << order[c]));
            int64_t digits = 63 - __builtin_clzll(excess | 1);
            at = put_bits(out, at, value < 0, 1);
            at = put_bits(out, at, ((uint64_t)1 << (digits - order[c])) - 1, digits - order[c] + 1);
            at = put_bits(out, at, excess, digits);
        }
    }
}

typedef struct {
    uint16_t *words;
    int64_t at; /* where the next word goes; they are written from the end */
    const uint64_t *reciprocals;
    const uint32_t *intervals;
    int64_t bits;
} writer;

INLINE uint64_t encode_one(uint64_t x, uint32_t row, writer *to)
{
    uint64_t pair = to->intervals[row], f = pair >> 16;
    int full = x >= f << (32 - to->bits);
    to->words[to->at] = (uint16_t)x;
    to->at -= full;
    x = full ? x >> 16 : x;
    uint64_t quotient = (x * to->reciprocals[row]) >> (32 + to->bits);
    return x + (pair & 0xFFFF) + quotient * (((uint64_t)1 << to->bits) - f);
}

/* Code n rows from the last to the first; words: n + 1, written from the end. Fills the four states and
   returns the position of the first word. */
int64_t KERNEL(rans_encode)(const uint32_t *rows, int64_t n, const uint64_t *reciprocals,
                            const uint32_t *intervals, int64_t bits, uint16_t *words, uint32_t *states)
{
    writer to = {words, n, reciprocals, intervals, bits};
    uint64_t x0 = LOW_STATE, x1 = LOW_STATE, x2 = LOW_STATE, x3 = LOW_STATE;
    int64_t i = n & ~(int64_t)3;
    if (n - i > 2) {
        x2 = encode_one(x2, rows[i + 2], &to);
    }
    if (n - i > 1) {
        x1 = encode_one(x1, rows[i + 1], &to);
    }
    if (n - i > 0) {
        x0 = encode_one(x0, rows[i], &to);
    }
    while (i > 0) {
        i -= 4;
        x3 = encode_one(x3, rows[i + 3], &to);
        x2 = encode_one(x2, rows[i + 2], &to);
        x1 = encode_one(x1, rows[i + 1], &to);
        x0 = encode_one(x0, rows[i], &to);
    }
    states[0] = (uint32_t)x0;
    states[1] = (uint32_t)x1;
    states[2] = (uint32_t)x2;
    states[3] = (uint32_t)x3;
    return to.at + 1;
}

/* Raw bits: at is -1 once more were asked for than there are. */
typedef struct {
    const uint8_t *raw;
    int64_t size, at;
} bit_reader;

/* Next `count` (<= 56) bits, LSB first. */
INLINE int64_t get_bits(bit_reader *from, int64_t count)
{
    int64_t at = from->at, end = at + count;
    if (at < 0 || end > from->size * 8) {
        from->at = -1;
        return 0;
    }
    uint64_t word = 0;
    for (int64_t byte = at >> 3, place = 0; 8 * byte < end; byte++, place += 8) {
        word |= (uint64_t)from->raw[byte] << place;
    }
    from->at = end;
    return (int64_t)(word >> (at & 7) & (((uint64_t)1 << count) - 1));
}

/* Index from its coded value (below -half: an escape) and raw bits; corrupt bits leave the reader at -1. It
   is needed seldom and kept out of the loop, which would run out of registers. */
static __attribute__((noinline)) int64_t get_index(bit_reader *from, int64_t value, int64_t half,
                                                   int64_t shift, int64_t order)
{
    int64_t low = get_bits(from, shift);
    if (value < -half) {
        int64_t negative = get_bits(from, 1), digits = order;
        while (get_bits(from, 1)) {
            if (++digits > 33) {
                from->at = -1;
                return 0;
            }
        }
        int64_t rest = get_bits(from, digits);
        value = ((int64_t)1 << digits) + rest - ((int64_t)1 << order) + half + 1;
        value = negative ? -value : value;
    }
    int64_t k = value * ((int64_t)1 << shift) + low - (((int64_t)1 << shift) >> 1);
    if (k > INT32_MAX || k < INT32_MIN) {
        from->at = -1;
        return 0;
    }
    return k;
}

typedef struct {
    const uint16_t *words;
    int64_t at;
    const uint8_t *slots;
    const uint32_t *base, *intervals;
    int64_t bits;
} word_reader;

INLINE uint64_t decode_one(uint64_t x, uint64_t table, word_reader *from, int64_t *symbol)
{
    uint64_t slot = x & (((uint64_t)1 << from->bits) - 1);
    *symbol = from->slots[table << from->bits | slot];
    uint64_t pair = from->intervals[from->base[table] + *symbol];
    x = (pair >> 16) * (x >> from->bits) + slot - (pair & 0xFFFF);
    uint64_t low = x < LOW_STATE, more = x << 16 | from->words[from->at];
    from->at += (int64_t)low;
    return x ^ ((x ^ more) & -low); /* compilers make a jump of a choice, which processors guess wrongly */
}

/* Decode n indices; 0 when the stream was exact, -1 when it is corrupt.

   n_words counts the stream's words, behind which LANES spare ones must lie: the position is checked once
   per LANES symbols, each of which takes at most one word. */
int64_t KERNEL(rans_decode)(const uint16_t *words, int64_t n_words, const uint8_t *raw, int64_t n_raw,
                            const uint32_t *states, const uint8_t *cls, int64_t n, const uint8_t *slots,
                            const uint32_t *base, const int32_t *half, const uint32_t *intervals,
                            int64_t bits, const uint8_t *shift, const uint8_t *order,
                            const uint8_t *following, const uint8_t *quantiser, int64_t n_states,
                            int32_t *index)
{
    word_reader from = {words, 0, slots, base, intervals, bits};
    bit_reader rest = {raw, n_raw, 0};
    uint64_t quantisers = n_states == 1 ? 1 : 2;
    uint64_t x0 = states[0], x1 = states[1], x2 = states[2], x3 = states[3];
    uint8_t state[LANES] = {0};
    for (int64_t start = 0; start < n; start += LANES) {
        if (from.at > n_words) {
            return -1;
        }
        int64_t count = least(LANES, n - start);
        for (int64_t lane = 0; lane < count; lane++) {
            uint64_t c = cls[start + lane], s = state[lane], t = c * quantisers + quantiser[s];
            int64_t symbol;
            uint64_t x = decode_one(x0, t, &from, &symbol);
            /* the four states rotate, so that they stay in registers */
            x0 = x1, x1 = x2, x2 = x3, x3 = x;
            int64_t k = symbol - 1 - half[t];
            if (symbol == 0 || shift[c] > 0) {
                k = get_index(&rest, k, half[t], shift[c], order[c]);
                if (rest.at < 0) {
                    return -1;
                }
            }
            index[start + lane] = (int32_t)k;
            state[lane] = following[2 * s | (k & 1)];
        }
    }
    int whole = x0 == LOW_STATE && x1 == LOW_STATE && x2 == LOW_STATE && x3 == LOW_STATE;
    if (!whole || from.at != n_words || (rest.at + 7) >> 3 != n_raw) {
        return -1;
    }
    return rest.at & 7 && raw[rest.at >> 3] >> (rest.at & 7) ? -1 : 0;
}
