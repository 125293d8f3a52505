// SPDX-License-Identifier: MIT
#include "prytany/router/light_experts.hpp"

#include <limits>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr light_experts all{top_k{.k = 6}};
constexpr light_experts two{top_k{.k = 2}};
using counts = light_experts<top_k>::params;

} // namespace

TEST_CASE("light_experts: the last ones are zeros, copies, constants, in this order") {
    asked<all> router(6, 1, {.zeros = 1, .copies = 1, .constants = 2});
    auto const got = router(rows(1, 6).view()).slots_of(0);
    std::int32_t const tiers[] = {0, 0, 1, 2, 3, 3};
    REQUIRE(got.size() == 6);
    for (std::size_t j = 0; j < 6; ++j) CHECK((got[j].expert == int(j) && got[j].tier == tiers[j]));
    CHECK(router(rows(1, 6).view()).first_of(6) == 2); // two of the six run

    router.params = {.zeros = 0, .copies = 2, .constants = 0};
    for (slot const s : router(rows(1, 6).view()).slots_of(0))
        CHECK(s.tier == (s.expert < 4 ? 0 : 2));
    router.params = {.zeros = 0, .copies = 0, .constants = 0};
    for (slot const s : router(rows(1, 6).view()).slots_of(0)) CHECK(s.tier == 0);
}

TEST_CASE("light_experts: chosen and weighed like every other expert") {
    auto const z = rows::normal(40, 8, 3, 2);
    asked<two> router(8, 40, {.zeros = 1, .copies = 2, .constants = 1});
    asked<top_k{.k = 2}> plain(8, 40);
    auto const got = slots_of(router(z.view())), wanted = slots_of(plain(z.view()));
    bool seen_kinds[4] = {};
    for (std::size_t t = 0; t < 40; ++t) {
        REQUIRE(got[t].size() == 2);
        for (std::size_t j = 0; j < 2; ++j) {
            slot same = got[t][j];
            auto const kind = router.params.kind(same.expert, 8);
            CHECK(same.tier == static_cast<std::int32_t>(kind));
            seen_kinds[at(same.tier)] = true;
            same.tier = 0;
            CHECK(same == wanted[t][j]);
        }
    }
    for (bool const seen : seen_kinds) CHECK(seen);
    auto const part = slots_of(router(z.part(11, 9).view()));
    CHECK(numbers::same_slots(part, {got.begin() + 11, got.begin() + 20}));
}

TEST_CASE("light_experts: an idle expert stays idle, of whatever kind") {
    constexpr float shut = -std::numeric_limits<float>::infinity();
    asked<two> router(4, 1, {.zeros = 0, .copies = 1, .constants = 1});
    std::vector<float> const z{shut, shut, shut, shut};
    auto const got = router(matrix_view<float const>(z.data(), 1, 4)).slots_of(0);
    for (slot const s : got) CHECK((s.weight == 0 && s.tier == 1));
    std::vector<float> const last{shut, shut, 1, shut};
    auto const copied = router(matrix_view<float const>(last.data(), 1, 4)).slots_of(0);
    CHECK(copied[0] == slot{2, 1, 2});
    CHECK(copied[1] == slot{0, 0, 1});
}

TEST_CASE("light_experts: around itself, no tokens, what it promises") {
    STATIC_REQUIRE(
        std::is_same_v<decltype(light_experts{two}), light_experts<light_experts<top_k>>>);
    STATIC_REQUIRE(light_experts{archetype::router{}}.promise().unit_sum);
    asked<two> router(4, 3);
    CHECK(slots_of(router(rows(0, 4).view())).empty());
    CHECK(router.most() == 2);
}

TEST_CASE("light_experts: what is out of range is said at construction") {
    auto const sentence = [](counts const& own) {
        try {
            two.check({.model = 4, .hidden = 4, .experts = 4}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({.zeros = 1, .copies = 1, .constants = 1}).empty());
    CHECK(sentence({.zeros = 2, .copies = 1, .constants = 1}) ==
          "light_experts: expected fewer than the 4 experts, got 4");
    CHECK(sentence({.zeros = -1}) == "light_experts.zeros: expected at least 0, got -1");
    CHECK(sentence({.copies = -2}) == "light_experts.copies: expected at least 0, got -2");
    CHECK(sentence({.constants = -3}) == "light_experts.constants: expected at least 0, got -3");
}
