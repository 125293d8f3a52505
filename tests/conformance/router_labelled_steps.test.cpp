// SPDX-License-Identifier: MIT
// What every router must keep: two steps, the first by the label; a head that says how many; scores
// that are changed.
#include "conformance/router_suite.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/score/gate_residual.hpp"
#include "prytany/router/score/jittered.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_any.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/two_step.hpp"

using namespace prytany;
using namespace properties;

namespace {

constexpr top_k two{.k = 2};
constexpr top_any<top_k> with_hidden{two, 8};
constexpr top_any any_mask{two, 0, mask_family::every};
constexpr top_any each_alone{two, 0, mask_family::pairs};

} // namespace

// The last expert is that of tokens without a condition, whatever its logit.
TEST_CASE("every router: two_step") {
    suite<two_step{two}>({.null_label = 3}, {.unit_sum = true, .closes = false});
    suite<two_step{two}>({}, {.unit_sum = true, .alone = false});
    suite<two_step{biased{top_k{.k = 1}}}>({.null_label = 0}, {.closes = false});
}

TEST_CASE("every router: top_any") {
    suite<top_any{two}>({}, {.unit_sum = true});
    suite<with_hidden>({.renormalise = false});
    suite<top_any{two}>({.mode = pruning::drawn}, {.unit_sum = true});
    suite<top_any{two}>({.mode = pruning::soft});
    suite<any_mask>({}, {.alone = false});
    suite<any_mask>({.mode = pruning::drawn}, {.alone = false});
    suite<each_alone>({}, {.alone = false});
    suite<each_alone>({.mode = pruning::soft});
}

TEST_CASE("every router: scores that are jittered, or go on from the layer before") {
    suite<scored{jittered{linear{}}, two}>({}, {.unit_sum = true});
    suite<scored{gate_residual{linear{}}, two}>({}, {.unit_sum = true});
}
