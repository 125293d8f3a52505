// SPDX-License-Identifier: MIT
// The best experts of a token until their shares pass a bar.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Takes a token's experts, best first, until the float sum of what they are worth is above a bar.
///
///     r = min{ r : p₍₁₎ + … + p₍ᵣ₎ > bar }, all if there is none;   S = the first r, at least one
///
/// The order is that of `choosing`, the sum is of the softmax of the logits. NaN is taken only
/// where it comes first: no number is left.
/// Writes    1 to `most` slots a token, best first
/// Cost      O(experts · slots) a token; no allocation
/// Test      tests/router/top_p.test.cpp, tests/router/threshold.test.cpp
struct prefix {
    /// So that the bar is above every sum, however it was rounded, where all are asked for.
    static float above(float sum) noexcept {
        return sum < 1 ? sum : std::numeric_limits<float>::infinity();
    }
    /// The largest number below `sum`: what reaches `sum` is above it.
    static float reaching(float sum) noexcept {
        return sum < 1 ? std::nextafter(sum, -1.0f) : above(sum);
    }
    static constexpr index_t most(shape const& size, index_t cap) noexcept {
        return cap == dynamic ? size.experts : cap;
    }
    static void check(std::string const& router, std::string const& name, float sum, index_t cap,
                      shape const& size) {
        if (!(sum >= 0 && sum <= 1))
            throw error(router + "." + name, "0 to 1", std::to_string(sum));
        if (cap != dynamic && (cap < 1 || cap > size.experts))
            throw error(router + ".cap", "1 to " + std::to_string(size.experts) + " experts",
                        std::to_string(cap));
    }

    struct scratch {
        std::span<std::uint64_t> keys;
        void lay_out(arena& memory, shape const& size, index_t) {
            keys = memory.take<std::uint64_t>(size.experts);
        }
    };
    float bar;
    index_t cap;
    bool renormalise;

    void select(seen const& in, scratch& room, plan& out) const noexcept {
        index_t const experts = in.logits.cols;
        std::uint64_t* const keys = room.keys.data();
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            kernel::softmax const share(logits, experts);
            for (index_t e = 0; e < experts; ++e)
                keys[e] = kernel::rank_key(choosing(in, t, e, share), e);
            auto const logit_of = [=](index_t i) { return logits[kernel::index_of(keys[i])]; };
            index_t const count = take(share, logit_of, keys, experts);
            kernel::softmax const weight = renormalise ? kernel::softmax(count, logit_of) : share;
            for (index_t i = 0; i < count; ++i)
                out.put(t, kernel::index_of(keys[i]), weight(logit_of(i)), idle_tier(logit_of(i)));
        }
    }

private:
    /// Brings the keys of the taken to the front, best first, and says how many they are.
    template <class LogitOf>
    index_t take(kernel::softmax const& share, LogitOf logit_of, std::uint64_t* keys,
                 index_t experts) const noexcept {
        index_t const room = cap == dynamic ? experts : std::min(cap, experts);
        float sum = 0;
        for (index_t count = 0; count < room; ++count) {
            std::swap(keys[count], *std::max_element(keys + count, keys + experts));
            float const worth = share(logit_of(count));
            if (count > 0 && std::isnan(worth)) return count;
            if (worth > 0) sum += worth;
            if (sum > bar) return count + 1;
        }
        return room;
    }
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
