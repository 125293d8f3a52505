// SPDX-License-Identifier: MIT
#include "prytany/kernel/dot.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

// |error| / (u Σ|x y|)
double error_units(twin::row const& x, twin::row const& y) {
    auto const a = twin::floats(x), b = twin::floats(y);
    auto const got = kernel::dot(a.data(), b.data(), static_cast<index_t>(a.size()));
    double size = 0;
    for (std::size_t i = 0; i < x.size(); ++i) size += std::abs(x[i] * y[i]);
    return std::abs(static_cast<double>(got) - twin::dot(x, y)) / (size * 0x1p-24);
}

} // namespace

TEST_CASE("dot: within 4 u Σ|x y| on zero-mean data") {
    double worst = 0;
    for (std::size_t count = 1; count <= 300; ++count)
        worst = std::max(worst,
                         error_units(twin::normal(count, count), twin::normal(count, count + 999)));
    for (std::size_t const count : std::vector<std::size_t>{511, 512, 513, 1023, 1025, 4096, 16384})
        for (std::uint64_t seed = 0; seed < 20; ++seed)
            worst = std::max(
                worst, error_units(twin::normal(count, seed), twin::normal(count, seed + 50)));
    INFO(worst << " u Σ|x y|");
    CHECK(worst <= 4);
}

TEST_CASE("dot: exact on small integers, zero without elements") {
    for (std::size_t count = 0; count <= 200; ++count) {
        std::vector<float> x, y;
        float sum = 0;
        for (std::size_t i = 0; i < count; ++i) {
            x.push_back(static_cast<float>(i % 17) - 8);
            y.push_back(static_cast<float>(i % 23) - 11);
            sum += x[i] * y[i];
        }
        REQUIRE(kernel::dot(x.data(), y.data(), static_cast<index_t>(count)) == sum);
    }
    CHECK(kernel::dot(nullptr, nullptr, 0) == 0);
}

TEST_CASE("dot: the same bits at every address, and not one element too many") {
    for (index_t count = 0; count <= 130; ++count) {
        auto const x = twin::floats(twin::normal(static_cast<std::size_t>(count), 3));
        auto const y = twin::floats(twin::normal(static_cast<std::size_t>(count), 4));
        twin::guarded<float> back_x(x, twin::edge::back), front_x(x, twin::edge::front);
        twin::guarded<float> back_y(y, twin::edge::back), front_y(y, twin::edge::front);
        float const one = kernel::dot(back_x.data(), back_y.data(), count);
        REQUIRE(one == kernel::dot(front_x.data(), front_y.data(), count));
        REQUIRE(one == kernel::dot(x.data(), back_y.data(), count));
    }
}
