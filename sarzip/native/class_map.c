/* Class maps (codec/streams/class_map.py): which pixels are measurements, and the coder of their planes. */
#include "binary.h"

enum { BLOCK = 64, COUNTED = 250, EVEN = 32768, MOST_CLASSES = 15, MANY = 31, SQUARE = 16 };

/* Give the marked pixels that lie in a horizontal run of at least `length` the class `number`. */
void KERNEL(mark_long_runs)(const uint8_t *hit, int64_t rows, int64_t columns, int64_t length, int64_t number,
                            uint8_t *classes)
{
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *row = hit + i * columns;
        int64_t start = 0;
        for (int64_t j = 0; j <= columns; j++) {
            if (j < columns && row[j]) {
                continue;
            }
            if (j - start >= length) {
                memset(classes + i * columns + start, (int)number, (size_t)(j - start));
            }
            start = j + 1;
        }
    }
}

/* found: 1 for each square of SQUARE×SQUARE pixels without a measurement. */
void KERNEL(empty_squares)(const uint8_t *classes, int64_t rows, int64_t columns, uint8_t *found)
{
    int64_t across = (columns + SQUARE - 1) / SQUARE;
    for (int64_t top = 0; top < rows; top += SQUARE) {
        int64_t bottom = least(top + SQUARE, rows);
        for (int64_t j = 0; j < across; j++) {
            int64_t left = SQUARE * j, right = least(left + SQUARE, columns), y = top, x = left;
            while (y < bottom && classes[y * columns + x]) { /* most have one at once */
                if (++x == right) {
                    y++;
                    x = left;
                }
            }
            found[top / SQUARE * across + j] = y == bottom;
        }
    }
}

/* Bit k is set if class k occurs; bit MANY if MANY or any above does. */
int64_t KERNEL(occurring)(const uint8_t *classes, int64_t count)
{
    uint32_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        found |= (uint32_t)1 << (classes[i] < MANY ? classes[i] : MANY);
    }
    return found;
}

/* Where the planes of a map come from or go to. */
typedef struct {
    coder *state;
    uint8_t *data;
    int64_t size;
    uint8_t *classes;
    int64_t rows, columns;
    int encoding;
} planes;

typedef struct {
    context same[24], small[64], large[1024];
} plane_model;

INLINE int even_bit(const planes *of, int bit)
{
    if (of->encoding) {
        put_bit(of->state, of->data, EVEN, bit);
        return bit;
    }
    return take_bit(of->state, of->data, of->size, EVEN);
}

INLINE int model_bit(const planes *of, context *in, int bit)
{
    if (of->encoding) {
        encode_bit(of->state, of->data, in, bit, COUNTED);
        return bit;
    }
    return decode_bit(of->state, of->data, of->size, in, COUNTED);
}

/* Pixels of a row in [begin, end), counted from the two zeros before it; false if none differs from the row
   above, which the flag of the block has promised. */
static int code_pixels(const planes *of, plane_model *model, uint8_t *row, const uint8_t *above,
                       const uint8_t *higher, uint8_t *marks, int64_t begin, int64_t end, int number, int *found)
{
    int changed = 0;
    for (int64_t j = begin; j < end; j++) {
        if (marks[j - 2] && marks[j - 2] < number) {
            changed |= above[j] != 0;
            continue;
        }
        int near = row[j - 1] | row[j - 2] << 1 | above[j - 1] << 2 | above[j] << 3 | above[j + 1] << 4 |
                   higher[j] << 5;
        int wide = near | above[j - 2] << 6 | above[j + 2] << 7 | higher[j - 1] << 8 | higher[j + 1] << 9;
        context *small = &model->small[near], *large = &model->large[wide];
        if (large->count == 0) {
            large->chance = small->chance;
            large->count = (uint16_t)least(small->count, 2);
        }
        int bit = model_bit(of, large, row[j]);
        if (!of->encoding && bit) {
            row[j] = 1;
            marks[j - 2] = (uint8_t)number;
            *found = 1;
        }
        changed |= bit != above[j];
        learn(small, bit, COUNTED);
    }
    return changed;
}

/* One plane; false if there is no room to encode into, or what is decoded is not allowed. `scratch`: bits of
   this row and the two above with two zeros on each side, and which blocks differed from those above. */
static int code_plane(const planes *of, uint8_t *scratch, int number)
{
    int64_t columns = of->columns, wide = columns + 4, blocks = (columns + BLOCK - 1) / BLOCK;
    uint8_t *differed = scratch + 3 * wide;
    plane_model model;
    int found = of->encoding;
    memset(scratch, 0, (size_t)(3 * wide + 2 * (blocks + 2)));
    memset(&model, 0, sizeof model);
    for (int k = 0; k < 1024; k++) {
        model.large[k].chance = EVEN;
        model.small[k & 63].chance = EVEN;
        model.same[k % 24].chance = EVEN;
    }
    for (int64_t i = 0; i < of->rows; i++) {
        if (of->encoding && of->state->position + 4 * columns + 64 > of->size) {
            return 0;
        }
        uint8_t *row = scratch + i % 3 * wide, *above = scratch + (i + 2) % 3 * wide;
        uint8_t *higher = scratch + (i + 1) % 3 * wide, *marks = of->classes + i * columns;
        uint8_t *now = differed + i % 2 * (blocks + 2), *before = differed + (i + 1) % 2 * (blocks + 2);
        memset(row + 2, 0, (size_t)columns);
        if (of->encoding) {
            for (int64_t j = 0; j < columns; j++) {
                row[2 + j] = marks[j] == number;
            }
        }
        for (int64_t block = 0; block < blocks; block++) {
            int64_t begin = 2 + BLOCK * block, end = 2 + least(BLOCK * (block + 1), columns);
            /* The whole block is looked at, without a way out in between, so that it runs on vectors. */
            uint8_t first = above[begin], other = 0;
            for (int64_t j = begin - 1; j <= end; j++) {
                other |= above[j] ^ first;
            }
            int plain = other ? 0 : row[begin - 1] == first ? 1 : 2;
            context *same = &model.same[8 * plain + 4 * now[block] + 2 * before[block + 1] + before[block + 2]];
            other = 0;
            if (of->encoding) {
                for (int64_t j = begin; j < end; j++) {
                    other |= row[j] ^ above[j];
                }
            }
            now[block + 1] = (uint8_t)model_bit(of, same, other);
            if (now[block + 1]) {
                if (!code_pixels(of, &model, row, above, higher, marks, begin, end, number, &found)) {
                    return 0;
                }
            } else if (!of->encoding) {
                for (int64_t j = begin; j < end; j++) {
                    row[j] = above[j];
                    if (row[j]) {
                        if (marks[j - 2]) {
                            return 0;
                        }
                        marks[j - 2] = (uint8_t)number;
                        found = 1;
                    }
                }
            }
        }
    }
    return found;
}

/* Encode the planes of the `count` classes `present`, or decode them into `classes`; false if `data` is too
   short to encode into, or what is decoded is not allowed. scratch: 3·(columns + 4) + 2·(blocks + 2) bytes. */
int64_t KERNEL(code_planes)(int64_t *state, uint8_t *data, int64_t size, uint8_t *classes, int64_t rows,
                            int64_t columns, const int64_t *present, int64_t count, int64_t specials,
                            uint8_t *scratch, int64_t encoding)
{
    planes of = {(coder *)state, data, size, classes, rows, columns, encoding != 0};
    int64_t last = 0;
    for (int plane = 0; plane < MOST_CLASSES; plane++) {
        int64_t number = last + 1;
        while (even_bit(&of, encoding && present[plane] > number)) {
            number++;
            if (!encoding && number > specials) {
                return 0;
            }
        }
        last = number;
        if ((!encoding && number > specials) || !code_plane(&of, scratch, (int)number)) {
            return 0;
        }
        if (!even_bit(&of, encoding && plane + 1 < count)) {
            return 1;
        }
    }
    return 0;
}
