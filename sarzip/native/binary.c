/* The binary coder over arrays of bits: what defines it in tests, whatever the streams make of it. */
#include "binary.h"

/* Encode n bits. where: context of each, or minus the fixed chance of a 0; out: 2 n + 8 bytes. */
void KERNEL(binary_encode)(coder *to, uint8_t *out, context *model, const int64_t *where, const int64_t *bits,
                           int64_t n, int64_t limit)
{
    for (int64_t i = 0; i < n; i++) {
        if (where[i] < 0) {
            put_bit(to, out, -where[i], bits[i] != 0);
        } else {
            encode_bit(to, out, model + where[i], bits[i] != 0, (int)limit);
        }
    }
}

/* Decode n bits of a stream of `size` bytes. */
void KERNEL(binary_decode)(coder *from, const uint8_t *data, int64_t size, context *model,
                           const int64_t *where, int64_t *bits, int64_t n, int64_t limit)
{
    for (int64_t i = 0; i < n; i++) {
        bits[i] = where[i] < 0 ? take_bit(from, data, size, -where[i])
                               : decode_bit(from, data, size, model + where[i], (int)limit);
    }
}
