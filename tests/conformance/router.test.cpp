// SPDX-License-Identifier: MIT
// What every router must keep, run on the least model, on wrappers, and on a user's own.
#include "conformance/router_suite.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"

using namespace prytany;
using properties::suite;

namespace {

constexpr top_k by_sigmoid{.k = 3, .score = scoring::sigmoid};
constexpr top_k deepseek{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};

} // namespace

TEST_CASE("every router: biased and scored, around each other") {
    constexpr properties::asks corrected{.unit_sum = true};
    suite<biased{top_k{.k = 2}}>({}, corrected);
    suite<biased{deepseek}>({.router = {.groups = 3, .kept_groups = 2}}, corrected);
    suite<scored{linear{.biases = true}, by_sigmoid}>(
        {}, {.unit_sum = true, .alike = true, .rises = true});
    suite<biased{biased{by_sigmoid}}>({}, corrected);
    suite<biased{scored{linear{}, top_k{.k = 2}}}>({}, corrected);
}

TEST_CASE("every router: the least one") {
    suite<archetype::router{}>({}, {.rises = true});
    suite<written::halved{archetype::router{}}>({});
}

TEST_CASE("every router: a user's own, and a user's wrapper") {
    suite<written::above{.most = 1}>({});
    suite<written::above{}>({});
    suite<written::above{.most = 4}>({.bar = 0.3f});
    suite<written::halved{top_k{.k = 3}}>({}, {.alike = true, .shifts = true, .rises = true});
    suite<written::halved{biased{top_k{.k = 3}}}>({});
    suite<scored{linear{}, written::above{.most = 3}}>({});
}
