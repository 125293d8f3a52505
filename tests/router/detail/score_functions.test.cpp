// SPDX-License-Identifier: MIT
#include "prytany/router/detail/score_functions.hpp"

#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

double logistic(double z) { return 1 / (1 + std::exp(-z)); }
double root(double z) {
    return std::sqrt(z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z)));
}
bool close(double got, double wanted, double relative = 1e-6) {
    return std::abs(got - wanted) <= relative * std::abs(wanted) + 1e-37;
}

} // namespace

TEST_CASE("score functions: their formulas in double, from one end to the other") {
    for (double z = -100; z <= 100; z += 0.37) {
        auto const x = static_cast<float>(z);
        double const exact = x;
        CAPTURE(x);
        CHECK(close(detail::sigmoid(x), x > -87 ? logistic(exact) : detail::sigmoid(x)));
        CHECK(close(detail::log_sigmoid(x), -std::log1p(std::exp(-exact))));
        CHECK(detail::relu(x) == (x > 0 ? x : 0.0f));
        CHECK(close(detail::sqrt_softplus(x), root(exact)));
    }
    CHECK(close(detail::sqrt_softplus(0), std::sqrt(std::log(2.0))));
}

TEST_CASE("score functions: ratios of what vanishes or overflows") {
    CHECK(close(detail::sigmoid_ratio(-1001, -1000), std::exp(-1.0)));
    CHECK(close(detail::sqrt_softplus_ratio(-1001, -1000), std::exp(-0.5)));
    CHECK(detail::sqrt_softplus_ratio(-3e38f, -3e38f) == 1);
    CHECK(close(detail::relu_ratio(1e38f, 3e38f), double{1e38f} / double{3e38f}));
    for (auto const ratio :
         {detail::sigmoid_ratio, detail::sqrt_softplus_ratio, detail::relu_ratio})
        for (double top = -60; top <= 60; top += 1.7)
            for (double below = 0; below <= 30; below += 1.3) {
                auto const z = static_cast<float>(top - below), t = static_cast<float>(top);
                double const wanted = ratio == detail::sigmoid_ratio ? logistic(z) / logistic(t)
                                      : ratio == detail::relu_ratio
                                          ? (z > 0 ? double{z} / double{t} : 0.0)
                                          : root(z) / root(t);
                CAPTURE(z, t);
                CHECK(close(ratio(z, t), wanted, 4e-6));
            }
}

TEST_CASE("score functions: infinities and NaN") {
    CHECK(detail::sigmoid(-infinity) == 0);
    CHECK(detail::sigmoid(infinity) == 1);
    CHECK(detail::sqrt_softplus(-infinity) == 0);
    CHECK(detail::sqrt_softplus(infinity) == infinity);
    CHECK(detail::relu(-infinity) == 0);
    for (auto const ratio :
         {detail::sigmoid_ratio, detail::sqrt_softplus_ratio, detail::relu_ratio}) {
        CHECK(ratio(infinity, infinity) == 1);
        CHECK(std::isnan(ratio(none, 1)));
    }
    CHECK(detail::sqrt_softplus_ratio(5, infinity) == 0);
    CHECK(detail::relu_ratio(5, infinity) == 0);
    CHECK(detail::relu_ratio(-5, -5) == 0);
    for (auto const score : {detail::sigmoid, detail::relu, detail::sqrt_softplus})
        CHECK(std::isnan(score(none)));
}
