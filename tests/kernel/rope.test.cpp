// SPDX-License-Identifier: MIT
#include "prytany/kernel/rope.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

TEST_CASE("rope: every even head size and position against double, inside the head") {
    double worst = 0;
    for (std::size_t const size : std::vector<std::size_t>{2, 4, 6, 8, 10, 14, 16, 18, 30, 32, 34,
                                                           62, 64, 66, 80, 96, 128, 130})
        for (double const base : {10'000.0, 1'000'000.0}) {
            kernel::rotation const turns(5000, static_cast<index_t>(size), base);
            for (std::size_t const position : std::vector<std::size_t>{0, 1, 2, 3, 100, 1023, 4999})
                for (auto const side : {twin::edge::back, twin::edge::front}) {
                    auto const x = twin::normal(size, position + size);
                    twin::guarded<float> head(twin::floats(x), side);
                    turns.turn(head.data(), static_cast<index_t>(position));
                    worst = std::max(worst, twin::nmse(head.all(), twin::rope(x, position, base)));
                }
        }
    INFO("NMSE " << worst);
    CHECK(worst <= 1e-13);
}

TEST_CASE("rope: position 0 turns nothing, no position changes a length") {
    kernel::rotation const turns(300, 20, 10'000);
    auto const x = twin::normal(20, 1);
    auto head = twin::floats(x);
    turns.turn(head.data(), 0);
    CHECK(twin::doubles(head) == x);
    for (index_t position = 1; position < 300; ++position) {
        head = twin::floats(x);
        turns.turn(head.data(), position);
        for (std::size_t i = 0; i < 10; ++i) {
            double const before = std::hypot(x[i], x[i + 10]);
            double const after =
                std::hypot(static_cast<double>(head[i]), static_cast<double>(head[i + 10]));
            REQUIRE(std::abs(after - before) <= 4e-7 * before);
        }
    }
}

TEST_CASE("rope: a product of two turned heads depends on their distance alone") {
    std::size_t const size = 64;
    kernel::rotation const turns(400, 64, 10'000);
    auto const q = twin::normal(size, 1), k = twin::normal(size, 2);
    auto const product = [&](index_t at_q, index_t at_k) {
        auto a = twin::floats(q), b = twin::floats(k);
        turns.turn(a.data(), at_q);
        turns.turn(b.data(), at_k);
        return twin::dot(twin::doubles(a), twin::doubles(b));
    };
    for (index_t shift = 0; shift < 300; shift += 37)
        CHECK(std::abs(product(50 + shift, 11 + shift) - product(50, 11)) < 1e-3);
    CHECK(std::abs(product(50, 12) - product(50, 11)) > 1e-3); // and it does depend on it
}
