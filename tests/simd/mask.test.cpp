// SPDX-License-Identifier: MIT
#include "prytany/simd/mask.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("mask: comparisons, element by element, of numbers, infinities and NaN") {
    constexpr auto width = static_cast<std::size_t>(lanes);
    std::mt19937 engine(1);
    float const infinity = std::numeric_limits<float>::infinity();
    float const some[] = {0.0f, -0.0f, 1, -1, 2, infinity, -infinity, std::nanf("")};
    for (int round = 0; round < 1000; ++round) {
        float x[width], y[width], counts[width], larger[width], picked[width], same[width];
        for (std::size_t i = 0; i < width; ++i) {
            x[i] = some[engine() % 8];
            y[i] = some[engine() % 8];
            counts[i] = static_cast<float>(i);
        }
        auto const a = simd::load(x), b = simd::load(y);
        auto const bits = simd::at_least(a, b);
        simd::store(counts, simd::count_above(simd::load(counts), a, b));
        simd::store(larger, simd::larger(a, b));
        simd::store(picked, simd::where_below(a, b, simd::fill(7), simd::fill(8)));
        simd::store(same, simd::where_equal(a, b, simd::fill(7), simd::fill(8)));
        CHECK(bits >> (width - 1) <= 1);
        for (std::size_t i = 0; i < width; ++i) {
            CHECK((bits >> i & 1) == (x[i] >= y[i] ? 1u : 0u));
            CHECK(counts[i] == static_cast<float>(i) + (x[i] > y[i] ? 1.0f : 0.0f));
            CHECK(same[i] == (x[i] == y[i] ? 7.0f : 8.0f));
            CHECK(picked[i] == (x[i] < y[i] ? 7.0f : 8.0f));
            if (!std::isnan(x[i]) && !std::isnan(y[i])) CHECK(larger[i] == std::max(x[i], y[i]));
        }
    }
}
