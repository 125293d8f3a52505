// SPDX-License-Identifier: MIT
// Experts drawn in proportion to their softmax while training.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/detail/disturbed.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Chooses by logits with Gumbel noise while training; weighs by the logits alone.
///
///     rank by z_e + scale · G_e,   G = -log(-log u);   scale 1: expert e comes first with
///     probability softmax(z)_e, and k experts are k draws without replacement
///
/// Source    Gumbel-max; Kool et al. 2019, arXiv:1903.06059; DeepSpeed's `RSample` gate
/// Models    router_policy
/// Writes    what the inner router writes by this ranking; without one, bit for bit, unless
///           `training` and scale > 0
/// Cost      that of the inner router, and a draw for each logit while training; no allocation
/// Compile   the inner router        Run   training, scale; its params, as `router`
/// Throws    error at construction: scale out of range
/// Test      tests/router/gumbel.test.cpp
template <router_policy R>
struct gumbel {
    R router;
    static constexpr std::uint32_t stream = 0x67756d62; ///< of its draws

    struct params {
        bool training = false;
        float scale = 1.0f;
        params_of<R> router{};
    };
    struct scratch {
        matrix_view<float> ranking;
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            ranking = memory.take<float>(tokens, size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const&, params const& own) const {
        if (!(own.scale >= 0 && std::isfinite(own.scale)))
            throw error("gumbel.scale", "a finite number >= 0", std::to_string(own.scale));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen mine = in;
        float const scale = own.params.scale;
        if (own.params.training && scale > 0)
            mine.ranking = detail::disturbed(
                in, detail::ranked_by(in), own.scratch.ranking, stream,
                [&](draws const& drawn, index_t, index_t e) { return drawn.gumbel(e) * scale; });
        R::select(mine, own.router(), out);
    }
};
template <router_policy R>
gumbel(R) -> gumbel<R>;
template <router_policy R>
gumbel(gumbel<R>) -> gumbel<gumbel<R>>; // without it, gumbel{gumbel{…}} would be a copy

} // namespace prytany::inline PRYTANY_ABI
