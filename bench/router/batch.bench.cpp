// SPDX-License-Identifier: MIT
// Routers that see a whole sequence or batch.
#include "prytany/router/attentive.hpp"
#include "prytany/router/balanced.hpp"
#include "prytany/router/expert_choice.hpp"
#include "prytany/router/similar.hpp"
#include "prytany/router/sinkhorn.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/union_of_experts.hpp"
#include "prytany/router/whole_sequence.hpp"
#include "router/router.hpp"

namespace {

using namespace bench;

constexpr similar<top_k> alike{top_k{}, true};
constexpr attentive<top_k> heard{top_k{}, head_share::uniform, true};

int const added = add_later([] {
    add_router<expert_choice{}>("expert_choice", [](auto& s) {
        return expert_choice::params{.factor = static_cast<float>(s.k)};
    });
    add_router<sinkhorn{top_k{}}>("sinkhorn", [](auto& s) {
        return params_of<sinkhorn<top_k>>{.training = true, .router = {.k = s.k}};
    });
    add_router<balanced{}>("balanced", [](auto&) { return balanced::params{.training = true}; });
    add_router<union_of_experts{}>("union_of_experts",
                                   [](auto& s) { return union_of_experts::params{.k = s.k}; });
    add_router<whole_sequence{top_k{}}>("whole_sequence", [](auto& s) {
        return params_of<whole_sequence<top_k>>{.router = {.k = s.k}};
    });
    add_router<alike>("similar",
                      [](auto& s) { return params_of<similar<top_k>>{.router = {.k = s.k}}; });
    add_router<heard>("attentive",
                      [](auto& s) { return params_of<attentive<top_k>>{.router = {.k = s.k}}; });
});

} // namespace
