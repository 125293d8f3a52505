// SPDX-License-Identifier: MIT
// Routers that change, cut or replace what top_k chooses.
#include "prytany/router/dropped_second.hpp"
#include "prytany/router/light_experts.hpp"
#include "prytany/router/masked.hpp"
#include "prytany/router/replayed.hpp"
#include "prytany/router/steered.hpp"
#include "prytany/router/top_any.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/two_step.hpp"
#include "prytany/router/two_tier.hpp"
#include "router/router.hpp"

namespace {

using namespace bench;

template <index_t K>
void add_top_any(char const* shape) {
    add_router<top_any{top_k{.k = K}}>(
        "top_any", [](auto&) { return params_of<top_any<top_k>>{}; }, shape);
}

int const added = add_later([] {
    add_router<light_experts{top_k{}}>("light_experts", [](auto& s) {
        return params_of<light_experts<top_k>>{
            .zeros = 1, .copies = 1, .constants = 1, .router = {.k = s.k}};
    });
    add_router<masked{top_k{}}>(
        "masked", [](auto& s) { return params_of<masked<top_k>>{.router = {.k = s.k}}; });
    add_router<steered{top_k{}}>(
        "steered", [](auto& s) { return params_of<steered<top_k>>{.router = {.k = s.k}}; });
    add_router<two_tier{top_k{}}>("two_tier", [](auto& s) {
        return params_of<two_tier<top_k>>{.share = 0.5f, .router = {.k = s.k}};
    });
    add_router<replayed{top_k{}}>(
        "replayed", [](auto& s) { return params_of<replayed<top_k>>{.router = {.k = s.k}}; });
    add_router<dropped_second{top_k{.k = 2}}>(
        "dropped_second", [](auto&) { return params_of<dropped_second<top_k>>{}; });
    add_router<two_step{top_k{}}>("two_step", [](auto& s) {
        return params_of<two_step<top_k>>{.null_label = 0, .router = {.k = s.k}};
    });
    add_top_any<2>("mixtral_E8_k2_d4096");
    add_top_any<6>("deepseek_E64_k6_d2048");
    add_top_any<4>("bytes_E16_k4_d128");
});

} // namespace
