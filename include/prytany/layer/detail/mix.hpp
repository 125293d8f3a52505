// SPDX-License-Identifier: MIT
// What layers that mix rows or weights are made of.
#pragma once

#include <algorithm>

#include "prytany/kernel/softmax.hpp"
#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Turns `count` numbers, `stride` apart, into their softmax.
inline void softmax_in_place(float* x, index_t count, index_t stride = 1) noexcept {
    kernel::softmax const share(count, [=](index_t i) { return x[i * stride]; });
    for (index_t i = 0; i < count; ++i) x[i * stride] = share(x[i * stride]);
}
/// y += weight · x.
inline void add_scaled(float weight, float const* x, float* y, index_t count) noexcept {
    auto const w = simd::fill(weight);
    for (index_t i = 0; i < count; i += lanes)
        simd::store_first(
            y + i,
            simd::fma(w, simd::load_first(x + i, count - i), simd::load_first(y + i, count - i)),
            count - i);
}

/// Runs f(first, count, worker) over some rows, a few stretches for each worker.
template <class X, class F>
void over_cuts(index_t rows, X&& pool, F&& f) {
    index_t const cuts = pool.width() == 1 ? 1 : std::min(2 * pool.width(), rows);
    if (cuts <= 1) return f(index_t{0}, rows, index_t{0});
    pool.for_each(cuts, [&](index_t i, index_t worker) {
        index_t const first = rows * i / cuts;
        f(first, rows * (i + 1) / cuts - first, worker);
    });
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
