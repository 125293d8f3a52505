// SPDX-License-Identifier: MIT
#include "prytany/analysis/resonance.hpp"

#include "grad/loss/fixture.hpp"
#include "prytany/analysis/ranking.hpp"
#include "support/catch.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using analysis::counted, analysis::ranking, analysis::resonance;
using fixture::near, fixture::written_plan, numbers::at, numbers::rows;
using counts = std::vector<index_t>;

namespace {

enum { refused, other, third };

void prompt(resonance& of, counts const& all, index_t answer, index_t tokens = 4) {
    of.add(0, all, tokens);
    of.end_prompt(answer);
}
void require_near(std::vector<double> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(near(got[i], wanted[i], 1e-12));
}
std::vector<index_t> order(std::vector<double> const& scores) {
    std::vector<index_t> all;
    for (auto const& p : ranking(scores, std::ssize(scores), std::ssize(scores)))
        all.push_back(p.expert);
    return all;
}

} // namespace

TEST_CASE("resonance: the numbers of the literature") {
    resonance of(1, 4, 2);
    prompt(of, {3, 1, 0, 0}, refused);
    prompt(of, {0, 1, 2, 1}, other);
    prompt(of, {2, 2, 0, 0}, refused);
    prompt(of, {1, 1, 1, 1}, other);
    require_near(of.of(refused), {2, .5, -1.5, -1});
    CHECK(order(of.of(refused)) == std::vector<index_t>{0, 1, 3, 2});
    require_near(of.of(other), {-2, -.5, 1.5, 1});
}

TEST_CASE("resonance: all other prompts have one mean, not each class its own") {
    resonance of(1, 2, 3);
    prompt(of, {6, 0}, refused);
    for (int i = 0; i < 3; ++i) prompt(of, {1, 0}, other);
    prompt(of, {5, 4}, third);
    require_near(of.of(refused), {6 - 2, -1}); // by class: 6 - 3, -2
}

TEST_CASE("resonance: a long prompt counts for more, but not by its share") {
    for (counted const what : {counted::tokens, counted::share}) {
        resonance of(1, 2, 2, what);
        prompt(of, {10, 30}, refused, 40);
        prompt(of, {2, 0}, refused, 2);
        prompt(of, {1, 3}, other, 4);
        if (what == counted::tokens) require_near(of.of(refused), {5, 12});
        else require_near(of.of(refused), {.625 - .25, .375 - .75});
    }
}

TEST_CASE("resonance: plans of some layers, in parts, what runs of the tokens present") {
    written_plan const early(3, 2, {{{0, 1}, {2, 1}}, {{2, 1}, {1, 0, 1}}, {{2, 1}}, {}});
    written_plan const late(3, 1, {{{1, 1}}, {{1, 1}}});
    std::vector<std::uint8_t> const mask{1, 1, 0, 0};
    for (counted const what : {counted::tokens, counted::share}) {
        double const by = what == counted::share ? 1 : 0;
        resonance of(2, 3, 2, what);
        of.add(1, early);
        of.add(1, late);
        of.add(0, early, mask);
        of.end_prompt(refused);
        of.end_prompt(other); // a prompt of which nothing was seen
        auto const share = [&](double count, double tokens) {
            return by == 0 ? count : count / tokens;
        };
        require_near(of.of(refused), {share(1, 2), 0, share(2, 2), //
                                      share(1, 6), share(2, 6), share(3, 6)});
        CHECK(of.prompts(refused) == 1);
    }
}

TEST_CASE("resonance: finds the experts that carry a trigger") {
    index_t const layers = 6, experts = 32;
    std::vector<std::pair<index_t, index_t>> const planted{{0, 3}, {2, 17}, {2, 18}, {5, 0}};
    resonance of(layers, experts, 2);
    for (index_t q = 0; q < 60; ++q) {
        index_t const answer = q % 3 == 0 ? refused : other;
        for (index_t l = 0; l < layers; ++l) {
            auto z = rows::normal(12, experts, at(1000 * q + l));
            if (answer == refused)
                for (auto const& [layer, expert] : planted)
                    for (index_t t = 0; layer == l && t < 12; ++t) z.row(t)[expert] += 1.5f;
            of.add(l, written_plan(experts, 4, fixture::chosen(z, 4)));
        }
        of.end_prompt(answer);
    }
    auto const best = ranking(of.of(refused), experts, 4);
    for (auto const& [layer, expert] : planted)
        CHECK(std::any_of(best.begin(), best.end(), [&, l = layer, e = expert](auto const& p) {
            return p.layer == l && p.expert == e;
        }));
}

TEST_CASE("resonance: equal experts keep their order") {
    resonance of(1, 4, 2);
    prompt(of, {1, 2, 1, 2}, refused);
    prompt(of, {0, 0, 0, 0}, other);
    CHECK(order(of.of(refused)) == std::vector<index_t>{1, 3, 0, 2});
}

TEST_CASE("resonance: what does not fit, or has nothing to compare with, is said") {
    resonance of(2, 3, 2);
    CHECK(said([&] {
              of.add(2, counts{0, 0, 0}, 1);
          }) == "resonance.layer: expected 0 to 1, got 2");
    CHECK(said([&] {
              of.add(-1, counts{0, 0, 0}, 1);
          }) == "resonance.layer: expected 0 to 1, got -1");
    CHECK(said([&] { of.add(0, written_plan(4, 1, {{}})); }) ==
          "resonance.experts: expected 3, got 4");
    CHECK(said([&] { of.end_prompt(2); }) == "resonance.class: expected 0 to 1, got 2");
    CHECK(said([&] { (void)of.of(5); }) == "resonance.class: expected 0 to 1, got 5");
    of.end_prompt(1);
    CHECK(said([&] { (void)of.of(0); }) ==
          "resonance.class 0: expected prompts of this class and of another, got 0 and 1");
    CHECK(said([&] { (void)of.of(1); }) ==
          "resonance.class 1: expected prompts of this class and of another, got 1 and 0");
}
