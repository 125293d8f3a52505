// SPDX-License-Identifier: MIT
#include "prytany/kernel/softmax.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

/// Numbers from 0 to -10 in no order; from nine on also NaN and -inf.
std::vector<float> row(index_t count) {
    std::vector<float> z;
    for (index_t i = 0; i < count; ++i) z.push_back(static_cast<float>(i * 37 % 101) * -0.1f);
    if (count > 8) z[3] = none, z[8] = -infinity;
    return z;
}

} // namespace

TEST_CASE("softmax: a ratio in double precision, from one end to the other") {
    for (float const temperature : {1.0f, 0.3f, 7.0f})
        for (float z = 0; z > -85 * temperature; z -= 0.037f) {
            double const exact = std::exp(double{(z - 0.5f) / temperature});
            REQUIRE(std::abs(kernel::softmax_ratio(z, 0.5f, temperature) - exact) <= 5e-7 * exact);
        }
    CHECK(kernel::softmax_ratio(-88, 0, 1) == 0);
    CHECK(kernel::softmax_ratio(-infinity, 0, 1) == 0);
    CHECK(kernel::softmax_ratio(infinity, infinity, 1) == 1);
    CHECK(kernel::softmax_ratio(1, infinity, 1) == 0);
    CHECK(kernel::softmax_ratio(-infinity, -infinity, 1) == 1);
    CHECK(std::isnan(kernel::softmax_ratio(none, 0, 1)));
}

TEST_CASE("softmax: the ratios of a row are those of its numbers, also in place") {
    for (index_t const count : {0, 1, 7, 8, 9, 31, 63, 64, 65, 200})
        for (float const temperature : {1.0f, 0.3f}) {
            auto const z = row(count);
            std::vector<float> ratios(z.size() + 1, 77.0f);
            double sum = 0;
            double const got =
                kernel::softmax_ratios(z.data(), count, 0, temperature, ratios.data());
            for (std::size_t i = 0; i < z.size(); ++i) {
                float const one = kernel::softmax_ratio(z[i], 0, temperature);
                CHECK((one == ratios[i] || (std::isnan(one) && std::isnan(ratios[i]))));
                if (one > 0) sum += double{one};
            }
            CHECK(std::abs(got - sum) <= 1e-12 * sum);
            CHECK(ratios[z.size()] == 77.0f);
            auto same = z;
            CHECK(kernel::softmax_ratios(same.data(), count, 0, temperature, same.data()) == got);
            for (std::size_t i = 0; i < z.size(); ++i)
                CHECK((same[i] == ratios[i] || std::isnan(z[i])));
        }
}

TEST_CASE("softmax: a number is worth its ratio over their sum, to the last bit") {
    for (index_t const count : {1, 9, 64, 65, 130, 1000}) {
        auto const z = row(count);
        std::vector<float> ratios(z.size());
        auto const whole =
            static_cast<float>(kernel::softmax_ratios(z.data(), count, 0, 1, ratios.data()));
        kernel::softmax const share(z.data(), count);
        for (std::size_t i = 0; i < z.size(); ++i)
            REQUIRE((share(z[i]) == ratios[i] / whole || std::isnan(z[i])));
    }
    // 10^5 small numbers are not lost beside a large one
    std::vector<float> many(100001, -17.0f);
    many[0] = 0;
    CHECK(kernel::softmax(many.data(), 100001)(0) ==
          Approx(1 / (1 + 1e5 * std::exp(-17.0))).epsilon(1e-6));
}

TEST_CASE("softmax: infinities and NaN") {
    float const high[] = {infinity, 1, infinity, -infinity, none};
    kernel::softmax const of_high(high, 5);
    CHECK(of_high(infinity) == 0.5f);
    CHECK((of_high(1) == 0 && of_high(-infinity) == 0));
    CHECK(std::isnan(of_high(none)));
    float const some[] = {none, 2, 2};
    CHECK(kernel::softmax(some, 3)(2) == 0.5f);
    float const shut[] = {-infinity, -infinity};
    CHECK(kernel::softmax(shut, 2)(-infinity) == 0);
    CHECK(std::isnan(kernel::softmax(some, 1)(none)));
}
