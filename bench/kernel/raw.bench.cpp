// SPDX-License-Identifier: MIT
// Raw twins of our tiles: the same panels, the same order of sums, written with AVX2 intrinsics and
// nothing else. What ours loses against them is the price of the abstraction.
#include "kernel/product.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && !defined(__AVX512F__)
#include <immintrin.h>

#include "prytany/format/dense.hpp"

namespace {

using namespace bench;

inline void widen(float const* step, __m256& low, __m256& high) {
    low = _mm256_load_ps(step);
    high = _mm256_load_ps(step + 8);
}
inline void widen(bf16 const* step, __m256& low, __m256& high) {
    __m256i const both = _mm256_load_si256(reinterpret_cast<__m256i const*>(step));
    low = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
    high = _mm256_castsi256_ps(
        _mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline void widen(f16 const* step, __m256& low, __m256& high) {
    auto const* const from = reinterpret_cast<__m128i const*>(step);
    low = _mm256_cvtph_ps(_mm_load_si128(from));
    high = _mm256_cvtph_ps(_mm_load_si128(from + 1));
}

/// Rows tokens times Panels panels of 16 outputs, all k.
template <std::size_t Rows, std::size_t Panels, class T>
[[gnu::noinline]] void tile(float const* x, index_t inputs, T const* w, float* y, index_t outputs) {
    __m256 sums[Rows][Panels][2];
    for (index_t from = 0; from < inputs; from += 512) {
        __m256 more[Rows][Panels][2];
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            PRYTANY_UNROLL
            for (std::size_t p = 0; p < Panels; ++p)
                more[r][p][0] = more[r][p][1] = _mm256_setzero_ps();
        }
        index_t const to = std::min(inputs, from + 512);
        for (index_t k = from; k < to; ++k) {
            __m256 weights[Panels][2];
            PRYTANY_UNROLL
            for (std::size_t p = 0; p < Panels; ++p)
                widen(w + (static_cast<index_t>(p) * inputs + k) * 16, weights[p][0],
                      weights[p][1]);
            PRYTANY_UNROLL
            for (std::size_t r = 0; r < Rows; ++r) {
                __m256 const input = _mm256_broadcast_ss(x + static_cast<index_t>(r) * inputs + k);
                PRYTANY_UNROLL
                for (std::size_t p = 0; p < Panels; ++p) {
                    more[r][p][0] = _mm256_fmadd_ps(input, weights[p][0], more[r][p][0]);
                    more[r][p][1] = _mm256_fmadd_ps(input, weights[p][1], more[r][p][1]);
                }
            }
        }
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            PRYTANY_UNROLL
            for (std::size_t p = 0; p < Panels; ++p)
                for (std::size_t h = 0; h < 2; ++h)
                    sums[r][p][h] =
                        from == 0 ? more[r][p][h] : _mm256_add_ps(sums[r][p][h], more[r][p][h]);
        }
    }
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        PRYTANY_UNROLL
        for (std::size_t p = 0; p < Panels; ++p)
            for (std::size_t h = 0; h < 2; ++h)
                _mm256_storeu_ps(y + static_cast<index_t>(r) * outputs + p * 16 + h * 8,
                                 sums[r][p][h]);
    }
}
template <std::size_t Rows, class T>
void rows_of(index_t count, float const* x, index_t inputs, T const* w, float* y, index_t outputs) {
    if (count == static_cast<index_t>(Rows)) return tile<Rows, 1>(x, inputs, w, y, outputs);
    if constexpr (Rows > 1) rows_of<Rows - 1>(count, x, inputs, w, y, outputs);
}

template <auto Format>
struct raw {
    using rows = plain_rows;
    struct matrix {
        packed<Format> panels;

        matrix(matrix_size const& size, float const* from) : panels(size.outputs, size.inputs) {
            for (index_t r = 0; r < size.outputs; ++r)
                panels.pack(r, {from + r * size.inputs, static_cast<std::size_t>(size.inputs)});
        }
        index_t bytes() const { return panels.bytes(); }
    };
    /// Outputs in whole groups of four panels, as all expert matrices here have them.
    static void multiply(rows const& in, matrix const& w, float* y) {
        index_t const outputs = w.panels.rows(), panels = w.panels.panels();
        auto const panel = [&](index_t p) { return w.panels.panel(p); };
        if (in.tokens == 1) {
            for (index_t p = 0; p < panels; p += 4)
                tile<1, 4>(in.x, in.inputs, panel(p), y + p * 16, outputs);
            return;
        }
        if (in.tokens <= 3) {
            for (index_t p = 0; p < panels; p += 2)
                if (in.tokens == 2) tile<2, 2>(in.x, in.inputs, panel(p), y + p * 16, outputs);
                else tile<3, 2>(in.x, in.inputs, panel(p), y + p * 16, outputs);
            return;
        }
        index_t const group = // rows that stay in the second-level cache
            std::clamp<index_t>((index_t{384} << 10) / (in.inputs * 4 + 1) / 6 * 6, 12, 96);
        for (index_t from = 0; from < in.tokens; from += group) {
            index_t const here = std::min(group, in.tokens - from), tiles = (here + 5) / 6;
            for (index_t p = 0; p < panels; ++p)
                for (index_t t = 0; t < tiles; ++t) {
                    index_t const first = from + here * t / tiles,
                                  count = from + here * (t + 1) / tiles - first;
                    rows_of<6>(count, in.x + first * in.inputs, in.inputs, panel(p),
                               y + first * outputs + p * 16, outputs);
                }
        }
    }
};

int const added = add_later([] {
    add_product<raw<dense<float>{}>>("raw", "f32");
    add_product<raw<dense<bf16>{}>>("raw", "bf16");
    add_product<raw<dense<f16>{}>>("raw", "f16");
});

} // namespace
#endif
