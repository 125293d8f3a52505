// SPDX-License-Identifier: MIT
// What every router must keep: experts that share out a whole batch or sequence.
#include "conformance/router_suite.hpp"
#include "prytany/router/balanced.hpp"
#include "prytany/router/expert_choice.hpp"
#include "prytany/router/sinkhorn.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/union_of_experts.hpp"

using namespace prytany;
using namespace properties;

TEST_CASE("every router: expert_choice") {
    suite<expert_choice{}>({});
    suite<expert_choice{scope::sequence}>({.factor = 0.6f});
    suite<expert_choice{scope::sequence, worth::score}>({.factor = 1, .down = true});
    suite<expert_choice{scope::batch, worth::among_tokens}>({.factor = 1.5f});
}

TEST_CASE("every router: sinkhorn and balanced, in training and after") {
    constexpr top_k by_sigmoid{.k = 1, .score = scoring::sigmoid};
    suite<sinkhorn{by_sigmoid}>({.training = true, .router = {.renormalise = false}});
    suite<sinkhorn{top_k{.k = 2}}>({.training = true, .iterations = 3}, {.unit_sum = true});
    suite<balanced{}>({.training = true});
    suite<balanced{}>({.training = false});
    same<sinkhorn{by_sigmoid}, by_sigmoid>("sinkhorn, not training", {.training = false}, {});
}

TEST_CASE("every router: union_of_experts") {
    using u = union_of_experts;
    suite<u{.k = 2}>({.factor = 1.5f});
    suite<u{.k = 1, .normalise = u::over::none, .weight = u::by::unit}>({.patch = 2});
    suite<u{.k = 2, .normalise = u::over::batch}>({});
    suite<u{.k = 2, .fill = u::pad::process, .length = u::list::longest}>({});
}

TEST_CASE("property 24: an expert takes its share and no more, more when it may take more") {
    auto const small = *of<expert_choice{}>(6, {.factor = 1});
    auto const large = *of<expert_choice{}>(6, {.factor = 2});
    auto const every = *of<expert_choice{}>(6, {.factor = 6});
    for_each_case("24, capacity", [&](luck draw) {
        auto q = any(draw, 6, numbers_of::finite);
        q.mask.clear();
        auto const few = small(q), more = large(q), all = every(q);
        std::vector<index_t> taken(6);
        for (std::size_t t = 0; t < few.size(); ++t) {
            expect(all[t].size() == 6, "room for all, one is left out");
            for (slot const s : few[t]) {
                ++taken[at(s.expert)];
                bool const kept = std::any_of(more[t].begin(), more[t].end(), [&](slot const& o) {
                    return o.expert == s.expert && o.weight == s.weight;
                });
                expect(kept, "more room drops a pair");
            }
        }
        for (index_t const count : taken) expect(count == (q.tokens() + 5) / 6, "not its share");
    });
}
