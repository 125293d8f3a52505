// SPDX-License-Identifier: MIT
// What every router must keep: the k best.
#include "conformance/router_suite.hpp"
#include "prytany/router/top_k.hpp"

using namespace prytany;
using properties::suite, properties::asks;

namespace {

constexpr top_k by_sigmoid{.k = 3, .score = scoring::sigmoid};
constexpr top_k deepseek{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};
constexpr top_k by_relu{.k = 2, .score = scoring::relu};
constexpr top_k by_root{.k = 2, .score = scoring::sqrt_softplus};
constexpr top_k by_itself{.k = 2, .score = scoring::identity};
constexpr top_k in_or_out{.k = 2, .weight = weighing::unit};
constexpr asks of_softmax{.unit_sum = true, .alike = true, .shifts = true, .rises = true};
constexpr asks of_sigmoid{.unit_sum = true, .alike = true, .rises = true};

} // namespace

TEST_CASE("every router: top_k by softmax") {
    suite<top_k{.k = 2}>({}, of_softmax);
    suite<top_k{}>({.k = 6, .temperature = 0.5f}, of_softmax);
    suite<top_k{.k = 1}>({.renormalise = false, .scale = 3},
                         {.alike = true, .shifts = true, .rises = true});
}

TEST_CASE("every router: top_k by sigmoid, in groups") {
    suite<by_sigmoid>({}, of_sigmoid);
    suite<top_k{.k = 2}>({.groups = 3, .kept_groups = 2}, {.unit_sum = true, .shifts = true});
    suite<deepseek>({.scale = 2.5f, .groups = 3, .kept_groups = 1});
}

TEST_CASE("every router: top_k by other scores and weights") {
    suite<by_relu>({});
    suite<by_root>({}, {.unit_sum = true, .alike = true, .rises = true});
    suite<by_itself>({.renormalise = false, .scale = -2}, {.alike = true});
    suite<in_or_out>({}, {.alike = true});
}

TEST_CASE("every router: top_k of k and of k + 1") {
    auto const set = [](auto& own, index_t k) { own.k = k; };
    properties::nests<top_k{}>({}, set);
    properties::nests<top_k{.score = scoring::sigmoid}>({.renormalise = false}, set);
}
