// SPDX-License-Identifier: MIT
// What every scorer must keep: a row's logits are its own, alone and in any batch.
#include "conformance/router_properties.hpp"
#include "prytany/router/score/context_gate.hpp"
#include "prytany/router/score/cosine.hpp"
#include "prytany/router/score/gate_residual.hpp"
#include "prytany/router/score/jittered.hpp"
#include "prytany/router/score/laplace.hpp"
#include "prytany/router/score/linear.hpp"
#include "prytany/router/score/linear_heads.hpp"
#include "prytany/router/score/mlp.hpp"
#include "prytany/router/score/prototypes.hpp"
#include "prytany/router/score/query_norm.hpp"
#include "prytany/router/score/x_moe.hpp"

using namespace prytany;
using namespace properties;

namespace {

template <auto Scorer>
void scores(std::initializer_list<index_t> expert_numbers = {1, 2, 6, 12, 66}) {
    using S = kind_of<Scorer>;
    STATIC_REQUIRE(scorer<S>);
    for (index_t const experts : expert_numbers) {
        shape const size{.model = question::model, .hidden = 1, .experts = experts};
        weights_of<S> weights{};
        Scorer.tensors(weights, size, [&](auto const& t) {
            t.allocate();
            numbers::fill_tensor(t, 3);
        });
        auto const logits_of = [&](input const& in) {
            rows z(in.tokens(), experts, 77);
            scratch_of<S> scratch{};
            arena count;
            lay_out_scratch(Scorer, scratch, count, size, in.tokens());
            buffer<std::byte> room(count.used());
            arena memory(room.data());
            lay_out_scratch(Scorer, scratch, memory, size, in.tokens());
            require_input(Scorer, in, size, {});
            S::score(in, kit<Scorer>{{}, weights, scratch}, z.view());
            return z;
        };
        for_each_case("scores of " + std::to_string(experts), [&](luck draw) {
            auto q = any(draw, experts);
            auto const before = rows::normal(q.tokens(), experts, 8);
            auto const asked = [&] {
                input in = q.view();
                in.previous_logits = before.view();
                return in;
            };
            auto const z = logits_of(asked());
            for (float const s : z.all) expect(!std::isnan(s), "finite rows, a logit that is NaN");
            index_t const t = draw.below(q.tokens());
            auto const alone = logits_of(asked().part(t, 1));
            expect(numbers::same_bits(alone.all, z.row_of(t)), "a row alone has other logits");
            index_t const bad = draw.below(q.tokens());
            float const with[] = {std::nanf(""), INFINITY, -INFINITY, 3e38f};
            q.spoil(bad, with[draw.below(4)]);
            auto const spoilt = logits_of(asked());
            for (index_t u = 0; u < q.tokens(); ++u)
                expect(u == bad || numbers::same_bits(spoilt.row_of(u), z.row_of(u)),
                       "a bad row changes another");
            rows const zero(1, question::model), zero_logits(1, experts);
            input blank(zero.view());
            blank.previous_logits = zero_logits.view();
            for (float const s : logits_of(blank).all)
                expect(!std::isnan(s), "a row of zeros, a logit that is NaN");
        });
    }
}

} // namespace

TEST_CASE("every scorer: linear maps") {
    scores<linear{}>();
    scores<linear{.biases = true}>();
    scores<linear_heads{.shared = 1}>({2, 6, 12, 66});
    scores<linear_heads{.shared = 2}>({6, 12, 66});
    scores<mlp{gelu, 9}>();
    scores<mlp{relu, 16, false}>();
    scores<context_gate{}>();
}

TEST_CASE("every scorer: others, changed") {
    scores<jittered{linear{}}>();
    scores<jittered{cosine{.width = 9}}>({1, 6});
    scores<gate_residual{linear{.biases = true}}>();
    scores<jittered{gate_residual{mlp{gelu, 9}}}>({1, 6, 66});
}

TEST_CASE("every scorer: lengths and angles") {
    scores<cosine{.width = 9}>();
    scores<x_moe{.width = 5}>();
    scores<laplace{}>();
    scores<prototypes{}>();
    scores<query_norm{}>({1, 2, 6, 12});
}
