// SPDX-License-Identifier: MIT
#include "prytany/router/dropped_second.hpp"

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

constexpr dropped_second gate{top_k{.k = 2}};

/// Two experts with weights of the caller's choice: those of the row.
struct pair {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 2; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (index_t e = 0; e < 2; ++e) out.put(t, e, in.rows.row(t)[e]);
    }
};
std::vector<slot> of(float first, float second, dropped_second<pair>::params const& own = {}) {
    asked<dropped_second{pair{}}> router(2, 1, own);
    float const weights[] = {first, second};
    return slots_of(router(matrix_view<float const>(weights, 1, 2)))[0];
}

} // namespace

TEST_CASE("dropped_second: drops by the ratio of the two weights") {
    // the shares of F0: 0.268941 / 0.731059 = 0.367879 and 0.475021 / 0.524979 = 0.904837
    rows z(2, 4);
    z.all = {2, 1, .5f, -1, .3f, .2f, .1f, 0};
    asked<gate> router(4, 2, {.beta = .5f});
    auto const got = slots_of(router(z.view()));
    CHECK(got[0] == std::vector<slot>{{0, 1, 0}});
    REQUIRE(got[1].size() == 2);
    CHECK(got[1][0].weight == Approx(0.524979).epsilon(1e-5));
    asked<gate> raw(4, 2, {.beta = .5f, .renormalise = false});
    CHECK(slots_of(raw(z.view()))[0][0].weight == Approx(0.731059).epsilon(1e-5));
    asked<gate> mild(4, 2, {.beta = .36f});
    CHECK(slots_of(mild(z.view()))[0].size() == 2);
}

TEST_CASE("dropped_second: at equality both stay, compared in float32") {
    CHECK(of(.5f, .25f).size() == 2);
    CHECK(of(.5f, std::nextafter(.25f, 0.0f)).size() == 1);
    float const first = .7f, edge = .4f * first; // rounded: as a double it is another number
    CHECK(of(first, edge, {.beta = .4f}).size() == 2);
    CHECK(of(1, 0, {.beta = 0}).size() == 2);
}

TEST_CASE("dropped_second: the heavier is first wherever it was; NaN stays") {
    CHECK(of(.1f, .9f) == std::vector<slot>{{1, 1, 0}});
    CHECK(of(.4f, .6f) == std::vector<slot>{{1, .6f, 0}, {0, .4f, 0}});
    CHECK(of(.5f, .5f)[0].expert == 0);
    CHECK(of(std::nanf(""), .5f).size() == 2);
    CHECK(of(std::nanf(""), std::nanf("")).size() == 2);
}

TEST_CASE("dropped_second: idle slots, parts of a batch, no token, itself inside itself") {
    auto z = rows::normal(30, 5, 3, 2);
    for (index_t e = 1; e < 5; ++e) z.row(4)[e] = -std::numeric_limits<float>::infinity();
    asked<gate> router(5, 30);
    auto const whole = slots_of(router(z.view()));
    CHECK(whole[4] == std::vector<slot>{{0, 1, 0}});
    auto const some = slots_of(router(z.part(3, 9).view()));
    CHECK(numbers::same_slots(some, {whole.begin() + 3, whole.begin() + 12}));
    CHECK(slots_of(router(rows(0, 5).view())).empty());
    STATIC_REQUIRE(std::is_same_v<decltype(dropped_second{dropped_second{top_k{}}}),
                                  dropped_second<dropped_second<top_k>>>);
    CHECK(!gate.promise().unit_sum);
}

TEST_CASE("dropped_second: what is out of range is said at construction") {
    auto const sentence = [](auto const& policy, params_of<dropped_second<top_k>> const& own) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(gate, {}).empty());
    CHECK(sentence(dropped_second{top_k{.k = 3}}, {}) ==
          "dropped_second.router: expected two slots a token, got 3");
    CHECK(sentence(gate, {.beta = -1}) ==
          "dropped_second.beta: expected a finite number ≥ 0, got -1.000000");
    CHECK(sentence(gate, {.beta = std::nanf("")}).find("dropped_second.beta") == 0);
}
