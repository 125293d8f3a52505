// SPDX-License-Identifier: MIT
#include "prytany/family/deepseek_v2.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k, index_t shared) {
    return {{"model_type", "deepseek_v2"}, {"hidden_act", "silu"},
            {"hidden_size", model},        {"moe_intermediate_size", hidden},
            {"n_routed_experts", experts}, {"num_experts_per_tok", k},
            {"n_shared_experts", shared}};
}
auto loaded(golden::folder const& one) {
    auto layer = family::deepseek_v2::make(one.config);
    io::load(layer, one.source, family::deepseek_v2::names(one.layer));
    return layer;
}

} // namespace

TEST_CASE("deepseek_v2: agrees with transformers, with and without groups") {
    for (auto const* const name : {"deepseek_v2", "deepseek_v2_group"}) {
        golden::folder const one(name);
        golden::agrees(one, loaded(one));
    }
}

TEST_CASE("deepseek_v2: fixed sizes have the same bits") {
    golden::folder const one("deepseek_v2_group");
    constexpr shape sizes{48, 32, 16, 2, 32};
    moe<sizes, top_k{.k = 3}, ffn{swiglu}> fixed(
        sizes, {.router = {.renormalise = false, .scale = 16, .groups = 4, .kept_groups = 2}});
    io::load(fixed, one.source, family::deepseek_v2::names(one.layer));
    golden::same(one, loaded(one), fixed);
}

TEST_CASE("deepseek_v2: checkpoints of other sizes, of the first DeepSeek too") {
    for (bool const first : {false, true})
        for (auto const [d, h, e, k, s, groups] : {std::array<index_t, 6>{33, 17, 5, 1, 1, 1},
                                                   {9, 35, 12, 5, 3, 4},
                                                   {47, 20, 6, 2, 0, 2}}) {
            golden::written file;
            std::string const stem = "model.layers.1.mlp.";
            file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
            file.experts(stem, e, d, h);
            if (s > 0) file.weights.shared = file.ffn(stem + "shared_experts.", d, s * h);
            json values = config(d, h, e, k, s);
            values["norm_topk_prob"] = true;
            if (first) values["model_type"] = "deepseek";
            twin::routing_rule rule{.k = golden::at(k), .renormalise = first};
            if (groups > 1) {
                values["topk_method"] = "group_limited_greedy";
                values["n_group"] = groups;
                values["topk_group"] = groups / 2;
                values["routed_scaling_factor"] = rule.scale = 2.5;
                rule.groups = golden::at(groups);
                rule.kept_groups = golden::at(groups / 2);
            }
            auto layer = family::deepseek_v2::make(family::config(values, "c"));
            io::load(layer, file.source, family::deepseek_v2::names(1));
            golden::against_twin(layer, file, rule);
        }
}

TEST_CASE("deepseek_v2: what it refuses") {
    using family::deepseek_v2;
    auto const good = config(16, 8, 4, 2, 1);
    golden::refuses_what_no_family_runs<deepseek_v2>(good, "moe_intermediate_size",
                                                     "n_routed_experts");
    CHECK(golden::refused<deepseek_v2>(good, {{"scoring_func", "sigmoid"}}) ==
          "c: scoring_func: expected softmax, got \"sigmoid\"");
    CHECK(golden::refused<deepseek_v2>(good, {{"topk_method", "noaux_tc"}}) ==
          "c: topk_method: expected greedy or group_limited_greedy, got \"noaux_tc\"");
    CHECK(golden::refused<deepseek_v2>(good, {{"n_shared_experts", -2}}) ==
          "c: n_shared_experts: expected an integer from 0 on, got -2");
    json grouped = good;
    grouped["topk_method"] = "group_limited_greedy";
    CHECK(golden::refused<deepseek_v2>(grouped, json::object()) ==
          "c: n_group: expected an integer from 0 on, got nothing");
    grouped["n_group"] = 3;
    grouped["topk_group"] = 1;
    CHECK(golden::refused<deepseek_v2>(grouped, json::object()) ==
          "top_k.groups: expected a divisor of 4 experts, got 3");
    CHECK(golden::refused<deepseek_v2>(grouped, {{"n_group", 2}, {"topk_group", 3}}) ==
          "top_k.kept_groups: expected 1 to 2, got 3");
    CHECK(golden::refused<deepseek_v2>(grouped, {{"n_group", 4}}) ==
          "top_k.k: expected at most 1, the experts of the kept groups, got 2");
    CHECK(golden::refused<deepseek_v2>(good, {{"routed_scaling_factor", "x"}}) ==
          "c: routed_scaling_factor: expected a number, got \"x\"");
    CHECK(golden::refused<deepseek_v2>(good, {{"routed_scaling_factor", 1e300}})
              .starts_with("top_k.scale: expected a finite number, got"));
}
