// SPDX-License-Identifier: MIT
// What every router must keep: decisions that are changed, cut or made to do less.
#include "conformance/router_suite.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/dropped_second.hpp"
#include "prytany/router/light_experts.hpp"
#include "prytany/router/masked.hpp"
#include "prytany/router/null_experts.hpp"
#include "prytany/router/ranks.hpp"
#include "prytany/router/replayed.hpp"
#include "prytany/router/steered.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/two_tier.hpp"

using namespace prytany;
using namespace properties;

namespace {

constexpr top_k two{.k = 2};
constexpr dropped_second<top_k, protection::received> by_received{two};
constexpr dropped_second<top_k, protection::released> by_released{two};

} // namespace

TEST_CASE("every router: experts that do nothing or little") {
    suite<null_experts{.nulls = 3, .k = 2}>({});
    suite<light_experts{two}>({}, {.unit_sum = true, .alone = false});
    suite<light_experts{two}>({.zeros = 0, .copies = 1, .constants = 2},
                              {.unit_sum = true, .alone = false});
    suite<two_tier{two}>({.share = 0.5f, .full = 1}, {.unit_sum = true});
    suite<dropped_second{two}>({}, {.unit_sum = true});
    suite<by_received>({.beta = 0.9f, .share = 0.2f}, {.unit_sum = true});
    suite<by_released>({.beta = 0.9f, .share = 0.2f}, {.unit_sum = true});
}

TEST_CASE("every router: masked, steered, ranks") {
    suite<masked{two}>({});
    suite<steered{two}>({});
    suite<steered{two}>({.pre_select = true, .keep_sum = true});
    suite<ranks{}>({.count = 2, .list = {1, 0}}, {.unit_sum = true, .shifts = true});
    suite<ranks{}>({.count = 1, .list = {6}}, {.closes = false}); // of six experts one at random
}

TEST_CASE("every router: replayed, here without a plan") {
    suite<replayed{two}>({}, {.unit_sum = true});
    same<replayed{two}, two>("replayed, no plan", {}, {});
    same<two_tier{two}, two>("two_tier, all strong", {}, {});
    same<ranks{}, two>("the ranks 0 and 1", {.count = 2, .list = {0, 1}}, {});
}
