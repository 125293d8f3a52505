// SPDX-License-Identifier: MIT
#include "prytany/router/every_expert.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

std::vector<slot> one(std::vector<float> const& logits) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<every_expert{}> router(experts, 1);
    return slots_of(router(matrix_view<float const>(logits.data(), 1, experts)))[0];
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(at(got[j].expert) == j);
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
    }
}
lists many(rows const& z) { return slots_of(asked<every_expert{}>(z.cols, z.count)(z.view())); }

} // namespace

TEST_CASE("every_expert: the numbers of the literature") {
    require_weights(one({2, 1, 0.5f, -1}), {0.609460, 0.224208, 0.135989, 0.030343});
    require_weights(one({0.3f, 0.2f, 0.1f, 0}), {0.288651, 0.261183, 0.236328, 0.213838});
}

TEST_CASE("every_expert: softmax in double precision; weights sum to 1") {
    for (double const scale : {0.0, 1.0, 30.0, 1e30})
        for (index_t const experts : {1, 5, 300}) {
            auto const z = rows::normal(20, experts, 41, scale);
            auto const plan = many(z);
            for (index_t t = 0; t < 20; ++t) {
                require_weights(plan[at(t)], twin::probabilities(twin::doubles(z.row_of(t)), 1));
                double sum = 0;
                for (slot const& s : plan[at(t)]) {
                    CHECK((s.weight >= 0 && s.tier == 0));
                    sum += s.weight;
                }
                CHECK(std::abs(sum - 1) <= 1e-6);
            }
        }
}

TEST_CASE("every_expert: many small weights are not lost beside a large one") {
    std::vector<float> logits(65536, -17.0f); // each is e^-17, below half a step of 1
    logits[0] = 0;
    double const total = 1 + 65535 * std::exp(-17.0);
    CHECK(one(logits)[0].weight == Approx(1 / total).epsilon(1e-6));
}

TEST_CASE("every_expert: is top_k of all, sorted by number, bit for bit") {
    auto z = rows::normal(40, 13, 42, 3);
    for (index_t t = 0; t < 40; t += 4) z.row(t)[t % 13] = t % 8 ? -infinity : infinity;
    auto all = slots_of(asked<top_k{.k = 13}>(13, 40, {.renormalise = false})(z.view()));
    for (auto& slots : all)
        std::sort(slots.begin(), slots.end(), [](auto a, auto b) { return a.expert < b.expert; });
    CHECK(numbers::same_slots(many(z), all));
}

TEST_CASE("every_expert: infinities and NaN") {
    CHECK(one({1, infinity, 3e38f, infinity}) ==
          std::vector<slot>{{0, 0, 0}, {1, 0.5f, 0}, {2, 0, 0}, {3, 0.5f, 0}});
    CHECK(one({-infinity, 4, 4}) == std::vector<slot>{{0, 0, 1}, {1, 0.5f, 0}, {2, 0.5f, 0}});
    CHECK(one({-infinity, -infinity}) == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    CHECK(one({3e38f, -3e38f}) == std::vector<slot>{{0, 1, 0}, {1, 0, 0}});
    auto const some = one({none, 0, 0});
    CHECK(std::isnan(some[0].weight));
    CHECK((some[1].weight == 0.5f && some[2].weight == 0.5f));
    for (slot const& s : one({none, none, -none})) CHECK((std::isnan(s.weight) && s.tier == 0));
}

TEST_CASE("every_expert: a ranking and a bias change nothing") {
    auto const z = rows::normal(10, 7, 43), order = rows::normal(10, 7, 44);
    std::vector<float> const bias{5, 0, 0, 0, 0, 0, -5};
    seen in{input{z.view()}};
    in.logits = z.view();
    in.ranking = order.view();
    in.bias = bias;
    CHECK(numbers::same_slots(slots_of(asked<every_expert{}>(7, 10)(in)), many(z)));
}

TEST_CASE("every_expert: a part of a batch is weighed as in the whole, a bad token stays alone") {
    auto z = rows::normal(21, 6, 45, 2);
    auto const whole = many(z);
    for (index_t t = 0; t < 21; t += 4) {
        index_t const count = std::min<index_t>(4, 21 - t);
        CHECK(numbers::same_slots(many(z.part(t, count)),
                                  {whole.begin() + t, whole.begin() + t + count}));
    }
    std::fill_n(z.row(3), 6, none);
    auto spoilt = many(z);
    CHECK_FALSE(numbers::same_slots(spoilt, whole));
    spoilt[3] = whole[3];
    CHECK(numbers::same_slots(spoilt, whole));
    asked<every_expert{}> router(6, 4);
    CHECK(slots_of(router(rows(0, 6).view())).empty());
    CHECK(router.most() == 6);
}

TEST_CASE("every_expert: promises to look at single tokens, causal, positive, of sum 1") {
    constexpr promises said = every_expert{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && said.unit_sum));
}
