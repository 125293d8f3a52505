// SPDX-License-Identifier: MIT
// Noise on the logits while training, as wide as the token learns to ask for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/router/detail/disturbed.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What noise is added to: the logits, which choose and weigh, or the choice alone.
enum class disturbs { logits, choice };

/// Adds normal noise to each logit while training, with a width of its own.
///
///     z'_e = z_e + N(0, 1) · (softplus((x · W^T)_e) + floor),   W [experts, model]
///
/// With `disturbs::choice` z' ranks and z weighs. A ranking from outside is disturbed then, and
/// otherwise chooses as it is.
/// Source    Shazeer et al. 2017, eq. 4, arXiv:1701.06538; the floor: its published code
/// Models    router_policy
/// Writes    what the inner router writes for z'; for z, bit for bit, unless `training`
/// Cost      that of the inner router; training: O(tokens · experts · model); no allocation
/// Compile   the inner router, noise        Run   training, floor; its params, as `router`
/// Throws    error at construction: floor out of range
/// Test      tests/router/noisy.test.cpp
template <router_policy R>
struct noisy {
    R router;
    disturbs noise = disturbs::logits;
    static constexpr std::uint32_t stream = 0x6e6f6973; ///< of its draws

    struct params {
        bool training = false;
        float floor = 1e-2f;
        params_of<R> router{};
    };
    struct weights {
        packed<dense<float>{}> noise;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        matrix_view<float> noisy; // first the widths, then what they disturb
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            noisy = memory.take<float>(tokens, size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const&, params const& own) const {
        if (!(own.floor >= 0 && std::isfinite(own.floor)))
            throw error("noisy.floor", "a finite number >= 0", std::to_string(own.floor));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "noise"}, size.experts, size.model, &own.noise});
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen mine = in;
        if (own.params.training) {
            constexpr bool weighs = My.noise == disturbs::logits;
            auto const from = weighs ? in.logits : detail::ranked_by(in);
            auto const room = own.scratch.noisy;
            auto const ask = [&](index_t row, index_t panel, simd::float_pair sum) {
                index_t const first = panel * panel_lanes;
                simd::store_pair(room.row(row) + first, sum, room.cols - first);
            };
            kernel::multiply(kernel::picked_rows{in.rows.data, in.rows.stride}, from.rows,
                             own.weights.noise, 0, own.weights.noise.panels(), ask);
            auto const to = detail::disturbed(
                in, from, room, stream, [&](draws const& drawn, index_t t, index_t e) {
                    return drawn.normal(e) * (softplus(room.row(t)[e]) + own.params.floor);
                });
            (weighs ? mine.logits : mine.ranking) = to;
        }
        R::select(mine, own.router(), out);
    }

private:
    /// log(1 + e^x), exact at both ends.
    static float softplus(float x) noexcept {
        return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x)));
    }
};
template <router_policy R>
noisy(R, disturbs = disturbs::logits) -> noisy<R>;
template <router_policy R>
noisy(noisy<R>) -> noisy<noisy<R>>; // without it, noisy{noisy{…}} would be a copy

} // namespace prytany::inline PRYTANY_ABI
