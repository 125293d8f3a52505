// SPDX-License-Identifier: MIT
// What every router must keep: noise and chance, while training and not.
#include "conformance/router_suite.hpp"
#include "prytany/router/gshard_top_2.hpp"
#include "prytany/router/gumbel.hpp"
#include "prytany/router/noisy.hpp"
#include "prytany/router/perturbed.hpp"
#include "prytany/router/sparse_mixer.hpp"
#include "prytany/router/top_k.hpp"

using namespace prytany;
using namespace properties;

namespace {

constexpr top_k two{.k = 2};
constexpr gumbel drawn{two};
constexpr noisy widened{two};
constexpr noisy choosing{two, disturbs::choice};
constexpr perturbed shaken{two};

} // namespace

TEST_CASE("every router: noisy, perturbed, gumbel") {
    suite<widened>({.training = true}, {.unit_sum = true});
    suite<choosing>({.training = true}, {.unit_sum = true});
    suite<shaken>({.training = true}, {.unit_sum = true});
    suite<drawn>({.training = true}, {.unit_sum = true});
    suite<drawn>({}, {.unit_sum = true, .alike = true, .shifts = true, .rises = true});
}

TEST_CASE("every router: gshard_top_2 and sparse_mixer") {
    suite<gshard_top_2{}>({}, {.unit_sum = true, .alike = true, .shifts = true, .rises = true});
    suite<gshard_top_2{}>({.training = true});
    suite<gshard_top_2{second_choice::drawn, second_chance::of_all}>({.training = true});
    suite<sparse_mixer{}>({});
    suite<gumbel{sparse_mixer{}}>({.training = true});
}

TEST_CASE("property 45: without noise the inner router, bit for bit") {
    same<drawn, two>("gumbel, not training", {}, {});
    same<drawn, two>("gumbel of scale 0", {.training = true, .scale = 0}, {});
    same<widened, two>("noisy, not training", {}, {});
    same<shaken, two>("perturbed, not training", {}, {});
    same<shaken, two>("perturbed of sigma 0", {.training = true, .sigma = 0}, {});
    same<gshard_top_2{}, two>("gshard_top_2, not training", {}, {});
}
