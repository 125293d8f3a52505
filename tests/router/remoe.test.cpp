// SPDX-License-Identifier: MIT
#include "prytany/router/remoe.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

std::vector<slot> one(std::vector<float> const& logits, std::vector<float> const& bias = {},
                      std::vector<float> const& order = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<remoe{}> router(experts, 1);
    seen in{input{matrix_view<float const>(logits.data(), 1, experts)}};
    in.logits = {logits.data(), 1, experts};
    in.bias = bias;
    if (!order.empty()) in.ranking = {order.data(), 1, experts};
    return slots_of(router(in))[0];
}
lists many(rows const& z) { return slots_of(asked<remoe{}>(z.cols, z.count)(z.view())); }

} // namespace

TEST_CASE("remoe: the numbers of the literature") {
    CHECK(one({2, 1, 0.5f, -1}) == std::vector<slot>{{0, 2, 0}, {1, 1, 0}, {2, 0.5f, 0}});
    CHECK(one({0.3f, 0.2f, 0.1f, 0}) ==
          std::vector<slot>{{0, 0.3f, 0}, {1, 0.2f, 0}, {2, 0.1f, 0}});
}

TEST_CASE("remoe: exactly the positive, by expert number, for any number of them") {
    auto const z = rows::normal(50, 11, 31);
    auto const plan = many(z);
    for (index_t t = 0; t < 50; ++t) {
        std::vector<slot> wanted;
        for (int e = 0; e < 11; ++e)
            if (z.row_of(t)[at(e)] > 0) wanted.push_back({e, z.row_of(t)[at(e)], 0});
        CHECK(plan[at(t)] == wanted);
    }
    CHECK(one({-1, -2, -3}).empty());
    CHECK(one({7, 8, 9}).size() == 3);
    CHECK(one({-1}).empty());
    CHECK(one({1}) == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("remoe: zeros, NaN and -inf are not positive; the least number and +inf are") {
    CHECK(one({0.0f, -0.0f, none, -none, -infinity}).empty());
    CHECK(one({none, none}).empty());
    CHECK(one({-infinity, -infinity}).empty());
    float const least = std::numeric_limits<float>::min();
    CHECK(one({none, least, infinity, 3e38f}) ==
          std::vector<slot>{{1, least, 0}, {2, infinity, 0}, {3, 3e38f, 0}});
}

TEST_CASE("remoe: rankings and biases decide who is positive, not the weights") {
    std::vector<slot> const wanted{{1, 0, 0}, {3, 4, 0}};
    CHECK(one({2, -1, 3, 4}, {}, {-1, 1, 0, 1}) == wanted);
    CHECK(one({2, -1, 3, 4}, {-2, 2, -3.5f, 0}) == wanted);
    CHECK(one({2, -1, 3, 4}, {0, -2, 0.5f, 0}, {-1, 3, -0.5f, 1}) == wanted);
    CHECK(one({-infinity, 1}, {}, {1, -1}) == std::vector<slot>{{0, 0, 1}}); // listed, not run
    CHECK(std::isnan(one({none, 1}, {}, {1, -1})[0].weight));
    CHECK(one({1, 1}, {none, 0}).size() == 1);

    auto const z = rows::normal(20, 5, 32);
    asked<biased{remoe{}}> wrapped(5, 20);
    asked<remoe{}> plain(5, 20);
    std::vector<float> const bias{0.5f, 0, -0.5f, 1, 0};
    for (std::size_t e = 0; e < 5; ++e)
        wrapped.weights.correction.pack(static_cast<index_t>(e), std::span(bias).subspan(e, 1));
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view(), bias))));
}

TEST_CASE("remoe: a part of a batch is chosen as in the whole, and a bad token stays alone") {
    auto z = rows::normal(21, 6, 33, 2);
    auto const whole = many(z);
    for (index_t t = 0; t < 21; t += 4) {
        index_t const count = std::min<index_t>(4, 21 - t);
        CHECK(numbers::same_slots(many(z.part(t, count)),
                                  {whole.begin() + t, whole.begin() + t + count}));
    }
    std::fill_n(z.row(3), 6, none);
    auto spoilt = many(z);
    CHECK(spoilt[3].empty());
    spoilt[3] = whole[3];
    CHECK(numbers::same_slots(spoilt, whole));
    asked<remoe{}> router(6, 4);
    CHECK(slots_of(router(rows(0, 6).view())).empty());
    CHECK(router.most() == 6);
}

TEST_CASE("remoe: promises to look at single tokens, to be causal and positive") {
    constexpr promises said = remoe{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && !said.unit_sum));
}
