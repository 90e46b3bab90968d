/* The adaptive binary range coder of codec/entropy/binary.py, for kernels that code small streams.

   Encoders need room: a bit moves the position by at most two bytes, and the caller sees to that. Decoding is
   total: beyond the end there are zeros, and nothing is read there. */
#ifndef SARZIP_BINARY_H
#define SARZIP_BINARY_H

#include "common.h"

#define CODER_WHOLE ((int64_t)1 << 32)
#define CODER_TOP ((int64_t)1 << 24)
#define CHANCE_LEAST 32
#define CHANCE_MOST 65504

/* Low (encoder) or code (decoder), range, position: int64 (3) in Python. */
typedef struct {
    int64_t low, range, position;
} coder;

/* One context of a model: probability of a 0 in 1/65536, symbols counted. uint16 (contexts, 2) in Python. */
typedef struct {
    uint16_t chance, count;
} context;

/* Adapt the probability of a context to a bit; it counts up to limit symbols. */
INLINE void learn(context *of, int bit, int limit)
{
    int64_t chance = of->chance, rate = 131072u / (2u * of->count + 3u);
    chance += bit ? -((chance * rate) >> 16) : ((65536 - chance) * rate) >> 16;
    of->chance = (uint16_t)least(most(chance, CHANCE_LEAST), CHANCE_MOST);
    of->count = (uint16_t)(of->count + (of->count < limit));
}

INLINE void carry(uint8_t *out, int64_t position)
{
    position--;
    while (out[position] == 0xFF) {
        out[position--] = 0;
    }
    out[position]++;
}

/* Encode a bit whose probability of being 0 is chance / 65536. */
INLINE void put_bit(coder *to, uint8_t *out, int64_t chance, int bit)
{
    int64_t bound = (to->range >> 16) * chance;
    if (bit) {
        to->low += bound;
        to->range -= bound;
        if (to->low >= CODER_WHOLE) {
            to->low -= CODER_WHOLE;
            carry(out, to->position);
        }
    } else {
        to->range = bound;
    }
    while (to->range < CODER_TOP) {
        out[to->position++] = (uint8_t)(to->low >> 24);
        to->low = (to->low << 8) & (CODER_WHOLE - 1);
        to->range <<= 8;
    }
}

/* Encode a bit in a context and adapt the context. */
INLINE void encode_bit(coder *to, uint8_t *out, context *of, int bit, int limit)
{
    put_bit(to, out, of->chance, bit);
    learn(of, bit, limit);
}

/* Decode a bit whose probability of being 0 is chance / 65536, from a stream of `size` bytes. */
INLINE int take_bit(coder *from, const uint8_t *data, int64_t size, int64_t chance)
{
    int64_t bound = (from->range >> 16) * chance;
    int bit = from->low >= bound;
    from->low -= bit ? bound : 0;
    from->range = bit ? from->range - bound : bound;
    while (from->range < CODER_TOP) {
        int64_t following = from->position < size ? data[from->position] : 0;
        from->low = from->low << 8 | following;
        from->range <<= 8;
        from->position++;
    }
    return bit;
}

/* Decode a bit in a context and adapt the context. */
INLINE int decode_bit(coder *from, const uint8_t *data, int64_t size, context *of, int limit)
{
    int bit = take_bit(from, data, size, of->chance);
    learn(of, bit, limit);
    return bit;
}

#endif
