/* The pixel coder: strips of cells by a causal network and interleaved rANS (codec/predictive/strips.py). */
#include "pixel.h"

enum { LANES = 4, REPEAT_CONTEXTS = 64, REPEAT_START = 2048, REPEAT_LEAST = 16, REPEAT_USED = 512,
       SCALE_RATE = 8, SCALE_FIRST = 8, SCALE_LAST = 120 };

#define TOTAL ((int64_t)1 << TOTAL_BITS)
#define LOW_STATE ((uint64_t)1 << 31)

/* Cells in ascending order. edges: in 1/64 of a unit, of cell c those at c and c + 1. found: the cell at
   (distance - least) >> shift, roughly. */
typedef struct {
    const int32_t *levels, *edges, *found;
    int64_t count, least, shift, entries;
} pixel_cells;

/* What a strip learns on its way. chance: in 1/65536, that a pixel repeats its neighbour, by whether those
   around it do; not used if `repeats` is 0. offset: in 1/65536 of a class, what the network's scale classes lack
   here; seen: pixels that said so, as far as they count. */
typedef struct {
    int32_t chance[REPEAT_CONTEXTS], offset[SCALES], seen[SCALES];
    int repeats;
} learned;

/* A strip on its way. */
typedef struct {
    int64_t rows, width;
    pixel_model model;
    pixel_cells cells;
    learned so_far;
    pixel_work *work;
} pixel_strip;

/* A wavefront of it: `n` pixels from row `first` on, and where their levels and cells go. */
typedef struct {
    int64_t t, first, n;
    int32_t *level, *cell;
} pixel_front;

/* The distribution of one pixel. repeated: cell of the neighbour that it may repeat, or -1; extra: what that
   cell has beside the network's share, of TOTAL; chance: of that, told by `learns`. scale: class after `offset`
   of the network's class. */
typedef struct {
    const int32_t *cumulative, *inverse, *multipliers;
    int64_t multiplier, back, mean, spread, extra, repeated, chance, scale;
    int32_t *learns, *offset, *seen;
} distribution;

/* Of pixel r of a wavefront. */
INLINE distribution distribution_of(pixel_strip *strip, const pixel_front *front, int64_t r)
{
    const pixel_work *work = strip->work;
    const pixel_model *model = &strip->model;
    learned *so_far = &strip->so_far;
    int64_t raw = clamp(work->outputs[1][r] + 32, 0, SCALES - 1);
    int64_t scale = clamp(((raw << 16) + so_far->offset[raw] + 32768) >> 16, 0, SCALES - 1);
    int64_t shape = clamp(work->outputs[2][r], 0, SHAPES - 1);
    distribution of = {
        .cumulative = model->cumulative + shape * (TABLE_STEPS + 1),
        .inverse = model->inverse + shape * (INVERSE_STEPS + 1),
        .multiplier = model->multiplier[scale],
        .back = model->back[scale],
        .mean = 64 * (int64_t)work->prediction[r] + 16 * (int64_t)work->outputs[0][r],
        .spread = TOTAL - strip->cells.count,
        .repeated = -1,
        .scale = scale,
        .offset = so_far->offset + raw,
        .seen = so_far->seen + raw,
        .multipliers = model->multiplier,
    };
    if (!so_far->repeats) {
        return of;
    }
    const pixel_rows *ring = work->cells;
    int64_t t = front->t, here = front->first + r + MARGIN;
    int32_t west = ring[(t - 1) & (RING - 1)][here], far = ring[(t - 2) & (RING - 1)][here];
    int32_t north = ring[(t - SKEW) & (RING - 1)][here - 1];
    int32_t north_west = ring[(t - SKEW - 1) & (RING - 1)][here - 1];
    int32_t north_east = ring[(t - SKEW + 1) & (RING - 1)][here - 1];
    int32_t above = ring[(t - 2 * SKEW) & (RING - 1)][here - 2];
    int32_t above_west = ring[(t - 2 * SKEW - 1) & (RING - 1)][here - 2];
    int32_t above_east = ring[(t - 2 * SKEW + 1) & (RING - 1)][here - 2];
    int context = (west == far) | (north == north_west) << 1 | (north_east == north) << 2;
    context |= (west == north_west) << 3 | (above == above_west) << 4 | (above_east == above) << 5;
    of.repeated = (context & 10) == 8 ? north : west;
    of.learns = so_far->chance + context;
    of.chance = *of.learns;
    if (of.repeated >= 0 && of.chance >= REPEAT_USED) {
        of.extra = (of.spread * of.chance) >> 16;
        of.spread -= of.extra;
    }
    return of;
}

/* Share of the cells before one, of TOTAL, without what a repeated cell has beside. */
INLINE int64_t before(const distribution *of, const pixel_cells *cells, int64_t cell)
{
    if (cell <= 0) {
        return 0;
    }
    int64_t share = (int64_t)1 << TABLE_BITS;
    if (cell >= cells->count) {
        return of->spread + cells->count;
    }
    int64_t at = (((cells->edges[cell] - of->mean) * of->multiplier) >> 12) - 256 * TABLE_LEAST;
    if (at <= 0) {
        share = 0;
    } else if (at < 256 * TABLE_STEPS) {
        const int32_t *two = of->cumulative + (at >> 8);
        share = two[0] + (((two[1] - (int64_t)two[0]) * (at & 255)) >> 8);
    }
    return ((share * of->spread) >> TABLE_BITS) + cell;
}

/* Adapt the chance of a repeat, given the network's share of the cell that came. */
INLINE void learn_repeat(const distribution *of, int64_t cell, int64_t share)
{
    if (of->repeated < 0) {
        return;
    }
    int64_t chance = of->chance, towards = 0;
    if (cell == of->repeated) {
        towards = (chance << 16) / (chance + (share >> (TOTAL_BITS - 16)));
    }
    *of->learns = (int32_t)clamp(chance + ((towards - chance + 16) >> 5), REPEAT_LEAST, 65535 - REPEAT_LEAST);
}

/* Share of a cell at another scale class. */
INLINE int64_t share_at(const distribution *of, const pixel_cells *cells, int64_t cell, int64_t scale)
{
    distribution other = *of;
    other.multiplier = of->multipliers[clamp(scale, 0, SCALES - 1)];
    return before(&other, cells, cell + 1) - before(&other, cells, cell);
}

/* Adapt what the scale class lacks, by whether a wider or a narrower one had told the cell better. What may be
   a repeat says nothing of it. */
INLINE void learn_scale(const distribution *of, const pixel_cells *cells, int64_t cell)
{
    if (of->extra && cell == of->repeated) {
        return;
    }
    int64_t wider = share_at(of, cells, cell, of->scale + 1), n = *of->seen;
    int64_t narrower = share_at(of, cells, cell, of->scale - 1);
    int64_t change = 65536 * (wider - narrower) / (wider + narrower);
    int64_t offset = *of->offset + change * SCALE_RATE / (n + SCALE_FIRST);
    *of->offset = (int32_t)clamp(offset, -SCALES * 65536, SCALES * 65536);
    *of->seen = (int32_t)least(n + 1, SCALE_LAST);
}

/* Start and size of a cell's interval, of TOTAL. */
INLINE int64_t interval(const distribution *of, const pixel_cells *cells, int64_t cell, int64_t *size)
{
    int64_t start = before(of, cells, cell), share = before(of, cells, cell + 1) - start;
    learn_repeat(of, cell, share);
    *size = share + (cell == of->repeated ? of->extra : 0);
    return start + (of->repeated >= 0 && cell > of->repeated ? of->extra : 0);
}

/* The cell in whose share of the network `slot` lies. */
INLINE int64_t cell_at(const distribution *of, const pixel_cells *cells, int64_t slot, int64_t *start,
                       int64_t *end)
{
    /* The share is out of spread + count, near TOTAL where nothing repeats. */
    int64_t scaled = of->extra ? slot * INVERSE_STEPS / (of->spread + cells->count)
                               : slot >> (TOTAL_BITS - 10);
    int64_t place = of->mean + (((of->inverse[scaled] + TABLE_LEAST) * of->back) >> 10);
    int64_t cell = cells->found[clamp((place - cells->least) >> cells->shift, 0, cells->entries - 1)];
    int64_t low = before(of, cells, cell);
    while (low > slot) {
        low = before(of, cells, --cell);
    }
    int64_t high = before(of, cells, cell + 1);
    while (high <= slot) {
        low = high;
        high = before(of, cells, ++cell + 1);
    }
    *start = low;
    *end = high;
    return cell;
}

/* The cell of a slot out of TOTAL, and its interval. */
INLINE int64_t decode_cell(const distribution *of, const pixel_cells *cells, int64_t slot, int64_t *start,
                           int64_t *size)
{
    int64_t low, high, cell, shift = 0;
    if (of->extra) {
        low = before(of, cells, of->repeated);
        high = before(of, cells, of->repeated + 1);
        shift = slot >= high + of->extra ? of->extra : 0;
    }
    if (of->extra && slot >= low && !shift) {
        cell = of->repeated;
    } else {
        cell = cell_at(of, cells, slot - shift, &low, &high);
    }
    learn_repeat(of, cell, high - low);
    *start = low + shift;
    *size = high - low + (cell == of->repeated ? of->extra : 0);
    return cell;
}

/* Levels, edges and found one after the other, as Python builds them; sizes: count, least, shift, entries. */
INLINE pixel_cells cells_of(const int32_t *arrays, const int64_t *sizes)
{
    pixel_cells cells = {arrays, arrays + sizes[0], arrays + 2 * sizes[0] + 1, sizes[0], sizes[1], sizes[2],
                         sizes[3]};
    return cells;
}

INLINE pixel_model model_of(const int16_t *weights, const int32_t *biases, const int32_t *coefficients,
                            const int32_t *tables)
{
    const int32_t *inverse = tables + SHAPES * (TABLE_STEPS + 1);
    const int32_t *multiplier = inverse + SHAPES * (INVERSE_STEPS + 1);
    pixel_model model = {weights, biases,     coefficients, tables,
                         inverse, multiplier, multiplier + SCALES};
    return model;
}

INLINE pixel_strip new_strip(int64_t rows, int64_t width, pixel_model model, pixel_cells cells,
                             int64_t repeats, int64_t start_error, uint8_t *memory)
{
    pixel_strip of = {rows, width, model, cells, {.repeats = repeats != 0}, (pixel_work *)memory};
    for (int i = 0; i < REPEAT_CONTEXTS; i++) {
        of.so_far.chance[i] = REPEAT_START;
    }
    start_strip(of.work, (int32_t)start_error);
    return of;
}

/* Wavefronts of a strip, one after the other. */
INLINE int64_t front_count(const pixel_strip *strip) { return strip->width + SKEW * (strip->rows - 1); }

/* Wavefront t, the outputs of the network for it ready; n may be 0 or less. */
INLINE pixel_front front_of(pixel_strip *strip, int64_t t)
{
    pixel_work *work = strip->work;
    pixel_front of = {.t = t};
    of.n = wavefront(t, strip->rows, strip->width, &of.first);
    if (of.n > 0) {
        gather(work, strip->model.coefficients, t, of.first, of.n);
        run_network(work, &strip->model, of.n);
    }
    of.level = work->ring[0][t & (RING - 1)] + of.first + MARGIN;
    of.cell = work->cells[t & (RING - 1)] + of.first + MARGIN;
    return of;
}

/* What follows from the levels and cells of a wavefront. */
INLINE void learn_front(pixel_strip *strip, const pixel_front *front)
{
    if (front->n > 0) {
        learn_levels(strip->work, front->t, front->first, front->n, strip->width);
    }
}

/* Bytes of the buffer `work` of the kernels below. */
int64_t KERNEL(pixel_work_size)(void) { return sizeof(pixel_work); }

/* Interval (start, size) of every pixel of a strip in the order of coding, those left out whose cell is -1.
   Returns how many. */
int64_t KERNEL(pixel_intervals)(const int32_t *index, int64_t rows, int64_t width, const int16_t *weights,
                                const int32_t *biases, const int32_t *coefficients, const int32_t *tables,
                                const int32_t *arrays, const int64_t *sizes, int64_t repeating,
                                int64_t start_error, uint8_t *memory, uint32_t *intervals)
{
    pixel_cells cells = cells_of(arrays, sizes);
    pixel_strip strip = new_strip(rows, width, model_of(weights, biases, coefficients, tables), cells,
                                  repeating, start_error, memory);
    int64_t done = 0;
    for (int64_t t = 0; t < front_count(&strip); t++) {
        pixel_front front = front_of(&strip, t);
        int32_t *level = front.level, *cell = front.cell;
        for (int64_t r = 0; r < front.n; r++) {
            int64_t row = front.first + r;
            cell[r] = index[row * width + t - SKEW * row];
            if (cell[r] < 0) {
                level[r] = strip.work->reference[r];
                continue;
            }
            distribution of = distribution_of(&strip, &front, r);
            int64_t size, start = interval(&of, &cells, cell[r], &size);
            if (t & 1) { /* every second wavefront is enough, and sooner done */
                learn_scale(&of, &cells, cell[r]);
            }
            intervals[2 * done] = (uint32_t)start;
            intervals[2 * done + 1] = (uint32_t)size;
            done++;
            level[r] = cells.levels[cell[r]];
        }
        learn_front(&strip, &front);
    }
    return done;
}

/* rANS of n intervals from the last to the first: words from the end of an array of n + 2 on, whose position
   is returned, and four states. */
int64_t KERNEL(pixel_rans)(const uint32_t *intervals, int64_t n, uint32_t *words, uint64_t *states)
{
    int64_t at = n + 2;
    for (int k = 0; k < LANES; k++) {
        states[k] = LOW_STATE;
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        uint64_t x = states[i & (LANES - 1)], size = intervals[2 * i + 1];
        if (x >= size << (63 - TOTAL_BITS)) {
            words[--at] = (uint32_t)x;
            x >>= 32;
        }
        states[i & (LANES - 1)] = (x / size << TOTAL_BITS) + x % size + intervals[2 * i];
    }
    return at;
}

/* The cells of a strip: index is -1 where nothing is coded, and is filled elsewhere. Returns whether the words
   end where the strip does, with the states that an encoder begins with. */
int64_t KERNEL(pixel_decode)(int32_t *index, int64_t rows, int64_t width, const int16_t *weights,
                             const int32_t *biases, const int32_t *coefficients, const int32_t *tables,
                             const int32_t *arrays, const int64_t *sizes, int64_t repeating,
                             int64_t start_error, uint8_t *memory, const uint32_t *words, int64_t count,
                             uint64_t *states)
{
    pixel_cells cells = cells_of(arrays, sizes);
    pixel_strip strip = new_strip(rows, width, model_of(weights, biases, coefficients, tables), cells,
                                  repeating, start_error, memory);
    int64_t at = 0, lane = 0;
    for (int64_t t = 0; t < front_count(&strip); t++) {
        pixel_front front = front_of(&strip, t);
        int32_t *level = front.level, *cell = front.cell;
        for (int64_t r = 0; r < front.n; r++) {
            int64_t row = front.first + r;
            int32_t *to = index + row * width + t - SKEW * row;
            if (*to < 0) {
                cell[r] = -1;
                level[r] = strip.work->reference[r];
                continue;
            }
            distribution of = distribution_of(&strip, &front, r);
            uint64_t x = states[lane];
            int64_t start, size, slot = (int64_t)(x & (TOTAL - 1));
            cell[r] = *to = (int32_t)decode_cell(&of, &cells, slot, &start, &size);
            if (t & 1) {
                learn_scale(&of, &cells, cell[r]);
            }
            level[r] = cells.levels[cell[r]];
            x = (uint64_t)size * (x >> TOTAL_BITS) + (uint64_t)(slot - start);
            if (x < LOW_STATE) {
                x = x << 32 | (at < count ? words[at] : 0);
                at++;
            }
            states[lane] = x;
            lane = (lane + 1) & (LANES - 1);
        }
        learn_front(&strip, &front);
    }
    int clean = at == count;
    for (int k = 0; k < LANES; k++) {
        clean &= states[k] == LOW_STATE;
    }
    return clean;
}
