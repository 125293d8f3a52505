// SPDX-License-Identifier: MIT
// The softmax of one row.
#pragma once

#include <algorithm>
#include <limits>

#include "prytany/simd/mask.hpp"
#include "prytany/simd/math.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// e^((z - top) / t), where +inf shares with +inf alone: within 5e-7 of it, 0 below 2^-126.
PRYTANY_INLINE simd::floats softmax_ratio(simd::floats z, simd::floats top,
                                          simd::floats temperature) noexcept {
    return simd::where_equal(z, top, simd::fill(1.0f), simd::exp((z - top) / temperature));
}
/// Of one number, to the last bit what it is in a register with others.
PRYTANY_INLINE float softmax_ratio(float z, float top, float temperature) noexcept {
    if (z == top) return 1.0f;
    float ratio = 0;
    simd::store_first(&ratio, simd::exp(simd::fill((z - top) / temperature)), 1);
    return ratio;
}
/// The softmax_ratio of every number of a row, added to four sums where it is a number; `ratios`
/// may be `z`. A row in pieces has the bits of the whole if every piece but the last is a multiple
/// of four long.
PRYTANY_INLINE void softmax_ratios(float const* z, index_t count, float top, float temperature,
                                   float* ratios, double (&sums)[4]) noexcept {
    auto const highest = simd::fill(top), width = simd::fill(temperature);
    index_t i = 0;
    for (; i + lanes <= count; i += lanes)
        simd::store(ratios + i, softmax_ratio(simd::load(z + i), highest, width));
    for (; i < count; ++i) ratios[i] = softmax_ratio(z[i], top, temperature);
    auto const number = [&](index_t j) { return ratios[j] > 0 ? double{ratios[j]} : 0.0; };
    for (i = 0; i + 4 <= count; i += 4)
        for (index_t j = 0; j < 4; ++j) sums[j] += number(i + j);
    for (index_t j = 0; i + j < count; ++j) sums[j] += number(i + j);
}
/// The same, and the sum of the row.
PRYTANY_INLINE double softmax_ratios(float const* z, index_t count, float top, float temperature,
                                     float* ratios) noexcept {
    double sums[4] = {}; // a float would lose many small ones one by one
    softmax_ratios(z, count, top, temperature, ratios, sums);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// What every logit of a row is worth.
///
///     softmax const share(logits, experts);   share(logits[e]) = exp(logits[e] - top) / total
///
/// `top` is the largest number of the row. +inf shares with +inf alone, -inf is worth 0, NaN is
/// worth NaN and takes nothing from the others.
/// Cost      O(count); no allocation
/// Test      tests/kernel/softmax.test.cpp
class softmax {
public:
    softmax(float const* logits, index_t count) noexcept
        : softmax(count, [=](index_t i) { return logits[i]; }) {}
    /// Of the logits that `logit_of` gives for 0 to `count` - 1, such as those of the chosen.
    template <class LogitOf>
    softmax(index_t count, LogitOf logit_of) noexcept {
        for (index_t i = 0; i < count; ++i) top_ = logit_of(i) > top_ ? logit_of(i) : top_;
        double sums[4] = {};
        float some[64];
        for (index_t i = 0; i < count; i += 64) {
            index_t const size = std::min<index_t>(64, count - i);
            for (index_t j = 0; j < size; ++j) some[j] = logit_of(i + j);
            softmax_ratios(some, size, top_, 1.0f, some, sums);
        }
        total_ = static_cast<float>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    float operator()(float logit) const noexcept {
        return logit == idle ? 0.0f : softmax_ratio(logit, top_, 1.0f) / total_;
    }

private:
    static constexpr float idle = -std::numeric_limits<float>::infinity();
    float top_ = idle, total_ = 0;
};

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
