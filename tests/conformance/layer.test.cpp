// SPDX-License-Identifier: MIT
// What every layer must keep, run on every model and on the least one.
#include <set>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/layer/merged.hpp"
#include "prytany/layer/mixed.hpp"
#include "prytany/layer/option/capacity.hpp"
#include "prytany/layer/soft.hpp"
#include "prytany/prytany.hpp"
#include "prytany/router/light_experts.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::run, numbers::same_bits;

namespace {

template <class Layer>
constexpr bool token_by_token() {
    if constexpr (requires { Layer::promise; }) return Layer::promise.sees == scope::token;
    else return true;
}

template <moe_layer Layer>
void suite(Layer layer) {
    numbers::fill(layer);
    shape const size = layer.sizes();
    index_t const tokens = 26;
    auto const x = rows::normal(tokens, size.model, 41);
    workspace ws;
    auto const whole = run(layer, x, ws, sequential{});
    for (float const v : whole) REQUIRE(std::isfinite(v));

    // all threads, all batches, all workspaces: the same bits
    thread_pool pool(3);
    REQUIRE(same_bits(run(layer, x, ws, pool), whole));
    REQUIRE(same_bits(run(std::as_const(layer), x), whole));
    for (index_t t = 0; token_by_token<Layer>() && t < tokens; t += 5)
        REQUIRE(same_bits(run(layer, x.part(t, 1), ws, sequential{}),
                          std::vector<float>(whole.begin() + t * size.model,
                                             whole.begin() + (t + 1) * size.model)));
    REQUIRE(run(layer, x.part(0, 0), ws, pool).empty());

    // what is laid out is laid out again the same, and reserve is enough
    workspace reserved;
    reserved.reserve(layer, tokens, pool);
    index_t const bytes = reserved.bytes();
    REQUIRE(same_bits(run(layer, x, reserved, pool), whole));
    REQUIRE(reserved.bytes() == bytes);

    // an observer is shown a plan and changes nothing
    rows y(tokens, size.model);
    layer.forward(x.view(), y.view(), ws, sequential{}, [&](routing const& call) {
        REQUIRE(call.plan.tokens() == tokens);
        REQUIRE(call.plan.experts() == size.experts);
    });
    REQUIRE(same_bits(y.all, whole));

    // tensors by name, the same ones const or not, each a matrix of its own
    std::vector<std::string> names;
    layer.for_each_tensor([&](auto const& t) { names.push_back(t.name.text()); });
    REQUIRE(std::set<std::string>(names.begin(), names.end()).size() == names.size());
    std::size_t next = 0;
    std::as_const(layer).for_each_tensor([&](auto const& t) {
        REQUIRE(next < names.size());
        REQUIRE(t.name.text() == names[next++]);
        REQUIRE(t.rows >= 1);
        REQUIRE(t.cols >= 1);
        REQUIRE(t.bytes() >= t.rows * t.cols);
    });
    REQUIRE(next == names.size());

    // a copy runs on its own weights
    Layer const copy = layer;
    layer.for_each_tensor([](auto const& t) { numbers::fill_with(t, 0); });
    REQUIRE(same_bits(run(copy, x), whole));
}

} // namespace

TEST_CASE("every layer: moe") {
    suite(moe<shape{24, 16, 6}, top_k{.k = 2}, ffn{swiglu}>{});
    suite(moe<shape{24, 16, 6, 2}, biased{top_k{.k = 2, .score = scoring::sigmoid}},
              ffn{swiglu, biases}, dense<bf16>{}, shared_as{dense<f16>{}}, shared_gate{}>{});
    suite(moe<shape{}, top_k{}, ffn{gelu}>({23, 17, 5}, {.router = {.k = 5}}));
}

TEST_CASE("every layer: moe of the least router and the least expert") {
    suite(moe<shape{24, 16, 6}, archetype::router{}, archetype::expert{}>{});
    suite(moe<shape{24, 16, 6, 1}, written::above{}, archetype::expert{}>{});
    suite(moe<shape{24, 16, 6}, archetype::router{}, ffn{swiglu}>{});
    suite(moe<shape{24, 16, 6}, top_k{.k = 3}, written::untiled{ffn{reglu}}>{});
}

TEST_CASE("every layer: full experts, light experts, layers that mix") {
    suite(moe<shape{24, 16, 6}, top_k{.k = 2}, ffn{swiglu}, capacity{}>{});
    suite(mixed<moe<shape{24, 16, 6}, light_experts{top_k{.k = 2}}, ffn{swiglu}>>{});
    suite(soft<shape{24, 16, 6}, ffn{swiglu}>({}, {.slots = 2}));
    suite(merged<shape{24, 16, 6}, linear{}, ffn{swiglu}>{});
}

TEST_CASE("every layer: the least one") {
    archetype::layer const layer;
    auto const x = rows::normal(5, 8, 1);
    CHECK(same_bits(run(layer, x), x.all));
    rows y(5, 8);
    workspace ws;
    layer.forward(x.view(), y.view(), ws, sequential{}, unobserved{});
    CHECK(same_bits(y.all, x.all));
}
