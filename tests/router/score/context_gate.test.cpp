// SPDX-License-Identifier: MIT
#include "prytany/router/score/context_gate.hpp"

#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

constexpr top_k hard{.k = 1, .weight = weighing::unit};
constexpr top_k soft{.k = 2};

} // namespace

TEST_CASE("context_gate: the solved gate of MixER and its four environments") {
    held<context_gate{}> own(2, 2);
    // W = [[-.519043, .519043], [.390967, -.390967], [.493428, .506572]], transposed
    own.set("gate", {-0.519043f, 0.390967f, 0.493428f, 0.519043f, -0.390967f, 0.506572f});
    rows contexts(4, 2);
    contexts.all = {1, 0.1f, 0.9f, -0.1f, -1, 0, -0.8f, 0.2f};
    auto const z = own.score(contexts.view());
    numbers::asked<hard> top(2, 4);
    auto const chosen = numbers::slots_of(top(z.view()));
    int const wanted[] = {1, 1, 0, 0};
    for (std::size_t t = 0; t < 4; ++t) CHECK(chosen[t] == std::vector<slot>{{wanted[t], 1, 0}});
    numbers::asked<soft> all(2, 4);
    auto const gates = numbers::slots_of(all(z.view()));
    CHECK(scorers::near(gates[0][0].weight, 0.725724));
    CHECK(scorers::near(gates[0][1].weight, 0.274276));
    CHECK(scorers::near(gates[2][0].weight, 0.735934));
    CHECK(scorers::near(gates[2][1].weight, 0.264066));
}

TEST_CASE("context_gate: its formula in double") {
    scorers::follows<context_gate{}>([](auto const& own, std::vector<double> x) {
        x.push_back(1);
        return scorers::product(own.stored.at("gate"), x);
    });
}

TEST_CASE("context_gate: equal gates go to the lower number") {
    held<context_gate{}> own(3, 1);
    own.set("gate", {1, 0, 2, -1, 2, -1});
    rows x(1, 1);
    x.all = {1};
    numbers::asked<hard> top(3, 1);
    auto const z = own.score(x.view());
    CHECK(z.all == std::vector<float>{1, 1, 1});
    CHECK(numbers::slots_of(top(z.view()))[0] == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("context_gate: keeps to its rows; the name and size of its tensor") {
    scorers::keeps_to_itself<context_gate{}>();
    CHECK(scorers::names<context_gate{}>(5, 4) == std::vector<std::string>{"router.gate[5, 5]"});
    STATIC_REQUIRE(scorer<context_gate>);
}
