/* What every kernel file includes.

   Each .c file is compiled once per processor level into one library; VARIANT is the level's name and becomes
   part of the symbol. Rules that keep the results equal bit for bit at every level and with every compiler:
   no contraction and no fast math (CMakeLists.txt), reductions in an order that does not depend on the width
   of a vector, no function of libm. Sizes come as int64_t; the caller answers for the lengths of arrays, and
   for values that index them, so kernels that read streams check what they find there.

   A new kernel: write KERNEL(name) in the .c file of its stage (a new file is found by itself), bind it where
   it is called with kernel("name", "void(const float32[::1], int64)"), build the library, and compare its
   results on all levels in its test (tests/support/levels.py). */
#ifndef SARZIP_COMMON_H
#define SARZIP_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef VARIANT
#define VARIANT baseline
#endif

#define JOIN_TOKENS(name, variant) sarzip_##name##_##variant
#define JOIN(name, variant) JOIN_TOKENS(name, variant)

/* The exported name of a kernel: void KERNEL(add)(...) is called as kernel("add", "void(...)"). */
#define KERNEL(name) __attribute__((visibility("default"))) JOIN(name, VARIANT)

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
