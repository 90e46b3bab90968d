/* The trellis search of codec/entropy/trellis.py: LANES paths side by side, one coefficient of each a
   step. */
#include "symbols.h"
#include "vector.h"

/* Residues are spaced by 4: a tie goes to the candidate nearer to zero, which is cheaper. */
#define BIAS 0.15f
#define FAR 1e30f
#define BLOCK 64 /* steps between which costs stay in the L1 cache */
#define SPAN (BLOCK * LANES)

#define REPEAT_4(of, s) of(s) of(s + 1) of(s + 2) of(s + 3)
#define REPEAT_8(of, s) REPEAT_4(of, s) REPEAT_4(of, s + 4)
#define REPEAT_16(of, s) REPEAT_8(of, s) REPEAT_8(of, s + 8)
#define REPEAT_32(of, s) REPEAT_16(of, s) REPEAT_16(of, s + 16)
#define REPEAT_64(of, s) REPEAT_32(of, s) REPEAT_32(of, s + 32)

typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

/* What candidates cost, see trellis.path_rates: rates (classes, width, 4), zero (classes, 4). */
typedef struct {
    const float *rates, *zero;
    int64_t width;
} candidates;

/* What a span of coefficients may cost: rates of the candidates by coefficient and residue, and the rates of
   zero as residues 0 and 3. */
typedef struct {
    float rates[4 * SPAN], zero_0[SPAN], zero_3[SPAN];
} span_rates;

/* The lowest candidate for magnitudes x: residues 0 to 3 are the nearest points of w..w + 3. */
INLINE ints lowest(floats x)
{
    ints w = __builtin_convertvector(x - BIAS, ints) - 1;
    return w & ~(w >> 31);
}

/* Fetch the rates of `count` coefficients, a multiple of LANES. One vector of four residues a coefficient:
   gathering them in a vector's lanes takes longer. */
static void fetch_rates(const float *u, const uint8_t *cls, int64_t count, const candidates *of,
                        span_rates *to)
{
    int32_t lows[SPAN];
    for (int64_t i = 0; i < count; i += SIMD_WIDTH) {
        store_ints(lows + i, lowest(magnitude(load_floats(u + i))));
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t row = cls[i] * of->width + least(lows[i], of->width - 1);
        *(four_floats *)(to->rates + 4 * i) = *(const four_floats *)(of->rates + 4 * row);
        to->zero_0[i] = of->zero[4 * cls[i]];
        to->zero_3[i] = of->zero[4 * cls[i] + 3];
    }
}

/* Costs of the best candidates of each residue for coefficients u, whose rates are the i-th of the span. Bits
   0 and 3 of zeroed say that zero beats the candidate of residue 0 or 3. */
INLINE void price(const float *u, const span_rates *of, int64_t i, floats cost[4], uint8_t *zeroed)
{
    floats x = magnitude(load_floats(u + i));
    ints w = lowest(x);
    load_every_fourth(of->rates + 4 * i, cost);
#define ADD_DISTANCE(r)                                                      \
    {                                                                        \
        floats off = x - __builtin_convertvector(w + ((r - w) & 3), floats); \
        cost[r] = off * off + cost[r];                                       \
    }
    REPEAT_4(ADD_DISTANCE, 0)
    floats square = x * x;
    floats zero_0 = square + load_floats(of->zero_0 + i), zero_3 = square + load_floats(of->zero_3 + i);
    ints wins_0 = zero_0 < cost[0], wins_3 = zero_3 < cost[3];
    cost[0] = lower(zero_0, cost[0]);
    cost[3] = lower(zero_3, cost[3]);
    store_bytes(zeroed + i, __builtin_convertvector((wins_0 & 1) | (wins_3 & 8), bytes));
}

/* The state machine of n states (rans.MACHINES): a shift register; before state s came s >> 1 (its first
   predecessor) or that plus n / 2 (its second). The new bit is the parity of the index xor that of state &
   feedback, and the quantiser the parity of state & select. */
INLINE int feedback(int n) { return n == 4 ? 2 : n == 8 ? 7 : n == 16 ? 9 : n == 32 ? 18 : 47; }
INLINE int selector(int n) { return n == 4 ? 1 : n == 8 ? 2 : n == 16 ? 4 : n == 32 ? 12 : 25; }

/* |t| mod 4 on the way into state s of n from its first or second predecessor. */
INLINE int residue(int n, int s, int second)
{
    int before = (s >> 1) + second * (n / 2);
    int parity = (s & 1) ^ __builtin_parity(before & feedback(n));
    return __builtin_parity(before & selector(n)) ? 3 - 2 * parity : 2 * parity;
}

#define LOAD_PATH(s) before[s] = load_floats(path + LANES * (s) + lane);
#define STORE_PATH(s) store_floats(path + LANES * (s) + lane, before[s]);
#define KEEP(s) before[s] = after[s];
#define STEP(s)                                                            \
    {                                                                      \
        floats one = before[(s) >> 1] + costs[residue(n, s, 0)];           \
        floats two = before[((s) >> 1) + n / 2] + costs[residue(n, s, 1)]; \
        ints second = two < one;                                           \
        after[s] = lower(two, one);                                        \
        bits[(s) >> 3] |= second & (1 << ((s) & 7));                       \
    }

/* Steps of SIMD_WIDTH lanes from `lane` on, LANES coefficients from one to the next. path: (n, LANES) of
   costs, updated; decisions: (groups, LANES) a step: bit s & 7 of group s >> 3 says that state s was reached
   from its second predecessor. Indices of the local arrays are constants, so that they become registers. */
#define SEARCH(N)                                                                                      \
    static void search_##N(const float *u, const span_rates *of, int64_t count, int lane, float *path, \
                           uint8_t *zeroed, uint8_t *decisions)                                        \
    {                                                                                                  \
        enum { n = N, groups = (N + 7) / 8 };                                                          \
        floats before[N], after[N];                                                                    \
        REPEAT_##N(LOAD_PATH, 0);                                                                      \
        for (int64_t i = 0; i < count; i += LANES) {                                                   \
            floats costs[4];                                                                           \
            ints bits[groups] = {{0}};                                                                 \
            price(u, of, i + lane, costs, zeroed);                                                     \
            REPEAT_##N(STEP, 0);                                                                       \
            REPEAT_##N(KEEP, 0);                                                                       \
            for (int g = 0; g < groups; g++) {                                                         \
                uint8_t *at = decisions + groups * i + LANES * g + lane;                               \
                store_bytes(at, __builtin_convertvector(bits[g], bytes));                              \
            }                                                                                          \
        }                                                                                              \
        REPEAT_##N(STORE_PATH, 0);                                                                     \
    }

SEARCH(4)
SEARCH(8)
SEARCH(16)
SEARCH(32)
SEARCH(64)

static void search(int64_t states, const float *u, const span_rates *of, int64_t count, float *path,
                   uint8_t *zeroed, uint8_t *decisions)
{
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        switch (states) {
        case 4: search_4(u, of, count, lane, path, zeroed, decisions); break;
        case 8: search_8(u, of, count, lane, path, zeroed, decisions); break;
        case 16: search_16(u, of, count, lane, path, zeroed, decisions); break;
        case 32: search_32(u, of, count, lane, path, zeroed, decisions); break;
        default: search_64(u, of, count, lane, path, zeroed, decisions);
        }
    }
}

/* Path costs relative to state 0 keep float32 exact enough over any length. */
static void rebase(float *path, int64_t states)
{
    for (int64_t s = states - 1; s >= 0; s--) {
        for (int lane = 0; lane < LANES; lane++) {
            path[s * LANES + lane] -= path[lane];
        }
    }
}

/* State of the cheapest path of each lane. */
static void best_states(const float *path, int64_t states, int32_t *state)
{
    for (int lane = 0; lane < LANES; lane++) {
        state[lane] = 0;
        for (int64_t s = 1; s < states; s++) {
            if (path[s * LANES + lane] < path[state[lane] * LANES + lane]) {
                state[lane] = (int32_t)s;
            }
        }
    }
}

/* Walk back from the last states: adds 16 times the residue of every step to `found`. */
static void trace(const uint8_t *decisions, int64_t n, int states, int32_t *state, uint8_t *found)
{
    int64_t groups = (states + 7) / 8;
    uint8_t residues[128];
    for (int s = 0; s < states; s++) {
        residues[2 * s] = (uint8_t)(residue(states, s, 0) << 4);
        residues[2 * s + 1] = (uint8_t)(residue(states, s, 1) << 4);
    }
    for (int64_t start = n - LANES; start >= 0; start -= LANES) {
        const uint8_t *at = decisions + start * groups;
        for (int lane = 0; lane < LANES; lane++) {
            int32_t held = state[lane];
            int32_t second = (at[(held >> 3) * LANES + lane] >> (held & 7)) & 1;
            found[start + lane] |= residues[2 * held + second];
            state[lane] = (held >> 1) + (states / 2) * second;
        }
    }
}

/* The same for up to 8 states, whose decisions lie in one byte and whose residues in one number. */
static void trace_few(const uint8_t *decisions, int64_t n, int states, int32_t *state, uint8_t *found)
{
    uint32_t residues = 0;
    for (int s = 0; s < states; s++) {
        residues |= (uint32_t)(residue(states, s, 0) | residue(states, s, 1) << 2) << 4 * s;
    }
    for (int64_t start = n - LANES; start >= 0; start -= LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            uint32_t held = (uint32_t)state[lane];
            uint32_t second = ((uint32_t)decisions[start + lane] >> held) & 1;
            found[start + lane] |= (uint8_t)(((residues >> (4 * held + 2 * second)) & 3) << 4);
            state[lane] = (int32_t)((held >> 1) + (uint32_t)(states / 2) * second);
        }
    }
}

/* Indices from the residues that the best path takes (bits 4 and 5) and the flags of zeros (0 and 3); n is a
   multiple of LANES. */
static void indices(const float *u, const uint8_t *residue, int64_t n, int32_t *index)
{
    for (int64_t i = 0; i < n; i += SIMD_WIDTH) {
        floats value = load_floats(u + i);
        ints flags = __builtin_convertvector(load_bytes(residue + i), ints), r = flags >> 4;
        ints w = lowest(magnitude(value)), k = (w + ((r - w) & 3) + 1) >> 1;
        ints gone = ((r == 0) & -(flags & 1)) | ((r == 3) & -(flags >> 3 & 1)), negative = value < 0;
        k &= ~gone;
        store_ints(index + i, (k ^ negative) - negative);
    }
}

/* Indices of the best paths of n coefficients, a multiple of LANES, with 4 to 64 states. Room to work in:
   residue (n,), decisions (n * groups of 8 states,). */
void KERNEL(trellis_viterbi)(const float *u, const uint8_t *cls, int64_t n, const float *rates,
                             const float *zero, int64_t width, int64_t states, uint8_t *residue,
                             uint8_t *decisions, int32_t *index)
{
    candidates of = {rates, zero, width};
    int64_t groups = (states + 7) / 8;
    float path[64 * LANES];
    int32_t state[LANES];
    span_rates fetched;
    for (int64_t i = 0; i < states * LANES; i++) {
        path[i] = i < LANES ? 0 : FAR;
    }
    for (int64_t start = 0; start < n; start += SPAN) {
        int64_t count = least(SPAN, n - start);
        fetch_rates(u + start, cls + start, count, &of, &fetched);
        search(states, u + start, &fetched, count, path, residue + start, decisions + start * groups);
        rebase(path, states);
    }
    best_states(path, states, state);
    (states > 8 ? trace : trace_few)(decisions, n, (int)states, state, residue);
    indices(u, residue, n, index);
}

/* Indices of n coefficients with a uniform quantiser. */
void KERNEL(trellis_nearest)(const float *u, const uint8_t *cls, int64_t n, const float *rounding,
                             const float *dead, int64_t width, int32_t *index)
{
    thresholds of = {rounding, dead, width};
    for (int64_t i = 0; i < n; i++) {
        index[i] = nearest(u[i], cls[i], &of);
    }
}

/* Lattice points of n indices along the states of a machine: k, or 2 k and 2 k - sign(k). */
void KERNEL(trellis_lattice)(const int32_t *index, int64_t n, const uint8_t *following,
                             const uint8_t *quantiser, int64_t states, int32_t *out)
{
    uint8_t state[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        int32_t k = index[i];
        if (states == 1) {
            out[i] = k;
            continue;
        }
        uint8_t *held = state + (i & (LANES - 1));
        out[i] = 2 * k - (((k > 0) - (k < 0)) & -(int32_t)quantiser[*held]);
        *held = following[2 * *held | (k & 1)];
    }
}
