// SPDX-License-Identifier: MIT
// The shares of the experts, mixed over the tokens of a sequence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Mixes what tokens would choose: shares, not logits.
///
///     q_i = (1 - mix) · r_i + mix · Σ_j a_ij r_j / Σ_j a_ij,   r = softmax(s);   logits = log q
///
/// A token is mute if it is padding, if a logit is NaN or if none is above -inf: its r counts for
/// nobody. A mute token, and one with no a_ij > 0, keeps its own logits.
/// Cost      O(experts) for each token heard; no allocation
/// Test      tests/router/similar.test.cpp, tests/router/attentive.test.cpp
struct mixture {
    matrix_view<float> shares; // filled up with zeros to whole registers
    matrix_view<float> logits;
    std::span<std::uint8_t> speaks;

    void lay_out(arena& memory, shape const& size, index_t tokens) {
        shares = memory.take<float>(tokens, size.experts);
        logits = memory.take<float>(tokens, size.experts);
        speaks = memory.take<std::uint8_t>(tokens);
    }
    /// Reads r of every token.
    void read(seen const& in) noexcept {
        index_t const experts = in.logits.cols;
        for (index_t t = 0; t < in.tokens(); ++t) {
            float const* const own = in.logits.row(t);
            bool const numbers = std::none_of(own, own + experts, [](float s) { return s != s; });
            bool const open =
                std::any_of(own, own + experts, [](float s) { return !idle_tier(s); });
            speaks[at(t)] = in.present(t) && numbers && open;
            kernel::softmax const share(own, experts);
            for (index_t e = 0; e < shares.stride; ++e)
                shares.row(t)[e] = e < experts && speaks[at(t)] ? share(own[e]) : 0.0f;
        }
    }
    /// Writes log q of a token that hears token `first + j` by heard[j]; `heard` is changed.
    void write(seen const& in, index_t token, index_t first, std::span<float> heard,
               float mix) noexcept {
        index_t const experts = in.logits.cols;
        float* const q = logits.row(token);
        double total = 0; // a float would lose many small weights one by one
        for (std::size_t j = 0; j < heard.size(); ++j) {
            if (!speaks[at(first) + j] || !(heard[j] > 0)) heard[j] = 0; // NaN too
            total += heard[j];
        }
        if (!speaks[at(token)] || !(total > 0)) {
            std::copy_n(in.logits.row(token), experts, q);
            return;
        }
        std::fill_n(q, logits.stride, 0.0f);
        for (std::size_t j = 0; j < heard.size(); ++j) {
            if (heard[j] == 0) continue;
            auto const part = simd::fill(static_cast<float>(heard[j] / total));
            float const* const r = shares.row(first + static_cast<index_t>(j));
            for (index_t e = 0; e < experts; e += lanes)
                simd::store(q + e, simd::fma(part, simd::load(r + e), simd::load(q + e)));
        }
        float const* const own = shares.row(token);
        for (index_t e = 0; e < experts; ++e) q[e] = std::log((1 - mix) * own[e] + mix * q[e]);
    }

private:
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
};

/// Throws for a share of the mixture that is none.
inline void check_mix(char const* name, float mix) {
    if (!(mix >= 0 && mix <= 1)) throw error(name, "a number from 0 to 1", std::to_string(mix));
}
/// Throws for a number that something is divided by.
inline void check_divisor(char const* name, float x) {
    if (!(x > 0 && std::isfinite(x))) throw error(name, "a finite number > 0", std::to_string(x));
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
