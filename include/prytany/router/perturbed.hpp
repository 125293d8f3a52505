// SPDX-License-Identifier: MIT
// Noise of one width on the logits while training.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/detail/disturbed.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Adds normal noise to the logits while training; they choose and weigh.
///
///     z'_e = z_e + N(0, 1) · sigma / experts
///
/// Source    Riquelme et al. 2021 (V-MoE), arXiv:2106.05974: the width is divided by experts
/// Models    router_policy
/// Writes    what the inner router writes for z'; for z, bit for bit, unless `training`
/// Cost      that of the inner router, and a draw for each logit while training; no allocation
/// Compile   the inner router        Run   training, sigma; its params, as `router`
/// Throws    error at construction: sigma out of range
/// Test      tests/router/perturbed.test.cpp
template <router_policy R>
struct perturbed {
    R router;
    static constexpr std::uint32_t stream = 0x70657274; ///< of its draws

    struct params {
        bool training = false;
        float sigma = 1.0f;
        params_of<R> router{};
    };
    struct scratch {
        matrix_view<float> logits;
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            logits = memory.take<float>(tokens, size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const&, params const& own) const {
        if (!(own.sigma >= 0 && std::isfinite(own.sigma)))
            throw error("perturbed.sigma", "a finite number >= 0", std::to_string(own.sigma));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen mine = in;
        if (own.params.training && own.params.sigma > 0) {
            float const width = own.params.sigma / static_cast<float>(in.logits.cols);
            mine.logits = detail::disturbed(
                in, in.logits, own.scratch.logits, stream,
                [&](draws const& drawn, index_t, index_t e) { return drawn.normal(e) * width; });
        }
        R::select(mine, own.router(), out);
    }
};
template <router_policy R>
perturbed(R) -> perturbed<R>;
template <router_policy R>
perturbed(perturbed<R>) -> perturbed<perturbed<R>>; // else perturbed{perturbed{…}} is a copy

} // namespace prytany::inline PRYTANY_ABI
