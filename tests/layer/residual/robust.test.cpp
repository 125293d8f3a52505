// SPDX-License-Identifier: MIT
#include "prytany/layer/residual/robust.hpp"

#include "layer/residual/held.hpp"

using namespace prytany;
using held::close, held::row, numbers::rows;

TEST_CASE("robust: the numbers of one rate") {
    robust::params const own{.kappa = 10, .rho = 0.8, .smoothness = 1};
    CHECK(close(own.gamma(), 0.72));
    CHECK(close(own.mu(), 0.568889));
    CHECK(close(own.alpha(), 0.790123));
    CHECK(close(robust::params{.smoothness = 4}.gamma(), 0.18));
}

TEST_CASE("robust: on f(x) = x every layer leaves 0.28") {
    held::pass<robust{}> p(row({1, -10}));
    for (double const left : {0.28, 0.0784, 0.021952, 0.006147}) {
        robust{}.enter(p.own, std::as_const(p.x).view(), p.carry, p.carry.ahead);
        rows sum(1, 2);
        sum.all = held::copy(p.carry.ahead);
        p.step(sum);
        CHECK(std::abs(double{p.x.all[0]} - left) <= 1e-6);
        CHECK(std::abs(double{p.x.all[1]} + 10 * left) <= 1e-5);
    }
}

TEST_CASE("robust: follows its formula with both signs, in the form of the paper too") {
    auto const follows = []<robust R>() {
        double const s = R.sign == residual_sign::plus ? 1 : -1;
        held::pass<R> p(rows::normal(2, 13, 1), {.kappa = 5, .rho = 0.7, .smoothness = 2});
        twin::row x = twin::doubles(p.x.all), m(x.size());
        double const gamma = p.own.gamma(), mu = p.own.mu(), alpha = p.own.alpha();
        for (int layer = 0; layer < 5; ++layer) {
            R.enter(p.own, std::as_const(p.x).view(), p.carry, p.carry.ahead);
            rows sum(2, 13);
            for (std::size_t i = 0; i < x.size(); ++i) {
                double const y = x[i] + s * alpha * gamma * m[i];
                float const at_y = held::copy(p.carry.ahead)[i];
                CHECK(close(double{at_y}, y));
                sum.all[i] = std::sin(at_y);
                m[i] = mu * m[i] + std::sin(y);
                x[i] += s * gamma * m[i];
            }
            p.step(sum);
            held::require_close(p.x.all, x);
        }
    };
    follows.operator()<robust{}>();
    follows.operator()<robust{.sign = residual_sign::plus}>();
}

TEST_CASE("robust: rows may be cut as one likes") {
    held::cuts_as_it_likes<robust{}>();
    held::cuts_as_it_likes<robust{.sign = residual_sign::plus}>();
}

TEST_CASE("robust: numbers out of range are refused") {
    CHECK(held::refused<robust>({}).empty());
    CHECK(held::refused<robust>({.kappa = 1}) ==
          "robust.kappa: expected a finite number > 1, got 1.000000");
    CHECK(held::refused<robust>({.smoothness = 0}).find("robust.smoothness: expected a finite") ==
          0);
    CHECK(held::refused<robust>({.rho = 0.95}) ==
          "robust.rho: expected a number in [0.683772, 0.900000], got 0.950000");
    CHECK(held::refused<robust>({.rho = 0.6}).find("robust.rho: expected") == 0);
    CHECK(held::refused<robust>({.rho = std::nan("")}).find("robust.rho: expected") == 0);
}
