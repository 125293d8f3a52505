// SPDX-License-Identifier: MIT
// What every router must keep: tokens that hear others of their sequence, or are asked repeatedly.
#include "conformance/router_suite.hpp"
#include "prytany/router/attentive.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/similar.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/top_p.hpp"
#include "prytany/router/uncertain.hpp"
#include "prytany/router/whole_sequence.hpp"

using namespace prytany;
using namespace properties;

namespace {

constexpr top_k two{.k = 2};
constexpr similar alike{two};
constexpr similar<top_k> alike_before{two, true};
constexpr similar<top_k, 3> learned{two, true};
constexpr attentive heard{two};
constexpr attentive<top_k> heard_best{two, head_share::best, true};
constexpr attentive<top_k> heard_likely{two, head_share::posterior, true};

// Shares come from all tokens that are heard.
constexpr asks hearing{.unit_sum = true, .hears = true};

} // namespace

TEST_CASE("every router: similar") {
    suite<alike>({}, hearing);
    suite<alike_before>({.temperature = 2, .mix = 0.5f}, hearing);
    suite<learned>({}, hearing);
    suite<similar{biased{top_p{}}}>({.mix = 0.3f}, {.hears = true});
}

TEST_CASE("every router: attentive") {
    suite<heard>({}, hearing);
    suite<heard_best>({.mix = 0.5f}, hearing);
    suite<heard_likely>({}, hearing);
}

TEST_CASE("every router: whole_sequence") {
    suite<whole_sequence{two}>({}, {.unit_sum = true});
    suite<whole_sequence{biased{top_p{}}}>({});
}

TEST_CASE("every router: uncertain") {
    suite<uncertain{.k = 2}>({});
    suite<uncertain{}>({.k = 1, .passes = 3, .dropout = 0.5f, .keep_ties = true});
    suite<uncertain{.k = 2}>({.sampled = false});
    suite<uncertain{.k = 2, .calibrated = calibration::whitening}>({});
}

TEST_CASE("property 29: without mixing the inner router, bit for bit") {
    same<alike, two>("similar, mix 0", {.mix = 0}, {});
    same<learned, two>("similar with a learned map, mix 0", {.mix = 0}, {});
    same<heard, two>("attentive, mix 0", {.mix = 0}, {});
    same<heard_best, two>("attentive to one head, mix 0", {.mix = 0}, {});
}
