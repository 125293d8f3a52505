// SPDX-License-Identifier: MIT
#include "prytany/router/concept.hpp"

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

struct without_select {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {}; }
};
struct throwing_select : without_select {
    template <auto My>
    static void select(seen const&, kit<My>, plan&) {}
};
struct wrong_slots : archetype::router {
    constexpr int slots(shape const&, params const&) const { return 1; }
};

struct of_rows { // a scorer sees the whole input
    template <auto My>
    static void score(matrix_view<float const>, kit<My>, matrix_view<float>) noexcept {}
};

} // namespace

TEST_CASE("router_policy: its models, and what is none") {
    STATIC_REQUIRE(router_policy<top_k>);
    STATIC_REQUIRE(router_policy<biased<top_k>>);
    STATIC_REQUIRE(router_policy<biased<biased<top_k>>>);
    STATIC_REQUIRE(router_policy<scored<linear, top_k>>);
    STATIC_REQUIRE(router_policy<archetype::router>);
    STATIC_REQUIRE(router_policy<written::above>);
    STATIC_REQUIRE(router_policy<written::halved<top_k>>);
    STATIC_REQUIRE(!router_policy<int>);
    STATIC_REQUIRE(!router_policy<without_select>);
    STATIC_REQUIRE(!router_policy<throwing_select>);
    STATIC_REQUIRE(!router_policy<wrong_slots>);
    STATIC_REQUIRE(!router_policy<linear>);
}

TEST_CASE("scorer: its models, and what is none") {
    STATIC_REQUIRE(scorer<linear>);
    STATIC_REQUIRE(scorer<archetype::scorer>);
    STATIC_REQUIRE(!scorer<top_k>);
    STATIC_REQUIRE(!scorer<of_rows>);
    STATIC_REQUIRE(!scorer<int>);
}

TEST_CASE("router: the scorer is its own, the inner router's, or there is none") {
    STATIC_REQUIRE(std::is_same_v<decltype(scorer_of(top_k{})), linear>);
    STATIC_REQUIRE(std::is_same_v<decltype(scorer_of(biased{top_k{}})), linear>);
    STATIC_REQUIRE(std::is_same_v<decltype(scorer_of(archetype::router{})), nothing>);
    STATIC_REQUIRE(
        std::is_same_v<decltype(scorer_of(written::halved<written::above>{})), archetype::scorer>);
    STATIC_REQUIRE(scorer_of(biased{scored{linear{.biases = true}, top_k{}}}).biases);
    STATIC_REQUIRE(!scorer_of(scored{linear{}, scored{linear{.biases = true}, top_k{}}}).biases);
}

TEST_CASE("router: tensors and checks reach every router that is wrapped") {
    constexpr auto twice = biased{biased{top_k{.k = 2}}};
    weights_of<kind_of<twice>> weights{};
    std::vector<std::string> names;
    router_tensors(twice, weights, {.model = 3, .hidden = 1, .experts = 5}, [&](auto const& t) {
        names.push_back(t.name.text());
        t.allocate();
        CHECK(t.rows == 5);
        CHECK(t.cols == 1);
        CHECK(t.vector);
    });
    CHECK(names == std::vector<std::string>(2, "router.correction"));
    CHECK(weights.correction.rows() == 5);
    CHECK(weights.router.correction.rows() == 5);

    shape const size{.model = 3, .hidden = 1, .experts = 5};
    CHECK_NOTHROW(check_router(twice, size, {}));
    CHECK_THROWS_AS(check_router(twice, size, {.router = {.router = {.temperature = 0}}}), error);
    CHECK_NOTHROW(check_router(archetype::router{}, size, {}));
}

TEST_CASE("seen: a part keeps what holds for every token") {
    numbers::rows const x(6, 4), z(6, 3);
    std::vector<std::uint8_t> const mask{1, 0, 1, 0, 0, 1};
    std::vector<float> const bias(3);
    seen all{input{x.view(), mask}};
    all.logits = z.view();
    all.bias = bias;
    seen const some = all.part(2, 3);
    CHECK(some.tokens() == 3);
    CHECK(some.rows.data == x.view().row(2));
    CHECK(some.logits.data == z.view().row(2));
    CHECK(some.logits.rows == 3);
    CHECK(some.bias.data() == bias.data());
    CHECK(some.present(0));
    CHECK(!some.present(1));

    all.logits = {};
    CHECK(all.part(1, 2).logits.data == nullptr);
}
