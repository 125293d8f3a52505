// SPDX-License-Identifier: MIT
// What every router must keep: attention heads as experts.
#include "conformance/router_suite.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/head_gate.hpp"
#include "prytany/router/score/query_norm.hpp"
#include "prytany/router/scored.hpp"

using namespace prytany;
using namespace properties;

namespace {

constexpr head_gate released{.shared = 2, .k = 2};
constexpr head_gate paper{.shared = 1, .form = head_form::paper};
constexpr head_gate mask{.shared = 0, .k = 1, .form = head_form::mask};

} // namespace

// A shared head runs whatever its logit where no softmax weighs it.
TEST_CASE("every router: head_gate") {
    suite<released>({});
    suite<paper>({.k = 3}, {.closes = false});
    suite<mask>({}, {.alike = true, .shifts = true, .rises = true});
    suite<biased{released}>({});
    suite<scored{query_norm{}, mask}>({});
}

TEST_CASE("property 31: all heads in a mask, each by 1") {
    constexpr head_gate all_of{.form = head_form::mask};
    auto const r = *of<all_of>(12, {.k = 12});
    for_each_case("31, all heads", [&](luck draw) {
        auto const q = any(draw, 12, numbers_of::finite);
        auto const plan = r(q);
        for (index_t t = 0; t < q.tokens(); ++t) {
            if (!q.present(t)) continue;
            expect(plan[at(t)].size() == 12, "a head is missing");
            for (slot const s : plan[at(t)]) expect(s.weight == 1 && s.tier == 0, "not 1");
        }
    });
}
