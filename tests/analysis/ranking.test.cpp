// SPDX-License-Identifier: MIT
#include "prytany/analysis/ranking.hpp"

#include "support/catch.hpp"

using namespace prytany;
using analysis::place, analysis::ranking;
using places = std::vector<place>;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

TEST_CASE("ranking: over all layers, equal scores by layer and then by expert") {
    std::vector<double> const scores{1, 5, 3, 3, 5, -2};
    CHECK(ranking(scores, 3, 9) ==
          places{{0, 1, 5}, {1, 1, 5}, {0, 2, 3}, {1, 0, 3}, {0, 0, 1}, {1, 2, -2}});
    CHECK(ranking(scores, 3, 3) == places{{0, 1, 5}, {1, 1, 5}, {0, 2, 3}});
    CHECK(ranking(scores, 2, 1) == places{{0, 1, 5}});
    CHECK(ranking(scores, 2, 2)[1] == place{2, 0, 5});
    CHECK(ranking(std::vector<double>(40, -1.5), 8, 1)[0] == place{0, 0, -1.5});
}

TEST_CASE("ranking: what has no score has no place") {
    std::vector<double> const scores{std::nan(""), -infinity, infinity, -3};
    CHECK(ranking(scores, 4, 4) == places{{0, 2, infinity}, {0, 3, -3}});
    for (index_t const most : {0, -1}) CHECK(ranking(scores, 4, most).empty());
    CHECK(ranking({}, 4, 2).empty());
}
