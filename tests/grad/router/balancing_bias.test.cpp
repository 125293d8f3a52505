// SPDX-License-Identifier: MIT
#include "prytany/grad/router/balancing_bias.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

std::vector<float> moved(std::vector<float> bias, std::vector<index_t> const& loads,
                         float rate = 0.001f) {
    grad::balance(bias, loads, rate);
    return bias;
}
std::string said(std::vector<float> bias, std::vector<index_t> const& loads, float rate) {
    try {
        grad::balance(bias, loads, rate);
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("balancing_bias: the numbers of the specification") {
    CHECK(moved({0, 0, 0, 0}, {5, 3, 2, 2}) == std::vector<float>{-.001f, 0, .001f, .001f});
}

TEST_CASE("balancing_bias: a mean that is not whole, even loads, no experts, no tokens") {
    CHECK(moved({1, 1, 1}, {1, 1, 2}, 0.5f) == std::vector<float>{1.5f, 1.5f, 0.5f});
    CHECK(moved({3, -3}, {7, 7}) == std::vector<float>{3, -3});
    CHECK(moved({}, {}).empty());
    CHECK(moved({1, 2}, {0, 0}) == std::vector<float>{1, 2});
    CHECK(moved({1, 2}, {9, 0}, 0) == std::vector<float>{1, 2});
}

TEST_CASE("balancing_bias: loads become even on a skewed stream") {
    // Three experts with scores that draw 6, 3 and 1 of ten tokens; each takes the best biased one.
    std::vector<float> bias(3);
    float const first[] = {.6f, .6f, .6f, .6f, .6f, .6f, .2f, .3f, .4f, .1f};
    float const second[] = {.5f, .4f, .55f, .3f, .45f, .2f, .6f, .5f, .7f, .2f};
    float const third[] = {.4f, .5f, .3f, .55f, .2f, .5f, .1f, .2f, .1f, .6f};
    std::vector<index_t> loads(3), late(3);
    for (int step = 0; step < 800; ++step) {
        loads.assign(3, 0);
        for (std::size_t t = 0; t < 10; ++t) {
            float const s[] = {first[t] + bias[0], second[t] + bias[1], third[t] + bias[2]};
            ++loads[s[0] >= s[1] && s[0] >= s[2] ? 0 : s[1] >= s[2] ? 1 : 2];
        }
        grad::balance(bias, loads);
        for (std::size_t e = 0; e < 3; ++e) late[e] += step < 400 ? 0 : loads[e];
    }
    for (index_t const n : late)
        CHECK((n > 400 * 14 / 5 && n < 400 * 21 / 5)); // about a third of ten
}

TEST_CASE("balancing_bias: what does not fit") {
    CHECK(said({0, 0}, {1}, 0.001f) == "balance.loads: expected 2, got 1");
    CHECK(said({0}, {1}, -1) == "balance.rate: expected a finite number ≥ 0, got -1.000000");
    CHECK(!said({0}, {1}, std::numeric_limits<float>::infinity()).empty());
    CHECK(!said({0}, {1}, std::nanf("")).empty());
}
