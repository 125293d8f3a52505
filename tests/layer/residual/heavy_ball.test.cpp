// SPDX-License-Identifier: MIT
#include "prytany/layer/residual/heavy_ball.hpp"

#include <limits>

#include "layer/residual/held.hpp"
#include "prytany/layer/residual/plain.hpp"

using namespace prytany;
using held::require_close, held::row, numbers::rows, numbers::same_bits;

TEST_CASE("heavy_ball: the bare recurrence of the literature") {
    held::pass<heavy_ball{}> p(row({0.1f, 0.2f}));
    double const m[3][2] = {{1, -2}, {1.2, -0.9}, {-0.16, 0.37}};
    double const x[3][2] = {{-0.9, 2.2}, {-2.1, 3.1}, {-1.94, 2.73}};
    rows const c[3] = {row({1, -2}), row({0.5f, 0.5f}), row({-1, 1})};
    for (std::size_t layer = 0; layer < 3; ++layer) {
        require_close(p.step(c[layer]), {x[layer][0], x[layer][1]});
        require_close(held::copy(p.carry.momentum), {m[layer][0], m[layer][1]});
    }
}

TEST_CASE("heavy_ball: the paper's form, p ← μ p - f, x ← x + γ p, has the same rows") {
    for (float const gamma : {1.0f, 0.3f}) {
        held::pass<heavy_ball{}> code(rows::normal(3, 10, 1), {.mu = 0.9f, .gamma = gamma});
        twin::row x = twin::doubles(code.x.all), p(x.size());
        for (std::uint64_t layer = 0; layer < 6; ++layer) {
            auto const c = rows::normal(3, 10, 10 + layer);
            code.step(c);
            for (std::size_t i = 0; i < x.size(); ++i) {
                p[i] = double{0.9f} * p[i] - double{c.all[i]};
                x[i] += double{gamma} * p[i];
            }
            require_close(code.x.all, x);
        }
    }
}

TEST_CASE("heavy_ball: the full layer with both LayerNorms") {
    // s = LN(x - m), x ← LN(x + s): the policy makes x - m, all else is computed here in double
    twin::row x{0.1, 0.2, -0.3};
    held::pass<heavy_ball{}> p(row({0.1f, 0.2f, -0.3f}));
    rows const c[2] = {row({1, -2, 0.5f}), row({0.5f, 0.5f, -1})};
    std::vector<double> const s[2] = {{-0.741582, 1.413640, -0.672059},
                                      {-1.120568, 1.307439, -0.186870}};
    std::vector<double> const out[2] = {{-0.558398, 1.404424, -0.846027},
                                        {-0.867399, 1.401021, -0.533622}};
    for (std::size_t layer = 0; layer < 2; ++layer) {
        auto const inner = held::layer_norm(twin::doubles(p.step(c[layer])));
        require_close(twin::floats(inner), s[layer]);
        for (std::size_t i = 0; i < 3; ++i) x[i] += inner[i];
        x = held::layer_norm(x);
        require_close(twin::floats(x), out[layer]);
        p.x.all = twin::floats(x);
    }
    require_close(held::copy(p.carry.momentum), {1.2, -0.9, -0.65});
}

TEST_CASE("heavy_ball: equal sums grow to c / (1 - μ), an old one fades by μ a layer") {
    for (float const mu : {0.7f, 0.9f}) {
        held::pass<heavy_ball{}> p(row({0, 0}), {.mu = mu});
        for (int layer = 0; layer < 200; ++layer) p.step(row({1, -2}));
        double const most = 1 / (1 - double{mu}); // 3.3 and 10
        require_close(held::copy(p.carry.momentum), {most, -2 * most});
        held::pass<heavy_ball{}> once(row({0, 0}), {.mu = mu});
        once.step(row({1, -2}));
        double left = 1;
        for (int layer = 0; layer < 8; ++layer) {
            once.step(row({0, 0}));
            left *= double{mu};
            require_close(held::copy(once.carry.momentum), {left, -2 * left});
        }
    }
}

TEST_CASE("heavy_ball: plus adds where minus subtracts") {
    held::pass<heavy_ball{}> minus(rows::normal(2, 9, 1));
    held::pass<heavy_ball{.sign = residual_sign::plus}> plus(rows::normal(2, 9, 1));
    for (std::uint64_t layer = 0; layer < 4; ++layer) {
        auto const c = rows::normal(2, 9, 3 + layer);
        auto against = c;
        for (float& v : against.all) v = -v;
        CHECK(same_bits(minus.step(c), plus.step(against)));
    }
}

TEST_CASE("heavy_ball: without momentum it is plain, bit for bit") {
    float const infinity = std::numeric_limits<float>::infinity();
    auto x = rows::normal(4, 19, 1);
    x.all[2] = -0.0f;
    held::pass<heavy_ball{.sign = residual_sign::plus}> added(x, {.mu = 0});
    held::pass<plain{}> sum(x);
    held::pass<heavy_ball{}> taken(x, {.mu = 0});
    held::pass<plain{.sign = residual_sign::minus}> difference(x);
    for (std::uint64_t layer = 0; layer < 5; ++layer) {
        auto c = rows::normal(4, 19, 3 + layer);
        c.all[2] = -0.0f;
        if (layer == 1) c.all[5] = infinity;
        if (layer == 2) c.all[7] = std::nanf("");
        added.x = sum.x; // what was infinite in m must not be remembered
        taken.x = difference.x;
        if (layer == 2) added.x.all[5] = sum.x.all[5] = taken.x.all[5] = difference.x.all[5] = 1;
        CHECK(same_bits(added.step(c), sum.step(c)));
        CHECK(same_bits(taken.step(c), difference.step(c)));
    }
}

TEST_CASE("heavy_ball: rows may be cut as one likes") {
    held::cuts_as_it_likes<heavy_ball{}>();
    held::cuts_as_it_likes<heavy_ball{.sign = residual_sign::plus}>();
}

TEST_CASE("heavy_ball: a NaN row changes no other") {
    auto const c = rows::normal(3, 10, 2);
    auto soiled = c;
    soiled.row(1)[4] = std::nanf("");
    held::pass<heavy_ball{}> clean(rows::normal(3, 10, 1)), other(rows::normal(3, 10, 1));
    for (int layer = 0; layer < 3; ++layer) {
        clean.step(c);
        other.step(soiled);
    }
    for (index_t const t : {0, 2}) CHECK(same_bits(clean.x.row_of(t), other.x.row_of(t)));
    CHECK(std::isnan(other.x.row(1)[4]));
    CHECK(other.x.row(1)[3] == clean.x.row(1)[3]);
}

TEST_CASE("heavy_ball: numbers out of range are refused") {
    CHECK(held::refused<heavy_ball>({}).empty());
    CHECK(held::refused<heavy_ball>({.mu = 0, .gamma = -1}).empty());
    CHECK(held::refused<heavy_ball>({.mu = 1}) ==
          "heavy_ball.mu: expected a number in [0, 1), got 1.000000");
    CHECK(held::refused<heavy_ball>({.mu = -0.5f}).find("heavy_ball.mu: expected") == 0);
    CHECK(held::refused<heavy_ball>({.mu = std::nanf("")}).find("heavy_ball.mu: expected") == 0);
    CHECK(held::refused<heavy_ball>({.gamma = std::nanf("")}).find("heavy_ball.gamma: expected") ==
          0);
}
