// SPDX-License-Identifier: MIT
#include "prytany/router/scored.hpp"

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

TEST_CASE("scored: names another scorer and leaves the choice as it is") {
    STATIC_REQUIRE(scored{linear{.biases = true}, top_k{}}.scorer().biases);
    STATIC_REQUIRE(
        std::is_same_v<decltype(scored{archetype::scorer{}, top_k{}}.scorer()), archetype::scorer>);
    auto const z = rows::normal(20, 9, 2, 3);
    asked<scored{linear{.biases = true}, top_k{.k = 3}}> wrapped(9, 20,
                                                                 {.router = {.temperature = 2}});
    asked<top_k{.k = 3}> plain(9, 20, {.temperature = 2});
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view()))));
    CHECK(wrapped.most() == 3);
}

TEST_CASE("scored: hands on a bias, around and inside a correction") {
    auto const z = rows::normal(20, 9, 3, 1);
    auto const bias = twin::floats(twin::normal(9, 6, 0.5));
    asked<top_k{.k = 2}> plain(9, 20);
    auto const wanted = slots_of(plain(z.view(), bias));
    asked<scored{linear{}, top_k{.k = 2}}> wrapped(9, 20);
    CHECK(numbers::same_slots(slots_of(wrapped(z.view(), bias)), wanted));

    asked<scored{linear{}, biased{top_k{.k = 2}}}> around(9, 20);
    asked<biased{scored{linear{}, top_k{.k = 2}}}> inside(9, 20);
    for (std::size_t e = 0; e < 9; ++e) {
        around.weights.router.correction.pack(static_cast<index_t>(e),
                                              std::span(bias).subspan(e, 1));
        inside.weights.correction.pack(static_cast<index_t>(e), std::span(bias).subspan(e, 1));
    }
    CHECK(numbers::same_slots(slots_of(around(z.view())), wanted));
    CHECK(numbers::same_slots(slots_of(inside(z.view())), wanted));
}

TEST_CASE("scored: promises what the inner router promises") {
    STATIC_REQUIRE(scored{linear{}, archetype::router{}}.promise().unit_sum);
    STATIC_REQUIRE(!scored{linear{}, top_k{}}.promise().unit_sum);
}
