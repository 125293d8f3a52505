// SPDX-License-Identifier: MIT
#include "prytany/family/deepseek_v3.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k, index_t shared) {
    return {{"model_type", "deepseek_v3"}, {"hidden_act", "silu"},
            {"hidden_size", model},        {"moe_intermediate_size", hidden},
            {"n_routed_experts", experts}, {"num_experts_per_tok", k},
            {"n_shared_experts", shared}};
}
template <auto Format = dense<float>{}>
auto loaded(golden::folder const& one) {
    auto layer = family::deepseek_v3::make<Format>(one.config);
    io::load(layer, one.source, family::deepseek_v3::names(one.layer));
    return layer;
}

} // namespace

TEST_CASE("deepseek_v3: agrees with transformers") {
    for (auto const* const name : {"deepseek_v3", "deepseek_v3_bf16"}) {
        golden::folder const one(name);
        golden::agrees(one, loaded(one));
    }
}

TEST_CASE("deepseek_v3: bfloat16 weights lose nothing where the file has them") {
    golden::folder const one("deepseek_v3_bf16");
    auto const narrow = loaded<dense<bf16>{}>(one);
    golden::agrees(one, narrow);
    golden::same(one, narrow, loaded(one));
}

TEST_CASE("deepseek_v3: fixed sizes have the same bits") {
    golden::folder const one("deepseek_v3");
    constexpr shape sizes{64, 32, 16, 1, 32};
    constexpr top_k four{.k = 4, .score = scoring::sigmoid, .group = group_score::two_best};
    moe<sizes, biased{four}, ffn{swiglu}> fixed(
        sizes, {.router = {.router = {.scale = 2.5f, .groups = 4, .kept_groups = 2}}});
    io::load(fixed, one.source, family::deepseek_v3::names(one.layer));
    golden::same(one, loaded(one), fixed);
}

TEST_CASE("deepseek_v3: checkpoints of other sizes") {
    for (bool const renormalise : {false, true})
        for (auto const [d, h, e, k, s, groups] : {std::array<index_t, 6>{33, 17, 5, 1, 1, 1},
                                                   {9, 35, 12, 5, 3, 4},
                                                   {47, 20, 6, 2, 0, 2}}) {
            golden::written file;
            std::string const stem = "model.layers.60.mlp.";
            file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
            file.correction = file.vector(stem + "gate.e_score_correction_bias", e, 0.3);
            file.experts(stem, e, d, h);
            if (s > 0) file.weights.shared = file.ffn(stem + "shared_experts.", d, s * h);
            json values = config(d, h, e, k, s);
            values["norm_topk_prob"] = renormalise;
            values["n_group"] = groups;
            values["topk_group"] = (groups + 1) / 2;
            values["routed_scaling_factor"] = 1.5;
            auto layer = family::deepseek_v3::make(family::config(values, "c"));
            io::load(layer, file.source, family::deepseek_v3::names(60));
            golden::against_twin(layer, file,
                                 {.k = golden::at(k),
                                  .sigmoid = true,
                                  .renormalise = renormalise,
                                  .two_best = true,
                                  .scale = 1.5,
                                  .groups = golden::at(groups),
                                  .kept_groups = golden::at((groups + 1) / 2)});
        }
}

TEST_CASE("deepseek_v3: what it refuses") {
    using family::deepseek_v3;
    auto const good = config(16, 8, 4, 2, 1);
    golden::refuses_what_no_family_runs<deepseek_v3>(good, "moe_intermediate_size",
                                                     "n_routed_experts");
    CHECK(golden::refused<deepseek_v3>(good, {{"scoring_func", "softmax"}}) ==
          "c: scoring_func: expected sigmoid, got \"softmax\"");
    CHECK(golden::refused<deepseek_v3>(good, {{"topk_method", "greedy"}}) ==
          "c: topk_method: expected noaux_tc, got \"greedy\"");
    CHECK(golden::refused<deepseek_v3>(good, {{"n_group", 3}}) ==
          "top_k.groups: expected a divisor of 4 experts, got 3");
    CHECK(golden::refused<deepseek_v3>(good, {{"topk_group", 0}}) ==
          "top_k.kept_groups: expected 1 to 1, got 0");
}
