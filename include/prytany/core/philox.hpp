// SPDX-License-Identifier: MIT
// Random numbers that are a function of a seed and a place: no state, the same in any batch.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Philox4x32-10: four random words for each counter.
///
///     ten rounds of c ← (hi(M₁c₂) ^ c₁ ^ k₀, lo(M₁c₂), hi(M₀c₀) ^ c₃ ^ k₁, lo(M₀c₀))
///
/// Source    Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3
/// Test      tests/core/philox.test.cpp
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                              std::array<std::uint32_t, 2> key) noexcept {
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const a = std::uint64_t{0xD2511F53} * counter[0];
        std::uint64_t const b = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return counter;
}

/// What is drawn for one token of a call. `stream` keeps policies of one layer apart; draw i is the
/// same whatever else is drawn, in any batch and on any thread.
///
/// Test      tests/core/philox.test.cpp
class draws {
public:
    constexpr draws(std::uint64_t seed, index_t token, std::uint32_t stream) noexcept
        : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
          token_(static_cast<std::uint64_t>(token)), stream_(stream) {}

    /// Uniform in the open interval (0, 1): one of 2^23 midpoints.
    constexpr float uniform(index_t i) const noexcept {
        return (static_cast<float>(word(i) >> 9) + 0.5f) * 0x1p-23f;
    }
    /// Normal with mean 0 and deviation 1, by Box and Muller.
    float normal(index_t i) const noexcept {
        constexpr float turn = 6.28318530717958648f;
        float const radius = std::sqrt(-2.0f * std::log(uniform(2 * i)));
        return radius * std::cos(turn * uniform(2 * i + 1));
    }
    /// Gumbel: -log(-log u).
    float gumbel(index_t i) const noexcept { return -std::log(-std::log(uniform(i))); }

private:
    std::array<std::uint32_t, 2> key_;
    std::uint64_t token_;
    std::uint32_t stream_;

    constexpr std::uint32_t word(index_t i) const noexcept {
        auto const four =
            philox({static_cast<std::uint32_t>(i / 4), stream_, static_cast<std::uint32_t>(token_),
                    static_cast<std::uint32_t>(token_ >> 32)},
                   key_);
        return four[static_cast<std::size_t>(i % 4)];
    }
};

} // namespace prytany::inline PRYTANY_ABI
