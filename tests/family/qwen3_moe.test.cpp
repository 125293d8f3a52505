// SPDX-License-Identifier: MIT
#include "prytany/family/qwen3_moe.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k, bool renormalise) {
    return {{"model_type", "qwen3_moe"},       {"hidden_act", "silu"},   {"hidden_size", model},
            {"moe_intermediate_size", hidden}, {"num_experts", experts}, {"num_experts_per_tok", k},
            {"norm_topk_prob", renormalise}};
}
template <auto Format = dense<float>{}>
auto loaded(golden::folder const& one) {
    auto layer = family::qwen3_moe::make<Format>(one.config);
    io::load(layer, one.source, family::qwen3_moe::names(one.layer));
    return layer;
}

} // namespace

TEST_CASE("qwen3_moe: agrees with transformers") {
    for (auto const* const name : {"qwen3_moe", "qwen3_moe_odd", "qwen3_moe_bf16"}) {
        golden::folder const one(name);
        golden::agrees(one, loaded(one));
    }
}

TEST_CASE("qwen3_moe: bfloat16 weights lose nothing where the file has them") {
    golden::folder const one("qwen3_moe_bf16");
    auto const narrow = loaded<dense<bf16>{}>(one);
    golden::agrees(one, narrow);
    golden::same(one, narrow, loaded(one));
}

TEST_CASE("qwen3_moe: fixed sizes have the same bits") {
    golden::folder const one("qwen3_moe_odd");
    moe<shape{72, 20, 10}, top_k{.k = 3}, ffn{swiglu}> fixed;
    io::load(fixed, one.source, family::qwen3_moe::names(one.layer));
    golden::same(one, loaded(one), fixed);
}

TEST_CASE("qwen3_moe: checkpoints of other sizes") {
    for (bool const renormalise : {false, true})
        for (auto const [d, h, e, k] :
             {std::array<index_t, 4>{33, 17, 5, 1}, {9, 35, 11, 5}, {40, 24, 6, 6}}) {
            golden::written file;
            std::string const stem = "model.layers.0.mlp.";
            file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
            file.experts(stem, e, d, h);
            auto layer =
                family::qwen3_moe::make(family::config(config(d, h, e, k, renormalise), "c"));
            io::load(layer, file.source, family::qwen3_moe::names(0));
            golden::against_twin(layer, file, {.k = golden::at(k), .renormalise = renormalise});
        }
}

TEST_CASE("qwen3_moe: what it refuses") {
    auto const good = config(16, 8, 4, 2, true);
    golden::refuses_what_no_family_runs<family::qwen3_moe>(good, "moe_intermediate_size",
                                                           "num_experts");
    CHECK(golden::refused<family::qwen3_moe>(good, {{"norm_topk_prob", 1}}) ==
          "c: norm_topk_prob: expected true or false, got 1");
}
