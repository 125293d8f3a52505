// SPDX-License-Identifier: MIT
#include "prytany/simd/math.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// A function of the library on one number, in a register whose other lanes hold something else.
template <class F>
float once(F const& f, float x, std::size_t lane = 1) {
    std::vector<float> all(static_cast<std::size_t>(lanes), 0.25f);
    all[lane] = x;
    simd::store(all.data(), f(simd::load(all.data())));
    return all[lane];
}

// Every `step`-th float of [low, high], low and high among them; 0 < low or high < 0.
std::vector<float> sweep(float low, float high, std::uint32_t step) {
    auto a = std::bit_cast<std::uint32_t>(low), b = std::bit_cast<std::uint32_t>(high);
    if (low < 0) std::swap(a, b);
    std::vector<float> all;
    for (std::uint64_t i = a; i <= b; i += step)
        all.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(i)));
    all.push_back(std::bit_cast<float>(b));
    return all;
}
// Both signs, from the smallest number on, and an even grid.
std::vector<float> both_signs(float most, std::uint32_t step = 1499) {
    auto all = sweep(0x1p-149f, most, step);
    auto const negative = sweep(-most, -0x1p-149f, step);
    all.insert(all.end(), negative.begin(), negative.end());
    for (int i = -200'000; i <= 200'000; ++i)
        all.push_back(static_cast<float>(static_cast<double>(most) * i / 200'000));
    all.push_back(0.0f);
    all.push_back(-0.0f);
    return all;
}

struct worst {
    double ulps = 0;
    float at = 0;
};
template <class F>
worst worst_of(F const& f, double (*wanted)(double), std::vector<float> xs) {
    xs.resize((xs.size() + static_cast<std::size_t>(lanes) - 1) / static_cast<std::size_t>(lanes) *
              static_cast<std::size_t>(lanes));
    worst most;
    std::vector<float> got(static_cast<std::size_t>(lanes));
    for (std::size_t i = 0; i < xs.size(); i += got.size()) {
        simd::store(got.data(), f(simd::load(xs.data() + i)));
        for (std::size_t j = 0; j < got.size(); ++j) {
            double const off = twin::ulps(got[j], wanted(static_cast<double>(xs[i + j])));
            if (!(off <= most.ulps)) most = {off, xs[i + j]};
        }
    }
    return most;
}

auto const exp_ = [](simd::floats x) { return simd::exp(x); };
auto const logistic_ = [](simd::floats x) { return simd::logistic(x); };
auto const tanh_ = [](simd::floats x) { return simd::tanh(x); };
auto const erf_ = [](simd::floats x) { return simd::erf(x); };

double exp_of(double x) { return std::exp(x); }
double tanh_of(double x) { return std::tanh(x); }
double erf_of(double x) { return std::erf(x); }

} // namespace

TEST_CASE("math: exp is within 2 ulp on [-87, 88]") {
    auto xs = both_signs(87.0f, 499);
    auto const more = sweep(87.0f, 88.72283f, 1);
    xs.insert(xs.end(), more.begin(), more.end());
    auto const most = worst_of(exp_, exp_of, xs);
    INFO(most.ulps << " ulp at " << most.at);
    CHECK(most.ulps <= 2);
    CHECK(once(exp_, 0.0f) == 1.0f);
    CHECK(once(exp_, -0.0f) == 1.0f);
}

TEST_CASE("math: exp is 0 below -87.33, infinite above 88.72, and NaN stays NaN") {
    for (float const x : {-87.337f, -88.0f, -100.0f, -1e4f, -1e30f, -infinity})
        CHECK(once(exp_, x) == 0.0f);
    for (float const x : {88.73f, 89.0f, 100.0f, 1e4f, 1e30f, infinity})
        CHECK(once(exp_, x) == infinity);
    CHECK(once(exp_, -87.33f) > 0.0f);
    CHECK(once(exp_, 88.72f) < infinity);
    CHECK(std::isnan(once(exp_, std::nanf(""))));
    CHECK(std::isnan(once(exp_, -std::nanf(""))));
    CHECK(once(exp_, 0.25f, 0) == once(exp_, 0.25f, static_cast<std::size_t>(lanes) - 1));
}

TEST_CASE("math: decay is within 3 ulp of 2^(rate x)") {
#if defined(__FMA__)
    constexpr double slack = 0;
#else
    constexpr double slack = 1; // where rate · x is rounded first
#endif
    for (float const rate : {1.0f, 1.44269504f, 0.37f, 0.0078125f, 1e-6f, 3e5f}) {
        float const deepest = -126.0f / rate;
        auto xs = sweep(deepest, deepest * 1e-9f, 997);
        for (int i = 0; i <= 100'000; ++i)
            xs.push_back(deepest * (static_cast<float>(i) / 100'000));
        xs.push_back(-0.0f);
        xs.resize((xs.size() + 15) / 16 * 16);
        double most = 0;
        std::vector<float> got(static_cast<std::size_t>(lanes));
        for (std::size_t i = 0; i < xs.size(); i += got.size()) {
            simd::store(got.data(), simd::decay(simd::load(xs.data() + i), simd::fill(rate)));
            for (std::size_t j = 0; j < got.size(); ++j) {
                double const exponent = static_cast<double>(rate) * static_cast<double>(xs[i + j]);
                if (exponent < -126) continue;
                most = std::max(most, twin::ulps(got[j], std::exp2(exponent)) + slack * exponent);
            }
        }
        INFO(most << " ulp at rate " << rate);
        CHECK(most <= 3);
    }
}

TEST_CASE("math: decay is 0 far below, 1 at 0, and NaN stays NaN") {
    for (float const rate : {1.0f, 0.37f, 1e-20f, 1e20f, 3e38f}) {
        auto const f = [&](simd::floats x) { return simd::decay(x, simd::fill(rate)); };
        for (float const x : {-126.6f, -127.0f, -128.0f, -1e4f, -1e10f})
            if (x / rate < 0) CHECK(once(f, x / rate) == 0.0f);
        CHECK(once(f, -infinity) == 0.0f);
        CHECK(once(f, 0.0f) == 1.0f);
        CHECK(once(f, -0.0f) == 1.0f);
        CHECK(std::isnan(once(f, std::nanf(""))));
        CHECK(std::isnan(once(f, -std::nanf(""))));
    }
    auto const flat = [](simd::floats x) { return simd::decay(x, simd::fill(0.0f)); };
    CHECK(once(flat, -1e30f) == 1.0f);
    auto const nowhere = [](simd::floats x) { return simd::decay(x, simd::fill(std::nanf(""))); };
    CHECK(std::isnan(once(nowhere, -1.0f)));
}

TEST_CASE("math: the logistic function") {
    auto xs = both_signs(87.0f);
    auto const low = sweep(-88.72f, -87.0f, 1);
    xs.insert(xs.end(), low.begin(), low.end());
    for (float const x : {88.0f, 100.0f, 1e10f, infinity}) xs.push_back(x);
    auto const most = worst_of(logistic_, twin::logistic, xs);
    INFO(most.ulps << " ulp at " << most.at);
    CHECK(most.ulps <= 4);
    for (float const x : {-88.73f, -89.0f, -100.0f, -1e30f, -infinity})
        CHECK(once(logistic_, x) == 0.0f);
    CHECK(once(logistic_, 0.0f) == 0.5f);
    CHECK(std::isnan(once(logistic_, std::nanf(""))));
}

TEST_CASE("math: tanh") {
    auto const most = worst_of(tanh_, tanh_of, both_signs(20.0f, 997));
    INFO(most.ulps << " ulp at " << most.at);
    CHECK(most.ulps <= 4);
    for (float const x : {20.0f, 44.5f, 1e10f, infinity}) {
        CHECK(once(tanh_, x) == 1.0f);
        CHECK(once(tanh_, -x) == -1.0f);
    }
    CHECK(std::isnan(once(tanh_, std::nanf(""))));
}

TEST_CASE("math: erf") {
    auto const most = worst_of(erf_, erf_of, both_signs(6.0f, 997));
    INFO(most.ulps << " ulp at " << most.at);
    CHECK(most.ulps <= 4);
    for (float const x : {6.0f, 20.0f, 1e10f, infinity}) {
        CHECK(once(erf_, x) == 1.0f);
        CHECK(once(erf_, -x) == -1.0f);
    }
    CHECK(once(erf_, 0.0f) == 0.0f);
    CHECK(std::isnan(once(erf_, std::nanf(""))));
}
