// SPDX-License-Identifier: MIT
#include "prytany/layer/residual/adam.hpp"

#include "layer/residual/held.hpp"
#include "prytany/layer/residual/heavy_ball.hpp"

using namespace prytany;
using held::require_close, held::row, numbers::rows, numbers::same_bits;

TEST_CASE("adam: the numbers of the literature") {
    held::pass<adam{}> p(row({5, -7})); // the first layer leaves nothing of x
    require_close(p.step(row({1, -2})), {-3.162262, 3.162274});
    require_close(held::copy(p.carry.mean), {0.1, -0.2});
    require_close(held::copy(p.carry.square), {0.001, 0.004});
    require_close(held::copy(p.carry.momentum), {1, -2});
    auto const x = p.x;
    require_close(p.step(row({0.5f, 0.5f})), {double{x.all[0]} - 1.2, double{x.all[1]} + 0.9});
    require_close(held::copy(p.carry.momentum), {1.2, -0.9});
    require_close(held::copy(p.carry.mean), {0.1, -0.2});
    require_close(held::copy(p.carry.square), {0.001, 0.004});
}

TEST_CASE("adam: the first step is (1 - β₁) / √(1 - β₂) against the sign, whatever the size") {
    for (float const size : {0.1f, 1.0f, 1000.0f}) {
        held::pass<adam{}> p(row({3, 3}));
        auto const x = p.step(row({size, -size}));
        CHECK(std::abs(double{x[0]} + 0.1 / std::sqrt(0.001)) <= 2e-3);
        CHECK(x[1] == -x[0]);
    }
    constexpr adam::params given{};
    CHECK((given.beta1 == 0.9 && given.beta2 == 0.999 && given.mu == 0.7f && given.kappa == 1));
}

TEST_CASE("adam: epsilon stands inside the root, so that a zero sum is no step") {
    held::pass<adam{}> p(row({1, 1, 1}));
    double const small = double{1e-4f};
    double const wanted = 0.1 * small / std::sqrt(0.001 * small * small + 1e-8);
    require_close(p.step(row({0, 1e-4f, -1e-4f})), {0, -wanted, wanted});
}

TEST_CASE("adam: a decay below 1 keeps some of x, plus adds") {
    held::pass<adam{.sign = residual_sign::plus}> p(row({4, -8}), {.gamma1 = 0.5f, .kappa = 0.25f});
    require_close(p.step(row({1, -2})), {3 + 1.581131, -6 - 1.581137});
    require_close(p.step(row({1, 1})), {3 + 1.581131 + 1.7, -6 - 1.581137 - 0.4});
}

TEST_CASE("adam: after the first layer it is a heavy ball") {
    auto const x = rows::normal(3, 21, 1);
    held::pass<adam{}> p(x, {.mu = 0.9f, .gamma2 = 0.5f});
    held::pass<heavy_ball{}> ball(x, {.mu = 0.9f, .gamma = 0.5f});
    for (std::uint64_t layer = 0; layer < 5; ++layer) {
        auto const c = rows::normal(3, 21, 4 + layer);
        p.step(c);
        ball.step(c);
        CHECK(same_bits(held::copy(p.carry.momentum), held::copy(ball.carry.momentum)));
        CHECK(same_bits(p.x.all, ball.x.all) == (layer > 0));
        p.x = ball.x;
    }
}

TEST_CASE("adam: rows may be cut as one likes") {
    held::cuts_as_it_likes<adam{}>();
    held::cuts_as_it_likes<adam{.sign = residual_sign::plus}>();
}

TEST_CASE("adam: numbers out of range are refused") {
    CHECK(held::refused<adam>({}).empty());
    CHECK(held::refused<adam>({.mu = 1}) == "adam.mu: expected a number in [0, 1), got 1.000000");
    CHECK(held::refused<adam>({.beta1 = -1}).find("adam.beta1: expected a number in") == 0);
    CHECK(held::refused<adam>({.beta2 = 1}).find("adam.beta2: expected a number in") == 0);
    float const none = std::nanf("");
    CHECK(held::refused<adam>({.gamma1 = none}).find("adam.gamma1: expected a finite") == 0);
    CHECK(held::refused<adam>({.gamma2 = none}).find("adam.gamma2: expected a finite") == 0);
    CHECK(held::refused<adam>({.kappa = none}).find("adam.kappa: expected a finite") == 0);
}
