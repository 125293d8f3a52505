// SPDX-License-Identifier: MIT
#include "prytany/router/score/gate_residual.hpp"

#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/merged.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/light_experts.hpp"
#include "prytany/router/score/jittered.hpp"
#include "prytany/router/score/linear.hpp"
#include "prytany/router/score/mlp.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

input after(rows const& x, rows const& logits) {
    input in = x.view();
    in.previous_logits = logits.view();
    return in;
}

} // namespace

TEST_CASE("gate_residual: by hand") {
    held<gate_residual{linear{}}> own(2, 2);
    own.set("weight", {1, 0, 0, 1});
    own.set("residual", {.5f, -1, 2, .25f});
    rows x(1, 2), before(1, 2);
    x.all = {3, 4};
    before.all = {2, 8};
    CHECK(own.score(after(x, before)).all == std::vector<float>{3 + 1 - 8, 4 + 4 + 2});
}

TEST_CASE("gate_residual: follows its formula, the same bits alone and in a batch") {
    for (index_t const experts : {1, 2, 7, 16, 33, 130})
        for (index_t const model : {1, 3, 40}) {
            held<gate_residual{linear{.biases = true}}> const own(experts, model,
                                                                  at(experts + model));
            for (index_t const tokens : {0, 1, 5, 37}) {
                auto const x = rows::normal(tokens, model, 3);
                auto const before = rows::normal(tokens, experts, 4, 2);
                auto const z = own.score(after(x, before));
                for (index_t t = 0; t < tokens; ++t) {
                    auto const of_row =
                        scorers::product(own.stored.at("weight"), twin::doubles(x.row_of(t)));
                    auto const of_before = scorers::product(own.stored.at("residual"),
                                                            twin::doubles(before.row_of(t)));
                    for (index_t e = 0; e < experts; ++e)
                        REQUIRE(scorers::near(z.view().row(t)[e],
                                              of_row[at(e)] + of_before[at(e)] +
                                                  own.stored.at("bias").all[at(e)]));
                    auto const alone = own.score(after(x, before).part(t, 1));
                    REQUIRE(numbers::same_bits(alone.all, z.row_of(t)));
                }
            }
        }
    CHECK(scorers::names<gate_residual{linear{}}>(5, 3) ==
          std::vector<std::string>{"router.residual[5, 5]", "router.weight[5, 3]"});
}

TEST_CASE("gate_residual: a map of zeros is the scorer; odd rows stay with their token") {
    held<gate_residual{mlp{gelu, 9}}> own(7, 20);
    auto const x = rows::normal(30, 20, 3);
    auto before = rows::normal(30, 7, 4);
    auto const clean = own.score(after(x, before));
    before.row(4)[2] = std::nanf("");
    before.row(9)[0] = -std::numeric_limits<float>::infinity();
    auto const soiled = own.score(after(x, before));
    for (index_t t = 0; t < 30; ++t)
        if (t != 4 && t != 9) CHECK(numbers::same_bits(clean.row_of(t), soiled.row_of(t)));
    for (float const s : soiled.row_of(4)) CHECK(std::isnan(s));
    for (float const s : soiled.row_of(9)) CHECK(!std::isfinite(s));
    rows wide(30, 12, 77);
    own.score(after(x, before), matrix_view<float>(wide.all.data(), 30, 7, 12));
    for (index_t t = 0; t < 30; ++t)
        for (index_t c = 7; c < 12; ++c) CHECK(wide.row(t)[c] == 77);

    held<gate_residual{linear{}}> silent(7, 20);
    held<linear{}> const plain(7, 20, 2); // the second tensor's numbers
    silent.set("residual", std::vector<float>(49));
    auto const finite = rows::normal(30, 7, 4);
    CHECK(silent.score(after(x, finite)).all == plain.score(x.view()).all);
}

TEST_CASE("gate_residual: a stack of layers hands its logits on") {
    constexpr shape size{.model = 24, .hidden = 16, .experts = 6};
    constexpr light_experts chosen{top_k{.k = 2}};
    moe<size, chosen, ffn{gelu}> first;
    using next = moe<size, scored{gate_residual{linear{}}, chosen}, ffn{gelu}>;
    next second, third;
    numbers::fill(first, 1), numbers::fill(second, 2), numbers::fill(third, 3);
    auto const tensor = [](auto const& layer, std::string_view role) {
        twin::matrix found;
        layer.for_each_tensor([&](auto const& t) {
            if (t.name.part == "router" && t.name.role == role) found = numbers::stored(t);
        });
        return found;
    };
    index_t const tokens = 60;
    auto const x = rows::normal(tokens, 24, 9);
    for (index_t const width : {1, 3}) {
        thread_pool pool(width);
        workspace ws;
        rows y(tokens, 24), z(tokens, 6);
        auto const keep = [&](routing const& r) {
            for (index_t t = 0; t < tokens; ++t) std::copy_n(r.logits.row(t), 6, z.row(t));
        };
        first.forward(x.view(), y.view(), ws, pool, keep);
        second.forward(after(x, z), y.view(), ws, pool, keep);
        rows const before = z;
        third.forward(after(x, before), y.view(), ws, pool, keep);
        for (index_t t = 0; t < tokens; ++t) {
            auto const row = twin::doubles(x.row_of(t));
            auto sum = scorers::product(tensor(first, "weight"), row);
            for (next const* layer : {&second, &third}) {
                auto const carried = scorers::product(tensor(*layer, "residual"), sum);
                sum = scorers::product(tensor(*layer, "weight"), row);
                for (std::size_t e = 0; e < 6; ++e) sum[e] += carried[e];
            }
            for (std::size_t e = 0; e < 6; ++e) CHECK(scorers::near(z.row(t)[e], sum[e]));
            auto const best = std::max_element(sum.begin(), sum.end()) - sum.begin();
            CHECK(ws.plan().slots_of(t)[0].expert == best);
        }
    }
}

TEST_CASE("gate_residual: what a call lacks is said") {
    constexpr shape size{.model = 6, .hidden = 4, .experts = 3};
    moe<size, scored{jittered{gate_residual{linear{}}}, top_k{.k = 1}}, ffn{gelu}> layer;
    numbers::fill(layer);
    workspace ws;
    auto const call = [&](auto const& one, input const& in) {
        rows y(in.tokens(), 6);
        return said([&] { one.forward(in, y.view(), ws, sequential{}); });
    };
    auto const x = rows::normal(4, 6, 1);
    CHECK(call(layer, after(x, rows(4, 3))).empty());
    CHECK(call(layer, rows(0, 6).view()).empty());
    CHECK(call(layer, x.view()) ==
          "gate_residual: input.previous_logits: expected [4, 3], got none");
    CHECK(call(layer, after(x, rows(4, 2))) ==
          "gate_residual: input.previous_logits: expected [4, 3], got [4, 2]");
    CHECK(call(layer, after(x, rows(3, 3))) == "moe previous logits: expected 4 rows, got 3");
    CHECK(said([&] { gate_residual{linear{}}.require(after(x, rows(3, 3)), size, {}); }) ==
          "gate_residual: input.previous_logits: expected [4, 3], got [3, 3]");
    merged<size, gate_residual{linear{}}, ffn{gelu}> pooled;
    CHECK(call(pooled, after(x, rows(4, 3))) ==
          "gate_residual: input.previous_logits: expected [1, 3], got none");
    STATIC_REQUIRE(std::is_same_v<decltype(gate_residual{gate_residual{linear{}}}),
                                  gate_residual<gate_residual<linear>>>);
}
