// SPDX-License-Identifier: MIT
#include "prytany/router/threshold.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/every_expert.hpp"
#include "prytany/router/top_p.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");
std::vector<float> const z0{2, 1, 0.5f, -1}, z1{0.3f, 0.2f, 0.1f, 0};

std::vector<slot> one(std::vector<float> const& logits, threshold::params const& own = {},
                      std::vector<float> const& bias = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<threshold{}> router(experts, 1, own);
    return slots_of(router(matrix_view<float const>(logits.data(), 1, experts), bias))[0];
}
std::vector<int> experts_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (slot const& s : slots) all.push_back(s.expert);
    return all;
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j)
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
}
lists many(rows const& z, threshold::params const& own) {
    return slots_of(asked<threshold{}>(z.cols, z.count, own)(z.view()));
}
std::string sentence(threshold::params const& own) {
    try {
        threshold{}.check({.model = 4, .hidden = 4, .experts = 8}, own);
    } catch (error const& e) {
        return e.what();
    }
    return "";
}

} // namespace

TEST_CASE("threshold: the numbers of the literature") {
    require_weights(one(z0), {0.609460, 0.224208, 0.135989});
    require_weights(one(z1), {0.288651, 0.261183, 0.236328, 0.213838});
    CHECK(experts_of(one(z0)) == std::vector{0, 1, 2});
    CHECK(experts_of(one(z1)) == std::vector{0, 1, 2, 3});
}

TEST_CASE("threshold: asks what came before, the expert itself is not counted") {
    std::vector<float> const quarters(4);
    CHECK(one(quarters, {.t = 0.5f}).size() == 2); // 0 and 0.25 are below, 0.5 is not
    CHECK(one(quarters, {.t = std::nextafter(0.5f, 1.0f)}).size() == 3);
    CHECK(one(quarters, {.t = 0.25f}).size() == 1);
    CHECK(one(quarters, {.t = 0}).size() == 1); // at least one

    auto const z = rows::normal(80, 12, 3, 1.5);
    for (float const t : {0.2f, 0.55f, 0.9f, 0.97f}) {
        auto const plan = many(z, {.t = t});
        for (index_t token = 0; token < z.count; ++token) {
            auto const logits = twin::doubles(z.row_of(token));
            auto const all = twin::probabilities(logits, 1);
            auto const& got = plan[at(token)];
            double before = 0;
            std::size_t rank = 0;
            bool close = false; // to the threshold: double and float may differ
            for (std::size_t const e : twin::ranked(logits)) {
                close = close || std::abs(before - double{t}) < 1e-5;
                if (rank > 0 && before >= double{t}) break;
                if (close) break;
                REQUIRE(rank < got.size());
                REQUIRE(at(got[rank].expert) == e);
                REQUIRE(got[rank++].weight == Approx(all[e]).epsilon(1e-5).margin(1e-9));
                before += all[e];
            }
            CHECK((close || got.size() == rank));
        }
    }
}

TEST_CASE("threshold: sums and compares in float") {
    std::vector<float> const equal(10);
    CHECK(one(equal, {.t = 0.4f}).size() == 4); // four times 0.1f is 0.4f, which is above 0.4
    CHECK(one(equal, {.t = 0.3f}).size() == 3); // and three times is 0.3f; in double it is less
    float nine = 0;
    for (int i = 0; i < 9; ++i) nine += 0.1f;
    REQUIRE(nine > 0.9f);
    CHECK(one(equal, {.t = nine}).size() == 9); // in double, nine times is less
}

TEST_CASE("threshold: is top_p with the rule that includes, bit for bit") {
    for (float const scale : {0.0f, 0.5f, 4.0f})
        for (float const t : {0.0f, 0.25f, 0.5f, 0.9f, 1.0f})
            for (index_t const cap : {index_t{1}, index_t{3}, dynamic}) {
                auto const z = rows::normal(20, 8, 4, scale);
                asked<top_p{}> other(8, 20, {.p = t, .inclusive = true, .cap = cap});
                auto const got = many(z, {.t = t, .cap = cap});
                CHECK(numbers::same_slots(got, slots_of(other(z.view()))));
                for (auto const& slots : got) CHECK(slots.size() <= (cap == dynamic ? 8 : at(cap)));
            }
}

TEST_CASE("threshold: t = 1 is the dense mixture") {
    for (float const scale : {0.0f, 1.0f, 40.0f}) {
        auto const z = rows::normal(20, 33, 5, scale);
        auto all = many(z, {.t = 1});
        for (auto& slots : all)
            std::sort(slots.begin(), slots.end(),
                      [](auto a, auto b) { return a.expert < b.expert; });
        CHECK(numbers::same_slots(all, slots_of(asked<every_expert{}>(33, 20)(z.view()))));
    }
}

TEST_CASE("threshold: ties, infinities, NaN, a bias") {
    CHECK(experts_of(one({1, 2, 1, 2, 1}, {.t = 0.7f})) == std::vector{1, 3, 0});
    CHECK(one({infinity, 5, infinity}) == std::vector<slot>{{0, 0.5f, 0}, {2, 0.5f, 0}});
    CHECK(one({-infinity, 3, -infinity}) == std::vector<slot>{{1, 1, 0}});
    CHECK(one({-infinity, -infinity}) == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    auto const lost = one({none, -none});
    REQUIRE(lost.size() == 1);
    CHECK(lost[0].expert == 0);
    CHECK(std::isnan(lost[0].weight));
    CHECK(experts_of(one({none, 1, -infinity, 2}, {.t = 1})) == std::vector{3, 1, 2});
    auto const lifted = one(z0, {.t = 0.1f}, {0, 0, 0, 1});
    CHECK(experts_of(lifted) == std::vector{3, 0});
    require_weights(lifted, {0.030343, 0.609460});
    CHECK(one({-7}) == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("threshold: a part of a batch is chosen as in the whole") {
    auto const z = rows::normal(17, 9, 6, 2);
    auto const whole = many(z, {});
    asked<threshold{}> router(9, 17);
    for (index_t t = 0; t < 17; t += 5) {
        index_t const count = std::min<index_t>(5, 17 - t);
        CHECK(numbers::same_slots(slots_of(router(z.part(t, count).view())),
                                  {whole.begin() + t, whole.begin() + t + count}));
    }
    CHECK(slots_of(router(rows(0, 9).view())).empty());
    CHECK(router.most() == 9);
    CHECK(asked<threshold{}>(9, 1, {.cap = 4}).most() == 4);
}

TEST_CASE("threshold: what is out of range is said at construction") {
    CHECK(sentence({}).empty());
    CHECK(sentence({.t = 1, .cap = 8}).empty());
    CHECK(sentence({.t = -1}) == "threshold.t: expected 0 to 1, got -1.000000");
    for (float const wrong : {1.01f, none, infinity, -infinity})
        CHECK(sentence({.t = wrong}).find("threshold.t: expected 0 to 1") == 0);
    CHECK(sentence({.cap = 9}) == "threshold.cap: expected 1 to 8 experts, got 9");
    CHECK(sentence({.cap = 0}) == "threshold.cap: expected 1 to 8 experts, got 0");
}

TEST_CASE("threshold: promises to look at single tokens, to be causal and positive") {
    constexpr promises said = threshold{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && !said.unit_sum));
}
