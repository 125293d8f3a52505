// SPDX-License-Identifier: MIT
#include "prytany/family/qwen2_moe.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k, index_t shared) {
    return {{"model_type", "qwen2_moe"},
            {"hidden_act", "silu"},
            {"hidden_size", model},
            {"moe_intermediate_size", hidden},
            {"num_experts", experts},
            {"num_experts_per_tok", k},
            {"shared_expert_intermediate_size", shared}};
}

} // namespace

TEST_CASE("qwen2_moe: agrees with transformers; fixed sizes have the same bits") {
    golden::folder const one("qwen2_moe");
    auto layer = family::qwen2_moe::make(one.config);
    io::load(layer, one.source, family::qwen2_moe::names(one.layer));
    golden::agrees(one, layer);
    constexpr shape sizes{64, 32, 12, 1, 48};
    moe<sizes, top_k{.k = 4}, ffn{swiglu}, shared_gate{}> fixed(sizes,
                                                                {.router = {.renormalise = false}});
    io::load(fixed, one.source, family::qwen2_moe::names(one.layer));
    golden::same(one, layer, fixed);
}

TEST_CASE("qwen2_moe: checkpoints of other sizes") {
    for (bool const renormalise : {false, true})
        for (auto const [d, h, e, k, s] :
             {std::array<index_t, 5>{33, 17, 5, 1, 70}, {9, 35, 11, 5, 3}, {47, 20, 6, 2, 20}}) {
            golden::written file;
            std::string const stem = "model.layers.20.mlp.";
            file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
            file.experts(stem, e, d, h);
            file.weights.shared = file.ffn(stem + "shared_expert.", d, s);
            file.weights.shared_gate = file.matrix(stem + "shared_expert_gate.weight", 1, d).all;
            json values = config(d, h, e, k, s);
            values["norm_topk_prob"] = renormalise;
            auto layer = family::qwen2_moe::make(family::config(values, "c"));
            io::load(layer, file.source, family::qwen2_moe::names(20));
            golden::against_twin(layer, file, {.k = golden::at(k), .renormalise = renormalise});
        }
}

TEST_CASE("qwen2_moe: what it refuses") {
    auto const good = config(16, 8, 4, 2, 8);
    golden::refuses_what_no_family_runs<family::qwen2_moe>(good, "moe_intermediate_size",
                                                           "num_experts");
    char const* const shared = "shared_expert_intermediate_size";
    CHECK(golden::without<family::qwen2_moe>(good, shared) ==
          "c: shared_expert_intermediate_size: expected an integer from 0 on, got nothing");
    CHECK(golden::refused<family::qwen2_moe>(good, {{shared, -1}}) ==
          "c: shared_expert_intermediate_size: expected an integer from 0 on, got -1");
    CHECK(golden::refused<family::qwen2_moe>(good, {{shared, 0}}) ==
          "shape.shared_hidden: expected at least 1, got 0");
    CHECK(golden::refused<family::qwen2_moe>(good, {{"norm_topk_prob", 0}}) ==
          "c: norm_topk_prob: expected true or false, got 0");
}
