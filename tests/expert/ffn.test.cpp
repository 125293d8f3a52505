// SPDX-License-Identifier: MIT
#include "prytany/expert/ffn.hpp"

#include "expert/ffn_held.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::follows, numbers::held_expert, numbers::rows;

namespace {

using words = std::vector<std::string>;
template <auto Expert>
words names() {
    typename kind_of<Expert>::template weights<dense<float>{}> weights;
    words all;
    Expert.tensors(weights, {.model = 6, .hidden = 10, .experts = 2}, [&](auto const& t) {
        all.push_back(t.name.text() + dims_text(t.rows, t.cols) + (t.vector ? "v" : ""));
    });
    return all;
}

} // namespace

TEST_CASE("ffn: odd sizes") {
    for (index_t const model : {1, 2, 5, 9, 15, 16, 31, 32, 33, 65, 129})
        for (index_t const hidden : {1, 3, 8, 15, 17, 31, 33, 63, 100})
            for (index_t const count : {1, 2, 3, 4, 11, 30}) {
                follows<ffn{swiglu, biases}, dense<float>{}>(twin::gated(twin::silu), model, hidden,
                                                             count);
                follows<ffn{relu}, dense<bf16>{}>(twin::plain(twin::relu), model, hidden, count);
            }
}

TEST_CASE("ffn: sums longer than a block") {
    follows<ffn{swiglu}, dense<float>{}>(twin::gated(twin::silu), 1025, 513, 3);
    follows<ffn{swiglu}, dense<bf16>{}>(twin::gated(twin::silu), 513, 1025, 13);
    follows<ffn{gelu, biases}, dense<f16>{}>(twin::plain(twin::gelu), 1500, 700, 2);
}

TEST_CASE("ffn: the params of an activation act") {
    held_expert<ffn{swiglu_clamped, biases}> own(20, 30);
    own.params = {.alpha = 1.1f, .limit = 0.5f};
    auto const x = rows::normal(6, 20, 4, 3);
    twin::matrix in(6, 20);
    in.all = twin::doubles(x.all);
    auto const act = [](double g, double u) { return twin::swiglu_clamped(g, u, 1.1f, 0.5); };
    CHECK(twin::nmse(own.apply(x).all, twin::ffn(in, own.twin(), act).all) <= 1e-12);
}

TEST_CASE("ffn: sizes that the type fixes change no bit") {
    held_expert<ffn{swiglu}, dense<bf16>{}> const free(40, 24);
    held_expert<ffn{swiglu}, dense<bf16>{}, shape{.model = 40, .hidden = 24}> const fixed(40, 24);
    for (index_t const count : {1, 2, 3, 9, 30}) {
        auto const x = rows::normal(count, 40, 1);
        CHECK(numbers::same_bits(free.apply(x).all, fixed.apply(x).all));
    }
}

TEST_CASE("ffn: the names and sizes of its tensors") {
    CHECK(names<ffn{swiglu, biases}>() ==
          words{"expert.gate[10, 6]", "expert.up[10, 6]", "expert.down[6, 10]",
                "expert.gate_bias[10, 1]v", "expert.up_bias[10, 1]v", "expert.down_bias[6, 1]v"});
    CHECK(names<ffn{swiglu}>() ==
          words{"expert.gate[10, 6]", "expert.up[10, 6]", "expert.down[6, 10]"});
    CHECK(names<ffn{gelu}>() == words{"expert.up[10, 6]", "expert.down[6, 10]"});
}
