/* What a group tells the pixel coder about itself, and the contexts of its training (codec/predictive/fit.py,
   contexts.py). */
#include "pixel.h"

/* What the network would see at every pixel of a strip, for its training: inputs (rows, width, INPUTS), and
   the prediction that its mean is added to. levels: of all pixels, measured or not. */
void KERNEL(pixel_contexts)(const int32_t *levels, int64_t rows, int64_t width, const int32_t *coefficients,
                            int64_t start_error, uint8_t *memory, int16_t *inputs, int32_t *prediction)
{
    pixel_work *work = (pixel_work *)memory;
    start_strip(work, (int32_t)start_error);
    for (int64_t t = 0; t < width + SKEW * (rows - 1); t++) {
        int64_t first, n = wavefront(t, rows, width, &first);
        if (n <= 0) {
            continue;
        }
        gather(work, coefficients, t, first, n);
        int32_t *level = work->ring[0][t & (RING - 1)] + first + MARGIN;
        for (int64_t r = 0; r < n; r++) {
            int64_t at = (first + r) * width + t - SKEW * (first + r);
            for (int i = 0; i < INPUTS; i++) {
                inputs[at * INPUTS + i] = (int16_t)(work->inputs[i / 2][r] >> (i & 1 ? 16 : 0));
            }
            prediction[at] = work->prediction[r];
            level[r] = levels[at];
            work->cells[t & (RING - 1)][first + MARGIN + r] = 0;
        }
        learn_levels(work, t, first, n, width);
    }
}

/* Sums over pairs of rows of a sample, exact: the (TAPS, TAPS) products of taps seen from their reference, and
   their products with the pixel. levels: rows × width in any unit, |level| < 2^20; every `every`th row is
   looked at. coded: 0 where nothing is measured. Returns the number of pixels. */
int64_t KERNEL(pixel_normal_equations)(const int32_t *levels, const uint8_t *coded, int64_t rows,
                                       int64_t width, int64_t every, int64_t limit, int64_t *products,
                                       int64_t *right)
{
    int64_t count = 0;
    for (int64_t row = 3; row < rows; row += every) {
        for (int64_t column = 3; column + 3 < width; column++) {
            int64_t at = row * width + column, taps[TAPS], reference = 512;
            int all = coded[at];
            for (int i = 0; i < TAPS; i++) {
                int64_t from = at + TAP_ROW[i] * width + TAP_COLUMN[i];
                all &= coded[from];
                taps[i] = levels[from];
                reference += taps[i] * TAP_WEIGHT[i];
            }
            if (!all) {
                continue;
            }
            reference >>= 10;
            int64_t own = clamp(levels[at] - reference, -limit, limit);
            for (int i = 0; i < TAPS; i++) {
                taps[i] = clamp(taps[i] - reference, -limit, limit);
                right[i] += taps[i] * own;
                for (int j = 0; j <= i; j++) {
                    products[i * TAPS + j] += taps[i] * taps[j];
                }
            }
            count++;
        }
    }
    return count;
}

/* Sums over the same pixels: |r|, r², r³ / 2^10, r⁴ / 2^20 of residuals r of the least-squares prediction
   (coefficients in 1/4096), clipped to ±limit; then |d| for the differences d to the pixel one and two to the
   left, one and two above, above left, and d² of the first and the third. */
void KERNEL(pixel_statistics)(const int32_t *levels, const uint8_t *coded, int64_t rows, int64_t width,
                              int64_t every, int64_t limit, const int32_t *coefficients, int64_t *sums)
{
    static const int LAG_ROW[5] = {0, 0, -1, -2, -1}, LAG_COLUMN[5] = {-1, -2, 0, 0, -1};
    for (int64_t row = 3; row < rows; row += every) {
        for (int64_t column = 3; column + 3 < width; column++) {
            int64_t at = row * width + column, reference = 512, predicted = 2048;
            int all = coded[at];
            for (int i = 0; i < TAPS; i++) {
                int64_t from = at + TAP_ROW[i] * width + TAP_COLUMN[i];
                all &= coded[from];
                reference += (int64_t)levels[from] * TAP_WEIGHT[i];
            }
            if (!all) {
                continue;
            }
            reference >>= 10;
            for (int i = 0; i < TAPS; i++) {
                int64_t tap = levels[at + TAP_ROW[i] * width + TAP_COLUMN[i]] - reference;
                predicted += clamp(tap, -limit, limit) * coefficients[i];
            }
            int64_t r = clamp(levels[at] - reference - (predicted >> 12), -limit, limit);
            sums[0] += r < 0 ? -r : r;
            sums[1] += r * r;
            sums[2] += (r * r * r) >> 10;
            sums[3] += (r * r * r / 1024 * r) / 1024;
            for (int k = 0; k < 5; k++) {
                int64_t d = levels[at] - levels[at + LAG_ROW[k] * width + LAG_COLUMN[k]];
                d = clamp(d, -limit, limit);
                sums[4 + k] += d < 0 ? -d : d;
                sums[9] += k == 0 ? d * d : 0;
                sums[10] += k == 2 ? d * d : 0;
            }
        }
    }
}
