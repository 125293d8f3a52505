// SPDX-License-Identifier: MIT
// A router that shows what a decorator hands on, and calls with a seed.
#pragma once

#include <cstdint>

#include "conformance/numbers.hpp"

namespace mirrored {

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

/// Lists every expert with its logit as weight, or with what ranks it, as given.
struct mirror {
    bool ranking = false;
    struct params {};
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {.positive = false}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        bool const ranked = My.ranking && in.ranking.data != nullptr;
        for (index_t t = 0; t < in.logits.rows; ++t)
            for (index_t e = 0; e < in.logits.cols; ++e)
                out.put(t, e, (ranked ? in.ranking : in.logits).row(t)[e]);
    }
};

/// A call with these logits and rows, which may be the same.
inline seen call(matrix_view<float const> logits, matrix_view<float const> x,
                 std::uint64_t seed = 1) {
    seen in{input{x}};
    in.logits = logits;
    in.seed = seed;
    return in;
}
inline seen call(rows const& logits, std::uint64_t seed = 1) {
    return call(logits.view(), logits.view(), seed);
}

/// Whether the plans of parts of every size are parts of the plan of the whole.
template <class Asked>
bool parts_equal_whole(Asked& router, seen const& in) {
    auto const whole = slots_of(router(in));
    for (index_t const chunk : {1, 3, 8}) {
        for (index_t t = 0; t < in.tokens(); t += chunk) {
            index_t const count = std::min(chunk, in.tokens() - t);
            auto const some = slots_of(router(in.part(t, count)));
            if (!numbers::same_slots(some, {whole.begin() + t, whole.begin() + t + count}))
                return false;
        }
    }
    return true;
}

/// Logits with every awkward number in them.
inline rows awkward(index_t tokens, index_t experts, std::uint64_t seed) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    auto z = rows::normal(tokens, experts, seed, 2);
    float const all[] = {std::nanf(""), infinity, -infinity, 3.4e38f, -0.0f, 1e-40f};
    for (index_t t = 0; t < tokens; t += 2)
        for (index_t e = t % 3; e < experts; e += 1 + t % 5) z.row(t)[e] = all[at((t + e) % 6)];
    return z;
}

/// Mean and variance.
struct moments {
    double mean = 0, variance = 0;

    explicit moments(std::vector<double> const& of) {
        auto const count = static_cast<double>(of.size());
        for (double const x : of) mean += x / count;
        for (double const x : of) variance += (x - mean) * (x - mean) / count;
    }
};

/// What `check` of a router throws, or nothing.
template <class R>
std::string sentence(R const& router, params_of<R> const& own, index_t experts = 4) {
    try {
        check_router(router, {.model = 4, .hidden = 4, .experts = experts}, own);
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

/// What `require` throws, or nothing.
template <class R>
std::string lacks(R const& router, input const& in) {
    try {
        require_input(router, in, {.model = 4, .hidden = 4, .experts = 8}, params_of<R>{});
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

} // namespace mirrored
