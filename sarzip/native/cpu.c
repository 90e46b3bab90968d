/* Which level of the kernels this processor runs: 0 baseline, 1 avx2, 2 avx512. Compiled once, for all. */
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

int64_t sarzip_level(void);

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

EXPORT int64_t sarzip_level(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !all(c, bit_OSXSAVE | bit_AVX | bit_POPCNT)) {
        return 0;
    }
    uint64_t state = enabled_state(); /* which registers the operating system keeps: 1, 2 ymm; 5..7 zmm */
    if ((state & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return 0;
    }
    if (!all(b, bit_AVX2 | bit_BMI | bit_BMI2)) {
        return 0;
    }
    if ((state & 0xE6) != 0xE6 || !all(b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) {
        return 1;
    }
    return 2;
}
#else
EXPORT int64_t sarzip_level(void) { return 0; }
#endif
