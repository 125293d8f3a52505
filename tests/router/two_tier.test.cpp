// SPDX-License-Identifier: MIT
#include "prytany/router/two_tier.hpp"

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

/// Every expert, with the weights of the row; one below 0 is listed and not run.
struct given {
    struct params {};
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {.positive = false}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (index_t e = 0; e < out.experts(); ++e)
                out.put(t, e, in.rows.row(t)[e], in.rows.row(t)[e] < 0 ? 1 : 0);
    }
};
std::vector<int> tiers(std::vector<float> const& weights, two_tier<given>::params const& own) {
    auto const experts = static_cast<index_t>(weights.size());
    asked<two_tier{given{}}> router(experts, 1, own);
    std::vector<int> all;
    auto const got = slots_of(router(matrix_view<float const>(weights.data(), 1, experts)));
    for (slot const s : got[0]) {
        all.push_back(s.tier);
        CHECK(numbers::same_bits(std::vector{s.weight},
                                 std::vector{weights[static_cast<std::size_t>(s.expert)]}));
    }
    return all;
}
using list = std::vector<int>;

} // namespace

TEST_CASE("two_tier: by the share of the best") {
    CHECK(tiers({.5f, .3f, .2f}, {}) == list{0, 0, 0});
    CHECK(tiers({.5f, .3f, .2f}, {.share = .5f}) == list{0, 0, 1});
    CHECK(tiers({.2f, .5f, .3f}, {.share = .9f}) == list{1, 0, 1});
    CHECK(tiers({.5f, .25f}, {.share = .5f}) == list{0, 0});
    CHECK(tiers({.5f, .4999f}, {.share = 1}) == list{0, 1});
    float const top = .7f, edge = .4f * top; // rounded: as a double it is another number
    CHECK(tiers({top, edge, std::nextafter(edge, 0.0f)}, {.share = .4f}) == list{0, 0, 1});
}

TEST_CASE("two_tier: by rank") {
    CHECK(tiers({.1f, .4f, .3f, .2f}, {.full = 2}) == list{1, 0, 0, 1});
    CHECK(tiers({.25f, .25f, .25f, .25f}, {.full = 3}) == list{0, 0, 0, 1});
    CHECK(tiers({.5f, .5f}, {.full = 0}) == list{1, 1});
    CHECK(tiers({.5f, .5f}, {.full = 9}) == list{0, 0});
    CHECK(tiers({.1f, .4f, .3f, .2f}, {.share = .7f, .full = 3}) == list{1, 0, 0, 1});
}

TEST_CASE("two_tier: what is not run counts for nothing; NaN is not below a share") {
    CHECK(tiers({-5, .2f, .1f}, {.full = 1}) == list{1, 0, 1});
    CHECK(tiers({-5, -1}, {.share = .5f, .full = 1}) == list{1, 1});
    CHECK(tiers({std::nanf(""), .5f, .1f}, {.share = .5f}) == list{0, 0, 1});
    CHECK(tiers({std::nanf(""), .5f, .1f}, {.full = 1}) == list{1, 0, 1});
    CHECK(tiers({.5f, .1f, std::nanf("")}, {.share = .5f, .full = 2}) == list{0, 1, 1});
    CHECK(tiers({std::nanf(""), .5f, .1f}, {.share = .5f, .full = 2}) == list{1, 0, 1});
}

TEST_CASE("two_tier: with nothing asked for, the inner router; parts of a batch") {
    auto z = rows::normal(30, 8, 3, 2);
    z.row(3)[2] = std::nanf("");
    asked<top_k{.k = 3}> plain(8, 30);
    asked<two_tier{top_k{.k = 3}}> router(8, 30);
    auto const base = slots_of(plain(z.view()));
    CHECK(numbers::same_slots(slots_of(router(z.view())), base));
    router.params.share = .4f;
    auto const whole = slots_of(router(z.view()));
    index_t weak = 0;
    for (std::size_t t = 0; t < 30; ++t)
        for (std::size_t j = 0; j < 3; ++j) {
            weak += whole[t][j].tier;
            if (t == 3) continue;
            CHECK(whole[t][j].tier == (base[t][j].weight < .4f * base[t][0].weight));
        }
    CHECK(weak > 0);
    auto const some = slots_of(router(z.part(2, 7).view()));
    CHECK(numbers::same_slots(some, {whole.begin() + 2, whole.begin() + 9}));
    CHECK(slots_of(router(rows(0, 8).view())).empty());
    STATIC_REQUIRE(
        std::is_same_v<decltype(two_tier{two_tier{top_k{}}}), two_tier<two_tier<top_k>>>);
    asked<two_tier{two_tier{top_k{.k = 3}}}> twice(8, 30, {.full = 1, .router = {.share = .4f}});
    for (auto const& slots : slots_of(twice(z.view())))
        CHECK((slots[0].tier == 0 && slots[1].tier == 1 && slots[2].tier == 1));
}

TEST_CASE("two_tier: what is out of range is said at construction") {
    auto const sentence = [](params_of<two_tier<top_k>> const& own) {
        try {
            two_tier{top_k{.k = 2}}.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({}).empty());
    CHECK(sentence({.share = 1.5f}) == "two_tier.share: expected 0 to 1, got 1.500000");
    CHECK(sentence({.share = std::nanf("")}).find("two_tier.share: expected 0 to 1") == 0);
    CHECK(sentence({.full = -2}) == "two_tier.full: expected at least 0, got -2");
}
