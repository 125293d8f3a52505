// SPDX-License-Identifier: MIT
// What every router must keep: as many experts as a token needs, one, all.
#include "conformance/router_suite.hpp"
#include "prytany/router/every_expert.hpp"
#include "prytany/router/hard_gate.hpp"
#include "prytany/router/remoe.hpp"
#include "prytany/router/switch_top_1.hpp"
#include "prytany/router/threshold.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/top_p.hpp"

using namespace prytany;
using namespace properties;

TEST_CASE("every router: top_p and threshold") {
    suite<top_p{}>({}, {.alike = true});
    suite<top_p{}>({.p = 0.9f, .inclusive = true, .renormalise = true},
                   {.unit_sum = true, .alike = true});
    suite<top_p{}>({.p = 0.95f, .cap = 1}, {.alike = true, .shifts = true, .rises = true});
    suite<threshold{}>({}, {.alike = true});
}

TEST_CASE("every router: switch_top_1, every_expert, remoe") {
    suite<switch_top_1{}>({}, {.alike = true, .shifts = true, .rises = true});
    suite<every_expert{}>({}, {.alike = true, .shifts = true, .rises = true});
    suite<hard_gate{}>({}, {.alike = true, .shifts = true, .rises = true});
    suite<hard_gate{.tie_sum = true}>({}, {.alike = true});
    suite<remoe{}>({}, {.alike = true, .rises = true});
}

TEST_CASE("property 28: top_p at its ends") {
    same<switch_top_1{}, top_p{}>("p = 0 is the best alone", {}, {.p = 0}, numbers_of::finite);
    for_each_case("28, p = 1 keeps all that has a share", [](luck draw) {
        auto const dense = *of<every_expert{}>(12, {});
        auto const all = *of<top_p{}>(12, {.p = 1});
        auto const q = any(draw, 12, numbers_of::finite);
        auto const a = dense(q), b = all(q);
        for (std::size_t t = 0; t < a.size(); ++t) {
            auto const x = sorted(a[t], true), y = sorted(b[t], true);
            std::size_t j = 0;
            for (slot const s : x) {
                bool const there = j < y.size() && y[j].expert == s.expert;
                expect(there || s.weight == 0, "p = 1 leaves out an expert with a share");
                if (there) expect(y[j++].weight == s.weight, "p = 1: another weight");
            }
        }
    });
}

TEST_CASE("property 28: the prefix of top_p is the least that will do, and grows with p") {
    auto const dense = *of<every_expert{}>(12, {});
    float const bars[] = {0.1f, 0.3f, 0.4f, 0.6f, 0.9f, 0.99f};
    std::vector<subject> by_p;
    for (float const p : bars) by_p.push_back(*of<top_p{}>(12, {.p = p}));
    for_each_case("28, prefix", [&](luck draw) {
        auto const q = any(draw, 12, numbers_of::finite);
        index_t const i = draw.below(std::ssize(bars) - 1);
        auto const few = by_p[at(i)](q), more = by_p[at(i + 1)](q);
        for (std::size_t t = 0; t < few.size(); ++t) {
            expect(few[t].size() <= more[t].size(), "fewer for a larger p");
            double sum = 0, before = 0;
            for (slot const s : few[t]) before = sum, sum += double{s.weight};
            if (few[t].empty()) continue; // padding
            double const p = double{bars[at(i)]};
            expect(before <= p + 1e-6, "more than needed");
            expect(sum > p - 1e-6, "less than needed");
        }
    });
}

TEST_CASE("property 14: k = E is the dense mixture") {
    auto const dense = *of<every_expert{}>(12, {});
    auto const all = *of<top_k{}>(12, {.k = 12});
    for_each_case("14, dense", [&](luck draw) {
        auto const q = any(draw, 12, numbers_of::finite);
        auto const a = dense(q), b = all(q);
        for (std::size_t t = 0; t < a.size(); ++t) {
            auto const x = sorted(a[t]), y = sorted(b[t]);
            expect(x.size() == y.size(), "k = E lists not all");
            for (std::size_t j = 0; j < x.size(); ++j)
                expect(x[j].expert == y[j].expert && near(x[j].weight, y[j].weight, 4),
                       "k = E: another weight than softmax");
        }
    });
    same<top_k{}, switch_top_1{}>("k = 1 as it comes", {.k = 1, .renormalise = false}, {});
}
