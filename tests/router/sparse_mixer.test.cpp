// SPDX-License-Identifier: MIT
#include "prytany/router/sparse_mixer.hpp"

#include "prytany/router/gumbel.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

std::vector<slot> one(std::vector<float> const& z, float jitter = 0.01f) {
    auto const experts = static_cast<index_t>(z.size());
    asked<sparse_mixer{}> router(experts, 1, {.jitter = jitter});
    return slots_of(router(matrix_view<float const>(z.data(), 1, experts)))[0];
}
void require_slots(std::vector<slot> const& got, std::vector<int> const& experts,
                   std::vector<double> const& weights) {
    REQUIRE(got.size() == 2);
    for (std::size_t j = 0; j < 2; ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(std::abs(double{got[j].weight} - weights[j]) <= 1e-6 + 1e-5 * weights[j]);
        CHECK(got[j].tier == 0);
    }
}
/// Both rounds in double, on finite logits.
std::vector<twin::choice> reference(std::vector<float> const& z, float jitter) {
    std::vector<twin::choice> slots;
    std::vector<bool> gone(z.size());
    for (int round = 0; round < 2; ++round) {
        std::size_t best = z.size();
        for (std::size_t e = 0; e < z.size(); ++e)
            if (!gone[e] && (best == z.size() || z[e] > z[best])) best = e;
        double total = 0;
        for (std::size_t e = 0; e < z.size(); ++e) {
            if (gone[e]) continue;
            float const factor = std::max(std::abs(z[e]), z[best]);
            if ((z[best] - z[e]) / factor > 2 * jitter) continue;
            total += std::exp(double{z[e]} - double{z[best]});
        }
        slots.push_back({best, 1 / total});
        gone[best] = true;
    }
    return slots;
}

} // namespace

TEST_CASE("sparse_mixer: the numbers of Phi-3.5") {
    require_slots(one({1, 2, .5f, -1}), {1, 0}, {1, 1});
    require_slots(one({3, 2.98f, 2.97f, 1}), {0, 1}, {.3389090415, .5024999792});
}

TEST_CASE("sparse_mixer: reach is relative to the larger of |logit| and the best") {
    require_slots(one({-1, -1.01f, -100}), {0, 1}, {.5024999792, 1}); // by the best alone: all
    require_slots(one({0.001f, -0.001f, -5}), {0, 1}, {1, 1});
    require_slots(one({0, 0, -1}), {0, 1}, {.5, 1}); // 0 / 0 is within reach
    require_slots(one({100, 98.5f, 98}), {0, 1},
                  {.7310585786 * (1 + std::exp(-1.0)) / (1 + std::exp(-1.5) + std::exp(-2.0)),
                   1 / (1 + std::exp(-.5))});
}

TEST_CASE("sparse_mixer: a jitter of 0 leaves equals alone, a large one everybody") {
    require_slots(one({1, 1, 0.999f}, 0), {0, 1}, {.5, 1});
    require_slots(one({1, 0, -1}, 10), {0, 1},
                  {1 / (1 + std::exp(-1.0) + std::exp(-2.0)), 1 / (1 + std::exp(-1.0))});
}

TEST_CASE("sparse_mixer: both rounds, recomputed in double") {
    index_t const tokens = 300, experts = 16;
    for (float const jitter : {0.01f, 0.2f}) {
        auto const z = rows::normal(tokens, experts, 4, 2);
        asked<sparse_mixer{}> router(experts, tokens, {.jitter = jitter});
        auto const got = slots_of(router(z.view()));
        for (index_t t = 0; t < tokens; ++t) {
            auto const wanted = reference(z.row_of(t), jitter);
            for (std::size_t j = 0; j < 2; ++j) {
                REQUIRE(at(got[at(t)][j].expert) == wanted[j].expert);
                REQUIRE(got[at(t)][j].weight == Approx(wanted[j].weight).epsilon(1e-5));
            }
        }
    }
}

TEST_CASE("sparse_mixer: equals go to the lower number; infinities and NaN") {
    require_slots(one({1, 5, 5, 5}), {1, 2}, {1.0 / 3, .5});
    require_slots(one({infinity, 5, infinity, 1}), {0, 2}, {.5, 1});
    require_slots(one({none, 2, none, 1}), {1, 3}, {1, 1});
    CHECK(one({-infinity, 3, -infinity}) == std::vector<slot>{{1, 1, 0}, {0, 0, 1}});
    CHECK(one({-infinity, -infinity}) == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    auto const forced = one({none, 2, none});
    CHECK(forced[0] == slot{1, 1, 0});
    CHECK((forced[1].expert == 0 && std::isnan(forced[1].weight)));
    auto const all = one({none, none, none});
    CHECK((all[0].expert == 0 && all[1].expert == 1 && std::isnan(all[0].weight)));
    for (auto const& slots : slots_of(asked<sparse_mixer{}>(7, 60)(awkward(60, 7, 3).view()))) {
        REQUIRE(slots[0].expert != slots[1].expert);
        for (slot const s : slots) REQUIRE((s.expert >= 0 && s.expert < 7));
    }
}

TEST_CASE("sparse_mixer: a token's slots do not depend on its batch") {
    asked<sparse_mixer{}> router(9, 21);
    CHECK(parts_equal_whole(router, call(awkward(21, 9, 6))));
}

TEST_CASE("sparse_mixer: with Gumbel noise it draws within reach alone, by softmax") {
    index_t const tokens = 20000;
    rows z(tokens, 4);
    float const each[] = {3, 2.98f, 2.97f, 1};
    for (index_t t = 0; t < tokens; ++t) std::copy_n(each, 4, z.row(t));
    asked<gumbel{sparse_mixer{}}> router(4, tokens, {.training = true});
    std::vector<double> first(4);
    for (auto const& slots : slots_of(router(call(z)))) {
        auto const e = at(slots[0].expert);
        first[e] += 1.0 / tokens;
        double const total = 1 + std::exp(-.02) + std::exp(-.03);
        REQUIRE(slots[0].weight == Approx(std::exp(double{each[e]} - 3) / total).epsilon(1e-5));
        REQUIRE(slots[1].expert != 3);
    }
    CHECK(std::abs(first[0] - .338909) < 0.017); // five standard errors
    CHECK(std::abs(first[1] - .332198) < 0.017);
    CHECK(first[3] == 0);
}

TEST_CASE("sparse_mixer: a bias chooses within reach and does not weigh") {
    std::vector<float> const z{3, 2.98f, 2.97f, 1}, bias{0, 0, 1, 9};
    asked<sparse_mixer{}> router(4, 1);
    auto const got = slots_of(router(matrix_view<float const>(z.data(), 1, 4), bias))[0];
    require_slots(
        got, {2, 0},
        {std::exp(-.03) / (1 + std::exp(-.02) + std::exp(-.03)), 1 / (1 + std::exp(-.02))});
}

TEST_CASE("sparse_mixer: no tokens, two experts, what is out of range") {
    CHECK(slots_of(asked<sparse_mixer{}>(4, 0)(rows(0, 4).view())).empty());
    require_slots(one({1, 2}), {1, 0}, {1, 1});
    CHECK(sentence(sparse_mixer{}, {}, 1) == "sparse_mixer: experts: expected at least 2, got 1");
    for (float const wrong : {-1.0f, none, infinity})
        CHECK(sentence(sparse_mixer{}, {.jitter = wrong})
                  .find("sparse_mixer.jitter: expected a finite number >= 0, got ") == 0);
}
