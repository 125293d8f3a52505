// SPDX-License-Identifier: MIT
// A loop with more sums than there are registers, and one with few.
#if defined(__AVX512F__)
typedef float vector __attribute__((vector_size(64), aligned(4)));
constexpr int many = 40;
#else
typedef float vector __attribute__((vector_size(32), aligned(4)));
constexpr int many = 20;
#endif

template <int Sums>
inline __attribute__((always_inline)) void add(float const* x, vector const* w, long count,
                                               vector* out) {
    vector sums[Sums] = {};
    for (long k = 0; k < count; ++k) {
        vector const weights = w[k];
#pragma GCC unroll 64
        for (int i = 0; i < Sums; ++i) sums[i] = x[k * Sums + i] * weights + sums[i];
    }
#pragma GCC unroll 64
    for (int i = 0; i < Sums; ++i) out[i] = sums[i];
}

void too_many_sums(float const* x, vector const* w, long count, vector* out) {
    add<many>(x, w, count, out);
}
void few_sums(float const* x, vector const* w, long count, vector* out) {
    add<4>(x, w, count, out);
}
