// SPDX-License-Identifier: MIT
#include "prytany/router/score/query_norm.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

template <query_norm My>
rows score(rows const& x, index_t heads) {
    rows z(x.count, heads, std::nanf(""));
    nothing none;
    query_norm::score(x.view(), kit<My>{{}, none, none}, z.view());
    return z;
}
void close(double got, double wanted) {
    CHECK(std::abs(got - wanted) <= 1e-6 + 1e-5 * std::abs(wanted));
}

} // namespace

TEST_CASE("query_norm: the numbers of the literature") {
    rows x(1, 8);
    x.all = {0.6f, 0.8f, 0, -2, 3, 0, -2.4f, 3.2f}; // lengths 1, 2, 3, 4
    auto const plain = score<query_norm{.standardised = false}>(x, 4);
    auto const by_deviation = score<query_norm{}>(x, 4);
    double total = 0;
    for (index_t h = 0; h < 4; ++h) {
        close(double{plain.all[at(h)]}, static_cast<double>(h + 1));
        close(double{plain.all[at(h)] / by_deviation.all[at(h)]}, 1.290994);
        total += std::exp(double{by_deviation.all[at(h)]});
    }
    double const r[] = {0.055274, 0.119929, 0.260212, 0.564586};
    for (index_t h = 0; h < 4; ++h) close(std::exp(double{by_deviation.all[at(h)]}) / total, r[h]);
}

TEST_CASE("query_norm: shared heads do not count, however many there are") {
    rows x(1, 5);
    x.all = {1000, 1, 2, 3, 4};
    auto const got = score<query_norm{.shared = 1}>(x, 5);
    for (index_t h = 0; h < 5; ++h)
        close(double{got.all[at(h)]}, double{x.all[at(h)]} / 1.2909944487358056);
}

TEST_CASE("query_norm: equal lengths, one head, zeros and what is not finite divide by nothing") {
    rows x(4, 6);
    x.all = {3, 4, 0, 5, -5, 0, 0, 0, 0, 0, 0, 0};
    x.all.resize(24, 1);
    auto got = score<query_norm{}>(x, 3);
    CHECK(got.row_of(0) == std::vector<float>{5, 5, 5});
    CHECK(got.row_of(1) == std::vector<float>{0, 0, 0});
    CHECK(score<query_norm{}>(rows(2, 3, 2.0f), 1).all[0] == Approx(std::sqrt(12.0)));
    CHECK(score<query_norm{.shared = 2}>(rows(1, 2, 2.0f), 2).all == std::vector<float>{2, 2});
    x.row(2)[3] = std::nanf("");
    x.row(3)[0] = 3e38f;
    auto odd = score<query_norm{}>(x, 3);
    CHECK(odd.row_of(0) == got.row_of(0));
    CHECK(odd.row(2)[0] == got.row(2)[0]);
    CHECK(std::isnan(odd.row(2)[1]));
    CHECK(std::isinf(odd.row(3)[0]));
    CHECK(odd.row(3)[1] == got.row(3)[1]);
}

TEST_CASE("query_norm: follows its formula, rows by themselves have the same bits") {
    STATIC_REQUIRE(scorer<query_norm>);
    for (index_t const width : {1, 3, 16, 65}) {
        index_t const heads = 7;
        auto const x = rows::normal(9, heads * width, at(width));
        auto const got = score<query_norm{.shared = 2}>(x, heads);
        for (index_t t = 0; t < 9; ++t) {
            twin::row norms;
            double mean = 0, squares = 0;
            for (index_t h = 0; h < heads; ++h) {
                double sum = 0;
                for (index_t i = 0; i < width; ++i) {
                    double const q = double{x.row_of(t)[at(h * width + i)]};
                    sum += q * q;
                }
                norms.push_back(std::sqrt(sum));
            }
            for (index_t h = 2; h < heads; ++h) mean += norms[at(h)] / 5;
            for (index_t h = 2; h < heads; ++h)
                squares += (norms[at(h)] - mean) * (norms[at(h)] - mean);
            for (index_t h = 0; h < heads; ++h)
                close(double{got.row_of(t)[at(h)]}, norms[at(h)] / std::sqrt(squares / 4));
            CHECK(numbers::same_bits(score<query_norm{.shared = 2}>(x.part(t, 1), heads).all,
                                     got.row_of(t)));
        }
    }
}

TEST_CASE("query_norm: a row that heads do not divide is refused") {
    query_norm{}.check({.model = 12, .hidden = 1, .experts = 4}, {});
    try {
        query_norm{}.check({.model = 13, .hidden = 1, .experts = 4}, {});
        FAIL("accepted");
    } catch (error const& e) {
        CHECK(std::string(e.what()) ==
              "query_norm: width of a row: expected a multiple of 4 heads, got 13");
    }
}
