/* The trellis search of codec/entropy/trellis.py: LANES paths side by side, one coefficient of each a step. */
#include "symbols.h"
#include "vector.h"

#define BIAS 0.15f /* residues are spaced by 4: a tie goes to the candidate nearer to zero, which is cheaper */
#define FAR 1e30f
#define BLOCK 64 /* steps between which costs stay in the L1 cache */
#define SPAN (BLOCK * LANES)

typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_ints __attribute__((vector_size(16), aligned(4), may_alias));

/* What candidates cost, see trellis.path_rates: rates (classes, width, 4), zero (classes, 4). */
typedef struct {
    const float *rates, *zero;
    int64_t width;
} candidates;

/* Cost of the best candidate of each residue for `count` coefficients: cost (count, 4). Bits 0 and 3 of
   zeroed[i] say that zero beats the candidate of residue 0 or 3. One vector of four residues a coefficient:
   gathering rates for many takes longer. */
static void price(const float *u, const uint8_t *cls, int64_t count, const candidates *of, float *cost,
                  uint8_t *zeroed)
{
    for (int64_t i = 0; i < count; i++) {
        float x = __builtin_fabsf(u[i]);
        int32_t w = (int32_t)(x - BIAS) - 1;
        w = w < 0 ? 0 : w;
        int64_t row = cls[i] * of->width + least(w, of->width - 1);
        four_ints t = w + (((four_ints){0, 1, 2, 3} - w) & 3);
        four_floats off = x - __builtin_convertvector(t, four_floats);
        four_floats near = off * off + *(const four_floats *)(of->rates + 4 * row);
        four_floats none = x * x + *(const four_floats *)(of->zero + 4 * cls[i]);
        four_ints wins = none < near;
        *(four_floats *)(cost + 4 * i) = (four_floats)((wins & (four_ints)none) | (~wins & (four_ints)near));
        zeroed[i] = (uint8_t)((wins[0] & 1) | (wins[3] & 8));
    }
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

#define REPEAT_4(of, s) of(s) of(s + 1) of(s + 2) of(s + 3)
#define REPEAT_8(of, s) REPEAT_4(of, s) REPEAT_4(of, s + 4)
#define REPEAT_16(of, s) REPEAT_8(of, s) REPEAT_8(of, s + 8)
#define REPEAT_32(of, s) REPEAT_16(of, s) REPEAT_16(of, s + 16)
#define REPEAT_64(of, s) REPEAT_32(of, s) REPEAT_32(of, s + 32)

#define LOAD_PATH(s) before[s] = load_floats(path + LANES * (s));
#define STORE_PATH(s) store_floats(path + LANES * (s), before[s]);
#define KEEP(s) before[s] = after[s];
#define STEP(s)                                                              \
    {                                                                        \
        floats one = before[(s) >> 1] + costs[residue(n, s, 0)];             \
        floats two = before[((s) >> 1) + n / 2] + costs[residue(n, s, 1)];   \
        ints second = two < one;                                             \
        after[s] = choose(second, two, one);                                 \
        bits[(s) >> 3] |= second & (1 << ((s) & 7));                         \
    }

/* `steps` steps of SIMD_WIDTH lanes. cost: of the first step's lanes, (LANES, 4) a step; path: (n, LANES) of
   costs, updated; decisions: (groups, LANES) a step: bit s & 7 of group s >> 3 says that state s was reached
   from its second predecessor. Indices of the arrays are constants, so that they become registers. */
#define SEARCH(N)                                                                                        \
    static void search_##N(const float *cost, float *path, uint8_t *decisions, int64_t steps)            \
    {                                                                                                    \
        enum { n = N, groups = (N + 7) / 8 };                                                            \
        floats before[N], after[N];                                                                      \
        REPEAT_##N(LOAD_PATH, 0) for (int64_t step = 0; step < steps; step++)                            \
        {                                                                                                \
            floats costs[4];                                                                             \
            ints bits[groups] = {{0}};                                                                   \
            load_every_fourth(cost + 4 * LANES * step, costs);                                           \
            REPEAT_##N(STEP, 0) REPEAT_##N(KEEP, 0) for (int g = 0; g < groups; g++)                     \
            {                                                                                            \
                store_bytes(decisions + LANES * (groups * step + g), __builtin_convertvector(bits[g], bytes)); \
            }                                                                                            \
        }                                                                                                \
        REPEAT_##N(STORE_PATH, 0)                                                                        \
    }

SEARCH(4)
SEARCH(8)
SEARCH(16)
SEARCH(32)
SEARCH(64)

static void search(int64_t n, const float *cost, float *path, uint8_t *decisions, int64_t steps)
{
    for (int lane = 0; lane < LANES; lane += SIMD_WIDTH) {
        const float *from = cost + 4 * lane;
        switch (n) {
        case 4: search_4(from, path + lane, decisions + lane, steps); break;
        case 8: search_8(from, path + lane, decisions + lane, steps); break;
        case 16: search_16(from, path + lane, decisions + lane, steps); break;
        case 32: search_32(from, path + lane, decisions + lane, steps); break;
        default: search_64(from, path + lane, decisions + lane, steps);
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

/* Indices from the residues that the best path takes (bits 4 and 5) and the flags of zeros (0 and 3). */
static void indices(const float *u, const uint8_t *residue, int64_t n, int32_t *index)
{
    for (int64_t i = 0; i < n; i++) {
        float x = __builtin_fabsf(u[i]);
        int32_t flags = residue[i], r = flags >> 4;
        int32_t w = (int32_t)(x - BIAS) - 1;
        w = w < 0 ? 0 : w;
        int32_t k = (w + ((r - w) & 3) + 1) >> 1;
        int gone = ((r == 0) & (flags & 1)) | ((r == 3) & (flags >> 3 & 1));
        k = gone ? 0 : k;
        index[i] = u[i] < 0 ? -k : k;
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
    float cost[4 * SPAN], path[64 * LANES];
    int32_t state[LANES];
    for (int64_t i = 0; i < states * LANES; i++) {
        path[i] = i < LANES ? 0 : FAR;
    }
    for (int64_t start = 0; start < n; start += SPAN) {
        int64_t count = least(SPAN, n - start);
        price(u + start, cls + start, count, &of, cost, residue + start);
        search(states, cost, path, decisions + start * groups, count / LANES);
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
        out[i] = 2 * k - (quantiser[*held] ? (k > 0) - (k < 0) : 0);
        *held = following[2 * *held | (k & 1)];
    }
}
