// SPDX-License-Identifier: MIT
// Routers that see single tokens and their scores.
#include "prytany/router/biased.hpp"
#include "prytany/router/every_expert.hpp"
#include "prytany/router/hard_gate.hpp"
#include "prytany/router/head_gate.hpp"
#include "prytany/router/null_experts.hpp"
#include "prytany/router/ranks.hpp"
#include "prytany/router/remoe.hpp"
#include "prytany/router/sparse_mixer.hpp"
#include "prytany/router/switch_top_1.hpp"
#include "prytany/router/threshold.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/top_p.hpp"
#include "router/router.hpp"

namespace {

using namespace bench;

constexpr top_k by_sigmoid{.score = scoring::sigmoid, .group = group_score::two_best};
constexpr head_gate heads{.shared = 8};

int const added = add_later([] {
    add_router<top_k{}>("top_k", [](auto& s) { return top_k::params{.k = s.k}; });
    add_router<biased{by_sigmoid}>("biased_top_k", [](auto& s) {
        return params_of<biased<top_k>>{
            .router = {.k = s.k, .scale = 2.5f, .groups = s.groups, .kept_groups = s.kept_groups}};
    });
    add_router<top_p{}>("top_p", [](auto& s) { return top_p::params{.p = s.p}; });
    add_router<threshold{}>("threshold", [](auto& s) { return threshold::params{.t = s.p}; });
    add_router<switch_top_1{}>("switch_top_1", [](auto&) { return switch_top_1::params{}; });
    add_router<remoe{}>("remoe", [](auto&) { return remoe::params{}; });
    add_router<every_expert{}>("every_expert", [](auto&) { return every_expert::params{}; });
    add_router<sparse_mixer{}>("sparse_mixer", [](auto&) { return sparse_mixer::params{}; });
    add_router<null_experts{.nulls = 4}>("null_experts",
                                         [](auto& s) { return null_experts::params{.k = s.k}; });
    add_router<ranks{}>("ranks", [](auto&) { return ranks::params{.count = 1, .list = {1}}; });
    add_router<hard_gate{}>("hard_gate", [](auto&) { return hard_gate::params{}; });
    add_router<heads>(
        "head_gate", [](auto& s) { return head_gate::params{.k = s.k - heads.shared}; },
        "moh_h32_k24_d4096");
});

} // namespace
