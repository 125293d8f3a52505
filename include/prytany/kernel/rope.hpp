// SPDX-License-Identifier: MIT
// Rotary position embedding.
#pragma once

#include <cmath>

#include "prytany/core/buffer.hpp"
#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// The cosines and sines of every position, computed once in double.
///
///     angle(s, i) = s · base^(-2i / size),   i < size / 2
///
/// Source    Su et al. 2021, eq. 15, arXiv:2104.09864
/// Test      tests/kernel/rope.test.cpp
class rotation {
public:
    rotation() = default;
    rotation(index_t positions, index_t size, double base)
        : half_(size / 2), table_(positions * size) {
        for (index_t s = 0; s < positions; ++s)
            for (index_t i = 0; i < half_; ++i) {
                double const power = -2.0 * static_cast<double>(i) / static_cast<double>(size);
                // the frequency is rounded to float first, as every trained model had it
                auto const frequency = static_cast<float>(std::pow(base, power));
                double const angle = static_cast<double>(static_cast<float>(s) * frequency);
                table_[s * size + i] = static_cast<float>(std::cos(angle));
                table_[s * size + half_ + i] = static_cast<float>(std::sin(angle));
            }
    }

    /// Turns one head in place: pairs (x_i, x_{i + size/2}), the order of the hub's checkpoints.
    void turn(float* x, index_t position) const noexcept {
        float const* const cosine = table_.data() + position * 2 * half_;
        float const* const sine = cosine + half_;
        for (index_t i = 0; i < half_; i += lanes) {
            index_t const left = half_ - i;
            auto const a = simd::load_first(x + i, left), b = simd::load_first(x + half_ + i, left);
            auto const c = simd::load_first(cosine + i, left), s = simd::load_first(sine + i, left);
            simd::store_first(x + i, simd::fma(a, c, -(b * s)), left);
            simd::store_first(x + half_ + i, simd::fma(b, c, a * s), left);
        }
    }

private:
    index_t half_ = 0;
    buffer<float> table_;
};

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
