// SPDX-License-Identifier: MIT
// Numbers with something drawn added to each.
#pragma once

#include <cmath>
#include <cstdint>

#include "prytany/core/philox.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// What chooses experts: the ranking, where there is one, else the logits.
inline matrix_view<float const> ranked_by(seen const& in) noexcept {
    return in.ranking.data != nullptr ? in.ranking : in.logits;
}

/// Writes from + noise(draws of token t, t, expert) to the first rows of `room` and returns them.
///
/// What is not finite stays as it is: an idle expert is idle whatever is drawn.
/// Test      tests/router/perturbed.test.cpp
template <class Noise>
matrix_view<float const> disturbed(seen const& in, matrix_view<float const> from,
                                   matrix_view<float> room, std::uint32_t stream,
                                   Noise&& noise) noexcept {
    for (index_t t = 0; t < from.rows; ++t) {
        draws const drawn(in.seed, in.first + t, stream);
        float const* const clean = from.row(t);
        float* const to = room.row(t);
        for (index_t e = 0; e < from.cols; ++e)
            to[e] = std::isfinite(clean[e]) ? clean[e] + noise(drawn, t, e) : clean[e];
    }
    return room.part(0, from.rows);
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
