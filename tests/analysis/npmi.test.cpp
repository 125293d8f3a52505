// SPDX-License-Identifier: MIT
#include "prytany/analysis/npmi.hpp"

#include "grad/loss/fixture.hpp"
#include "prytany/analysis/ranking.hpp"
#include "support/catch.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using analysis::marker_counts, analysis::npmi;
using fixture::near, fixture::written_plan, numbers::at, numbers::lists;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
std::vector<double> const signs{1, -1, -1};

/// A corpus of 10000 tokens with 30 of each of the markers 7, 8 and 9; an expert runs on `on[x]` of
/// the tokens of marker x and on `runs` of all.
struct corpus {
    lists slots = lists(10000);
    std::vector<std::int32_t> ids = std::vector<std::int32_t>(10000);

    corpus() {
        for (std::size_t t = 0; t < 90; ++t) ids[t] = 7 + static_cast<std::int32_t>(t / 30);
    }
    void add(std::int32_t expert, std::array<std::size_t, 3> on, std::size_t runs) {
        for (std::size_t x = 0; x < 3; ++x)
            for (std::size_t t = 0; t < on[x]; ++t) slots[30 * x + t].push_back({expert, 0.3f});
        for (std::size_t t = 0; t < runs - on[0] - on[1] - on[2]; ++t)
            slots[9999 - t].push_back({expert, 0.3f});
    }
};
corpus const golden = [] {
    corpus of;
    of.add(0, {29, 2, 1}, 600);
    of.add(1, {15, 15, 15}, 5000);
    of.add(2, {10, 28, 9}, 300);
    return of;
}();

} // namespace

TEST_CASE("npmi: the numbers of the literature") {
    double const wanted[][3] = {
        {0.475695, 0.012370, -0.063818}, {0, 0, 0}, {0.348586, 0.584805, 0.328326}};
    index_t const runs[] = {600, 5000, 300}, both[][3] = {{29, 2, 1}, {15, 15, 15}, {10, 28, 9}};
    marker_counts counts(1, 3, {7, 8, 9});
    counts.add(0, written_plan(3, 3, golden.slots), golden.ids);
    for (std::size_t e = 0; e < 3; ++e)
        for (std::size_t x = 0; x < 3; ++x) {
            CHECK(near(npmi(both[e][x], 30, runs[e], 10000), wanted[e][x]));
            CHECK(near(counts.of(static_cast<index_t>(x))[e], wanted[e][x]));
        }
    auto const scores = counts.scores(signs);
    CHECK(near(scores[0], 0.527143));
    CHECK(scores[1] == 0); // what comes together by chance, exactly
    CHECK(near(scores[2], -0.564545));
    auto const best = analysis::ranking(scores, 3, 2);
    CHECK((best[0].expert == 0 && best[1].expert == 1));
}

TEST_CASE("npmi: -1 to 1, its ends and its middle") {
    CHECK(npmi(0, 30, 600, 10000) == -1);
    CHECK(npmi(30, 30, 30, 10000) == 1);
    CHECK(npmi(1, 1, 1, 3) == 1);
    CHECK(npmi(30, 30, 10000, 10000) == 0); // an expert that always runs tells nothing
    CHECK(npmi(7, 21, 100, 300) == 0);
    CHECK(npmi(5, 5, 5, 5) == 0);
    CHECK(npmi(1, 1, 1, 1) == 0);
    for (index_t const never : {0, 5}) {
        CHECK(npmi(0, 0, never, 10) == -1);
        CHECK(npmi(0, never, 0, 10) == -1);
    }
    CHECK(npmi(0, 0, 0, 0) == -1);
    index_t const many = index_t{1} << 50;
    CHECK(near(npmi(many / 8, many / 4, many / 2, many), 0));
    CHECK(near(npmi(many / 4, many / 4, many / 2, many), 0.5, 1e-12));
    for (index_t m = 1; m < 12; ++m)
        for (index_t r = 1; r < 12; ++r)
            for (index_t k = std::max<index_t>(1, m + r - 12); k <= std::min(m, r); ++k) {
                double const p = std::log2(12.0 * static_cast<double>(k) /
                                           static_cast<double>(m * r)),
                             self = std::log2(12.0 / static_cast<double>(k));
                CHECK(near(npmi(k, m, r, 12), p / self, 1e-12));
                CHECK(std::abs(npmi(k, m, r, 12)) <= 1);
            }
}

TEST_CASE("npmi: counts that no table has") {
    CHECK(said([] { (void)npmi(4, 3, 5, 9); }) ==
          "npmi: expected counts of one table, got 4 of 3 and 5 among 9");
    for (auto const& [k, m, r, t] : std::vector<std::array<index_t, 4>>{
             {-1, 3, 3, 9}, {4, 5, 3, 9}, {1, 10, 3, 9}, {1, 3, 10, 9}, {1, 6, 6, 9}})
        CHECK(!said([&, k = k, m = m, r = r, t = t] { (void)npmi(k, m, r, t); }).empty());
}

TEST_CASE("npmi: an expert that never ran has no place, though it avoids what is to be avoided") {
    marker_counts counts(1, 5, {7, 8, 9});
    counts.add(0, written_plan(5, 3, golden.slots), golden.ids);
    auto const scores = counts.scores(signs);
    CHECK(scores[3] == -infinity);
    CHECK(counts.of(0)[3] == -1);
    CHECK(analysis::ranking(scores, 5, 5).size() == 3);
}

TEST_CASE("npmi: what runs of the tokens present, by layer") {
    std::vector<std::int32_t> const ids{7, 1, 7, 7};
    std::vector<std::uint8_t> const mask{1, 1, 1, 0};
    // expert 1 is listed for the second marker, not run; the third marker is padding
    written_plan const plan(2, 2, {{{1, 1}}, {{0, 1}}, {{0, 1}, {1, 0, 1}}, {{1, 1}, {0, 1}}});
    marker_counts counts(2, 2, {7});
    counts.add(1, plan, ids, mask);
    counts.add(0, plan, ids);
    auto const got = counts.of(0);
    CHECK(got[3] == npmi(1, 2, 1, 3));
    CHECK(got[2] == npmi(1, 2, 2, 3));
    CHECK(got[1] == npmi(2, 3, 2, 4));
    CHECK(got[0] == npmi(2, 3, 3, 4));
}

TEST_CASE("npmi: counts of parts add up, in any order") {
    marker_counts whole(1, 3, {7, 8, 9}), sum(1, 3, {7, 8, 9});
    whole.add(0, written_plan(3, 3, golden.slots), golden.ids);
    for (auto const& [from, to] :
         std::vector<std::pair<index_t, index_t>>{{5000, 10000}, {0, 40}, {40, 5000}}) {
        marker_counts part(1, 3, {7, 8, 9});
        part.add(0, written_plan(3, 3, {golden.slots.begin() + from, golden.slots.begin() + to}),
                 std::span(golden.ids).subspan(at(from), at(to - from)));
        sum += part;
    }
    CHECK(sum.scores(signs) == whole.scores(signs));
}

TEST_CASE("npmi: what does not fit is said") {
    marker_counts counts(2, 3, {7, 8});
    written_plan const plan(3, 1, {{{1, 1}}});
    std::vector<std::int32_t> const one{7};
    CHECK(said([&] { counts.add(2, plan, one); }) == "npmi.layer: expected 0 to 1, got 2");
    CHECK(said([&] { counts.add(0, plan, {}); }) == "npmi.ids: expected 1, got 0");
    CHECK(said([&] { counts.add(0, written_plan(4, 1, {{}}), one); }) ==
          "npmi.experts: expected 3, got 4");
    CHECK(said([&] { (void)counts.scores(signs); }) == "npmi.signs: expected 2, got 3");
    CHECK(said([&] { (void)counts.of(2); }) == "npmi.marker: expected 0 to 1, got 2");
    counts.add(0, plan, one);
    counts.add(1, plan, one);
    CHECK(said([&] {
              (void)counts.scores(std::vector<double>{1, -1});
          }) == "npmi.marker 8: expected tokens of it in every layer, got none");
    CHECK(said([&] {
              counts += marker_counts(2, 3, {7, 9});
          }) == "npmi: expected counts of the same experts and markers, got others");
}
