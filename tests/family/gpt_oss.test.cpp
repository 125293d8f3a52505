// SPDX-License-Identifier: MIT
#include "prytany/family/gpt_oss.hpp"

#include "family/golden.hpp"
#include "prytany/io/load.hpp"

using namespace prytany;
using golden::at, golden::json;

namespace {

json config(index_t model, index_t hidden, index_t experts, index_t k) {
    return {{"model_type", "gpt_oss"},      {"hidden_act", "silu"},
            {"hidden_size", model},         {"intermediate_size", hidden},
            {"num_local_experts", experts}, {"num_experts_per_tok", k}};
}
auto loaded(golden::folder const& one) {
    auto layer = family::gpt_oss::make(one.config);
    io::load(layer, one.source, family::gpt_oss::names(one.layer));
    return layer;
}
/// Rows `first`, `first` + 2, … of one expert of a tensor [experts, inputs, outputs].
twin::matrix part(twin::row const& all, index_t e, index_t inputs, index_t outputs, index_t first,
                  index_t step) {
    twin::matrix m(at(outputs / step), at(inputs));
    for (index_t r = 0; r < outputs / step; ++r)
        for (index_t c = 0; c < inputs; ++c)
            m(at(r), at(c)) = all[at((e * inputs + c) * outputs + first + r * step)];
    return m;
}

} // namespace

TEST_CASE("gpt_oss: agrees with transformers, floats and codes") {
    for (auto const* const name : {"gpt_oss", "gpt_oss_mxfp4"}) {
        golden::folder const one(name);
        golden::agrees(one, loaded(one));
    }
}

TEST_CASE("gpt_oss: fixed sizes have the same bits") {
    golden::folder const one("gpt_oss");
    moe<shape{64, 32, 8}, scored{linear{.biases = true}, top_k{.k = 3}},
        ffn{swiglu_clamped, biases}>
        fixed;
    io::load(fixed, one.source, family::gpt_oss::names(one.layer));
    golden::same(one, loaded(one), fixed);
}

TEST_CASE("gpt_oss: checkpoints of other sizes, clamps and alphas") {
    for (auto const [d, h, e, k] :
         {std::array<index_t, 4>{33, 17, 5, 1}, {9, 35, 11, 5}, {48, 6, 3, 3}})
        for (bool const given : {false, true}) {
            double const alpha = given ? 1.25 : 1.702, limit = given ? 0.5 : 7;
            golden::written file;
            std::string const stem = "model.layers.35.mlp.";
            file.weights.router = file.matrix(stem + "router.weight", e, d, 2);
            file.weights.router_bias = file.vector(stem + "router.bias", e, 0.5);
            double const scale = 1 / std::sqrt(static_cast<double>(d));
            auto const both = twin::normal(at(e * d * 2 * h), 5, scale),
                       down = twin::normal(at(e * d * h), 6, scale),
                       both_bias = twin::normal(at(e * 2 * h), 7),
                       down_bias = twin::normal(at(e * d), 8);
            file.source.put(stem + "experts.gate_up_proj", {e, d, 2 * h}, both);
            file.source.put(stem + "experts.down_proj", {e, h, d}, down);
            file.source.put(stem + "experts.gate_up_proj_bias", {e, 2 * h}, both_bias);
            file.source.put(stem + "experts.down_proj_bias", {e, d}, down_bias);
            for (index_t i = 0; i < e; ++i) {
                twin::ffn_weights w;
                w.gate = part(both, i, d, 2 * h, 0, 2);
                w.up = part(both, i, d, 2 * h, 1, 2);
                w.down = part(down, i, h, d, 0, 1);
                w.gate_bias = part(both_bias, i, 1, 2 * h, 0, 2).all;
                w.up_bias = part(both_bias, i, 1, 2 * h, 1, 2).all;
                w.down_bias = part(down_bias, i, 1, d, 0, 1).all;
                file.weights.experts.push_back(w);
            }
            json values = config(d, h, e, k);
            if (given) {
                values["swiglu_alpha"] = alpha;
                values["swiglu_limit"] = limit;
            }
            auto layer = family::gpt_oss::make(family::config(values, "c"));
            io::load(layer, file.source, family::gpt_oss::names(35));
            golden::against_twin(layer, file, {.k = at(k)}, [=](double gate, double up) {
                return twin::swiglu_clamped(gate, up,
                                            static_cast<double>(static_cast<float>(alpha)), limit);
            });
        }
}

TEST_CASE("gpt_oss: what it refuses") {
    auto const good = config(16, 8, 4, 2);
    golden::refuses_what_no_family_runs<family::gpt_oss>(good, "intermediate_size",
                                                         "num_local_experts");
    CHECK(golden::refused<family::gpt_oss>(good, {{"swiglu_limit", "7"}}) ==
          "c: swiglu_limit: expected a number, got \"7\"");
}
