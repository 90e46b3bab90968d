/* Logarithms and exponentials of arrays (sarzip/native/maths.py), and matrix products in a fixed order. */
#include "maths.h"
#include "vector.h"

INLINE float log1p_of_float(float x) { return log_of_float(x + 1.0f); }

/* out[i] = scale · f(x[i]) + offset, for float and double arrays. */
#define APPLY(kernel_name, type, function)                                                                      \
    void KERNEL(kernel_name)(const type *x, int64_t n, double scale, double offset, type *out)                  \
    {                                                                                                           \
        type factor = (type)scale, addend = (type)offset;                                                       \
        for (int64_t i = 0; i < n; i++) {                                                                       \
            out[i] = factor * function(x[i]) + addend;                                                          \
        }                                                                                                       \
    }

APPLY(log_float, float, log_of_float)
APPLY(log_double, double, log_of)
APPLY(exp_float, float, exp_of_float)
APPLY(exp_double, double, exp_of)
APPLY(log1p_float, float, log1p_of_float)

/* As many sums at a time as the registers hold: two vectors of columns of so many rows. */
enum { ROWS = SIMD_WIDTH == 16 ? 8 : 4, WIDE = 2 * SIMD_WIDTH };

/* `count` rows (at most ROWS) of a product, for the WIDE columns of a packed panel. */
INLINE void product_block(const float *left, int64_t inner, const float *panel, float *out, int64_t columns,
                          int64_t width, int count)
{
    floats sums[ROWS][2] = {{{0}}};
    for (int64_t k = 0; k < inner; k++) {
        floats first = load_floats(panel + WIDE * k), second = load_floats(panel + WIDE * k + SIMD_WIDTH);
        for (int m = 0; m < ROWS; m++) {
            float factor = left[least(m, count - 1) * inner + k];
            sums[m][0] += factor * first;
            sums[m][1] += factor * second;
        }
    }
    for (int m = 0; m < count; m++) {
        memcpy(out + m * columns, sums[m], (size_t)width * sizeof *out);
    }
}

/* left (rows, inner) times right (inner, columns), each sum over k = 0, 1, … in this order. right may have
   longer rows than columns: stride. panel: 32 · inner of scratch. */
void KERNEL(product)(const float *left, const float *right, int64_t stride, int64_t rows, int64_t inner,
                     int64_t columns, float *panel, float *out)
{
    for (int64_t column = 0; column < columns; column += WIDE) {
        int64_t width = least(WIDE, columns - column);
        for (int64_t k = 0; k < inner; k++) {
            memset(panel + WIDE * k, 0, WIDE * sizeof *panel);
            memcpy(panel + WIDE * k, right + k * stride + column, (size_t)width * sizeof *panel);
        }
        for (int64_t m = 0; m < rows; m += ROWS) {
            int count = (int)least(ROWS, rows - m);
            product_block(left + m * inner, inner, panel, out + m * columns + column, columns, width, count);
        }
    }
}

/* The same in double: left (rows, inner) times right (inner, columns). */
void KERNEL(product_double)(const double *left, const double *right, int64_t rows, int64_t inner,
                            int64_t columns, double *out)
{
    for (int64_t m = 0; m < rows; m++) {
        double *sums = out + m * columns;
        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (int64_t k = 0; k < inner; k++) {
            double factor = left[m * inner + k];
            for (int64_t n = 0; n < columns; n++) {
                sums[n] += factor * right[k * columns + n];
            }
        }
    }
}

/* Solve a symmetric positive definite system (n, n) in place, by Cholesky's method; x: right side, then
   solution. */
void KERNEL(solve)(double *matrix, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = matrix[i * n + j];
            for (int64_t k = 0; k < j; k++) {
                sum -= matrix[i * n + k] * matrix[j * n + k];
            }
            matrix[i * n + j] = i == j ? __builtin_sqrt(sum) : sum / matrix[j * n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) {
            x[i] -= matrix[i * n + k] * x[k];
        }
        x[i] /= matrix[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) {
            x[i] -= matrix[k * n + i] * x[k];
        }
        x[i] /= matrix[i * n + i];
    }
}
