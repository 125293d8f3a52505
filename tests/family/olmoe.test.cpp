// SPDX-License-Identifier: MIT
#include "prytany/family/olmoe.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k) {
    return {{"model_type", "olmoe"},       {"hidden_act", "silu"},   {"hidden_size", model},
            {"intermediate_size", hidden}, {"num_experts", experts}, {"num_experts_per_tok", k}};
}

} // namespace

TEST_CASE("olmoe: agrees with transformers; fixed sizes have the same bits") {
    golden::folder const one("olmoe");
    auto layer = family::olmoe::make(one.config);
    io::load(layer, one.source, family::olmoe::names(one.layer));
    golden::agrees(one, layer);
    moe<shape{64, 32, 12}, top_k{.k = 4}, ffn{swiglu}> fixed(shape{64, 32, 12},
                                                             {.router = {.renormalise = false}});
    io::load(fixed, one.source, family::olmoe::names(one.layer));
    golden::same(one, layer, fixed);
}

TEST_CASE("olmoe: checkpoints of other sizes, renormalised only where config.json says so") {
    for (int const flag : {-1, 0, 1})
        for (auto const [d, h, e, k] : {std::array<index_t, 4>{33, 17, 5, 1}, {21, 70, 13, 8}}) {
            golden::written file;
            std::string const stem = "model.layers.3.mlp.";
            file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
            file.experts(stem, e, d, h);
            json values = config(d, h, e, k);
            if (flag >= 0) values["norm_topk_prob"] = flag == 1;
            auto layer = family::olmoe::make(family::config(values, "c"));
            io::load(layer, file.source, family::olmoe::names(3));
            golden::against_twin(layer, file, {.k = golden::at(k), .renormalise = flag == 1});
        }
}

TEST_CASE("olmoe: what it refuses") {
    auto const good = config(16, 8, 4, 2);
    golden::refuses_what_no_family_runs<family::olmoe>(good, "intermediate_size", "num_experts");
    CHECK(golden::refused<family::olmoe>(good, {{"norm_topk_prob", "yes"}}) ==
          "c: norm_topk_prob: expected true or false, got \"yes\"");
}
