// SPDX-License-Identifier: MIT
// What every scorer must keep: a row's logits are its own, alone and in any batch.
#include "conformance/router_properties.hpp"
#include "prytany/router/score/context_gate.hpp"
#include "prytany/router/score/cosine.hpp"
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
        auto const logits_of = [&](matrix_view<float const> x) {
            rows z(x.rows, experts, 77);
            nothing none;
            S::score(x, kit<Scorer>{{}, weights, none}, z.view());
            return z;
        };
        for_each_case("scores of " + std::to_string(experts), [&](luck draw) {
            auto q = any(draw, experts);
            auto const z = logits_of(q.x.view());
            for (float const s : z.all) expect(!std::isnan(s), "finite rows, a logit that is NaN");
            index_t const t = draw.below(q.tokens());
            auto const alone = logits_of(q.x.view().part(t, 1));
            expect(numbers::same_bits(alone.all, z.row_of(t)), "a row alone has other logits");
            index_t const bad = draw.below(q.tokens());
            float const with[] = {std::nanf(""), INFINITY, -INFINITY, 3e38f};
            q.spoil(bad, with[draw.below(4)]);
            auto const spoilt = logits_of(q.x.view());
            for (index_t u = 0; u < q.tokens(); ++u)
                expect(u == bad || numbers::same_bits(spoilt.row_of(u), z.row_of(u)),
                       "a bad row changes another");
            rows zero(1, question::model);
            for (float const s : logits_of(zero.view()).all)
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

TEST_CASE("every scorer: lengths and angles") {
    scores<cosine{.width = 9}>();
    scores<x_moe{.width = 5}>();
    scores<laplace{}>();
    scores<prototypes{}>();
    scores<query_norm{}>({1, 2, 6, 12});
}
