// SPDX-License-Identifier: MIT
#include "prytany/analysis/load.hpp"

#include <limits>

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using fixture::chosen, fixture::f0, fixture::near, fixture::written_plan, numbers::rows;
using counts = std::vector<index_t>;

TEST_CASE("load: the numbers of the literature") {
    CHECK(near(analysis::max_vio(counts{5, 3, 2, 2}), 0.666667));
    CHECK(near(analysis::cv(counts{5, 3, 2, 2}), std::sqrt(1.5) / 3));
    auto const of = analysis::entropy(f0.view());
    CHECK(near(of.mean, 1.197237));
    double marginal = 0;
    for (double const p : {0.449056, 0.242695, 0.186158, 0.122091}) marginal -= p * std::log(p);
    CHECK(near(of.marginal, marginal, 3e-6));
}

TEST_CASE("load: counts what runs of the tokens present") {
    written_plan const plan(3, 2, {{{0, 1}, {2, 1}}, {{2, 1}, {1, 0, 1}}, {{2, 1}}, {}});
    CHECK(analysis::loads(plan) == counts{1, 0, 3});
    CHECK(analysis::mean_experts(plan) == 1);
    std::vector<std::uint8_t> const mask{1, 1, 0, 0};
    CHECK(analysis::loads(plan, mask) == counts{1, 0, 2});
    CHECK(analysis::mean_experts(plan, mask) == 1.5);
}

TEST_CASE("load: from balanced to all on one expert") {
    CHECK(analysis::max_vio(counts{4, 4, 4}) == 0);
    CHECK(analysis::cv(counts{4, 4, 4}) == 0);
    CHECK(analysis::max_vio(counts{0, 9, 0, 0, 0}) == 4);
    CHECK(near(analysis::cv(counts{0, 9, 0, 0, 0}), 2));
    for (auto const& nothing : {counts{}, counts{0, 0}, counts{7}}) {
        CHECK(analysis::max_vio(nothing) == 0);
        CHECK(analysis::cv(nothing) == 0);
    }
}

TEST_CASE("load: entropies tell a sure router from a balanced one") {
    auto const flat = analysis::entropy(rows(3, 4).view());
    CHECK(near(flat.mean, std::log(4.0), 1e-12));
    CHECK(near(flat.marginal, std::log(4.0), 1e-12));
    rows sure(4, 4, -std::numeric_limits<float>::infinity());
    for (index_t t = 0; t < 4; ++t) sure.row(t)[t] = 0;
    CHECK(analysis::entropy(sure.view()).mean == 0);
    CHECK(near(analysis::entropy(sure.view()).marginal, std::log(4.0), 1e-12));
    fixture::padded const all(f0, chosen(f0, 2));
    CHECK(near(analysis::entropy(all.logits.view(), all.mask).mean, 1.197237));
}

TEST_CASE("load: nothing to measure gives 0") {
    written_plan const none(3, 2, {});
    CHECK(analysis::loads(none) == counts{0, 0, 0});
    CHECK(analysis::mean_experts(none) == 0);
    CHECK(analysis::entropy(rows(0, 4).view()).mean == 0);
    CHECK(analysis::entropy(rows(0, 4).view()).marginal == 0);
    CHECK(analysis::entropy(rows(2, 1).view()).mean == 0);
}
