// SPDX-License-Identifier: MIT
#include "prytany/family/mixtral.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k) {
    return {{"model_type", "mixtral"},      {"hidden_act", "silu"},
            {"hidden_size", model},         {"intermediate_size", hidden},
            {"num_local_experts", experts}, {"num_experts_per_tok", k}};
}

} // namespace

TEST_CASE("mixtral: agrees with transformers; fixed sizes have the same bits") {
    golden::folder const one("mixtral");
    auto layer = family::mixtral::make(one.config);
    io::load(layer, one.source, family::mixtral::names(one.layer));
    golden::agrees(one, layer);
    moe<shape{64, 48, 8}, top_k{.k = 2}, ffn{swiglu}> fixed;
    io::load(fixed, one.source, family::mixtral::names(one.layer));
    golden::same(one, layer, fixed);
}

TEST_CASE("mixtral: checkpoints of other sizes") {
    for (auto const [d, h, e, k] :
         {std::array<index_t, 4>{33, 17, 5, 1}, {7, 3, 3, 3}, {50, 90, 9, 4}}) {
        golden::written file;
        std::string const stem = "model.layers.12.block_sparse_moe.";
        file.weights.router = file.matrix(stem + "gate.weight", e, d, 2);
        file.experts(stem, e, d, h, {"w1", "w3", "w2"});
        auto layer = family::mixtral::make(family::config(config(d, h, e, k), "c"));
        io::load(layer, file.source, family::mixtral::names(12));
        golden::against_twin(layer, file, {.k = golden::at(k)});
    }
}

TEST_CASE("mixtral: what it refuses") {
    golden::refuses_what_no_family_runs<family::mixtral>(config(16, 8, 4, 2), "intermediate_size",
                                                         "num_local_experts");
}
