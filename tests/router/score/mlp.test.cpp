// SPDX-License-Identifier: MIT
#include "prytany/router/score/mlp.hpp"

#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

template <auto My, class Act>
std::vector<double> formula(held<My> const& own, std::vector<double> const& x, Act&& act) {
    auto inner = scorers::product(own.stored.at("hidden"), x);
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (My.biases) inner[i] += own.stored.at("hidden_bias").all[i];
        inner[i] = act(inner[i]);
    }
    auto all = scorers::product(own.stored.at("weight"), inner);
    if (My.biases)
        for (std::size_t e = 0; e < all.size(); ++e) all[e] += own.stored.at("bias").all[e];
    return all;
}
double gelu_of(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }
double relu_of(double x) { return std::max(x, 0.0); }

} // namespace

TEST_CASE("mlp: by hand") {
    held<mlp{relu, 2}> own(2, 2);
    own.set("hidden", {1, 0, 0, 1});
    own.set("hidden_bias", {0, -1});
    own.set("weight", {1, 1, 2, -1});
    own.set("bias", {0.5f, 0});
    rows x(2, 2);
    x.all = {1, 3, -1, 0};
    CHECK(own.score(x.view()).all == std::vector<float>{3.5f, 0, 0.5f, 0});
}

TEST_CASE("mlp: its formula in double, any activation and width, with and without biases") {
    scorers::follows<mlp{gelu, 24}>(
        [](auto const& own, auto const& x) { return formula(own, x, gelu_of); });
    scorers::follows<mlp{relu, 1, false}>(
        [](auto const& own, auto const& x) { return formula(own, x, relu_of); });
    scorers::follows<mlp{silu}>([](auto const& own, auto const& x) {
        return formula(own, x, [](double z) { return z / (1 + std::exp(-z)); });
    });
    scorers::follows<mlp{relu, 8200, false}>(
        [](auto const& own, auto const& x) { return formula(own, x, relu_of); });
}

TEST_CASE("mlp: keeps to its rows; the names and sizes of its tensors") {
    scorers::keeps_to_itself<mlp{gelu, 30}>();
    CHECK(scorers::names<mlp{gelu, 30}>(5, 4) ==
          std::vector<std::string>{"router.hidden[30, 4]", "router.weight[5, 30]",
                                   "router.hidden_bias[30, 1]v", "router.bias[5, 1]v"});
    CHECK(scorers::names<mlp{gelu, 30, false}>(5, 4).size() == 2);
    STATIC_REQUIRE(scorer<mlp<gelu_t>>);
    STATIC_REQUIRE(scored{mlp{gelu, 9}, top_k{}}.scorer().width == 9);
}
