// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/load.hpp"

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::f0, fixture::near, numbers::rows;

TEST_CASE("load: the numbers of the literature, where the noise drawn is 0") {
    rows const deviation(2, 4, 0.5f);
    CHECK(near(shazeer_load(f0.view(), f0.view(), deviation.view(), 2), 0.403987));
    CHECK(near(v_moe_load(f0.view(), f0.view(), 0.5, 2), 0.280232));
    auto const& cv = fixture::squared_cv;
    CHECK(near(shazeer_load(f0.view(), f0.view(), deviation.view(), 2),
               cv({1.654072, 1.420604, .579396, .344610}, 1), 5e-6));
    CHECK(near(v_moe_load(f0.view(), f0.view(), 0.5, 2), cv({.778255, .5, .289698, .172305}, 0),
               5e-6));
    // of one token: L is p, so its probabilities show
    auto const first = f0.part(0, 1), second = f0.part(1, 1), one = rows(1, 4, 0.5f);
    CHECK(near(shazeer_load(first.view(), first.view(), one.view(), 2),
               cv({0.998650, 0.841345, 0.158655, 0.000032}, 1), 5e-6));
    CHECK(near(shazeer_load(second.view(), second.view(), one.view(), 2),
               cv({0.655422, 0.579260, 0.420740, 0.344578}, 1), 5e-6));
}

TEST_CASE("load: the bars come from noisy logits, what is held to them is clean") {
    // one token, k = 1: the noise lifts expert 1 above the others
    auto const clean = fixture::rows_with(1, 3, {1, 0, -1});
    auto const noisy = fixture::rows_with(1, 3, {0.5f, 2, -1});
    auto const deviation = fixture::rows_with(1, 3, {1, 2, 0.5f});
    auto const below = [](double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); };
    std::vector<double> const p{below((1 - 2) / 1.0), below((0 - 0.5) / 2), below((-1 - 2) / 0.5)};
    double const mean = (p[0] + p[1] + p[2]) / 3;
    double squares = 0;
    for (double const x : p) squares += (x - mean) * (x - mean);
    CHECK(near(shazeer_load(clean.view(), noisy.view(), deviation.view(), 1),
               squares / 2 / (mean * mean)));
    std::vector<double> const q{below(1 - 2), below(0 - 2), below(-1 - 2)}; // one bar for all
    double const middle = (q[0] + q[1] + q[2]) / 3;
    squares = 0;
    for (double const x : q) squares += (x - middle) * (x - middle);
    CHECK(near(v_moe_load(clean.view(), noisy.view(), 1, 1), squares / 3 / (middle * middle)));
}

TEST_CASE("load: padding counts nowhere") {
    fixture::padded const all(f0, fixture::chosen(f0, 2));
    rows const deviation(6, 4, 0.5f);
    auto const z = all.logits.view();
    CHECK(near(shazeer_load(z, z, deviation.view(), 2, all.mask), 0.403987));
    CHECK(near(v_moe_load(z, z, 0.5, 2, all.mask), 0.280232));
    CHECK(!near(v_moe_load(z, z, 0.5, 2), 0.280232));
}

TEST_CASE("load: equal logits, one expert, all experts and no token give 0") {
    rows const flat(3, 4, 1), one(3, 1, 1), none(0, 4), deviation(3, 4, 1);
    CHECK(near(shazeer_load(flat.view(), flat.view(), deviation.view(), 2), 0, 1e-12));
    CHECK(near(v_moe_load(flat.view(), flat.view(), 1, 2), 0, 1e-12));
    CHECK(shazeer_load(one.view(), one.view(), one.view(), 1) == 0);
    CHECK(v_moe_load(one.view(), one.view(), 1, 1) == 0);
    CHECK(shazeer_load(f0.view(), f0.view(), deviation.part(0, 2).view(), 4) == 0);
    CHECK(shazeer_load(none.view(), none.view(), none.view(), 2) == 0);
    CHECK(v_moe_load(none.view(), none.view(), 1, 2) == 0);
}

TEST_CASE("load: NaN is not hidden") {
    rows const deviation(2, 4, 0.5f);
    for (index_t const e : {0, 3}) {
        rows z = f0;
        z.row(1)[e] = std::nanf("");
        CHECK(std::isnan(shazeer_load(z.view(), z.view(), deviation.view(), 2)));
        CHECK(std::isnan(v_moe_load(z.view(), z.view(), 0.5, 2)));
    }
}
