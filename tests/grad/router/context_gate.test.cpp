// SPDX-License-Identifier: MIT
#include "prytany/grad/router/context_gate.hpp"

#include "prytany/router/hard_gate.hpp"
#include "prytany/router/score/context_gate.hpp"
#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using grad::agreement, grad::grouping, grad::least_squares_gate;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;
using list = std::vector<index_t>;

namespace {

constexpr hard_gate hard{};
constexpr top_k soft{.k = 2};

rows of(index_t cols, std::vector<float> const& all) {
    rows x(static_cast<index_t>(all.size()) / cols, cols);
    x.all = all;
    return x;
}
rows const four = of(2, {1, .1f, .9f, -.1f, -1, 0, -.8f, .2f});
rows const losses = of(2, {.9f, .1f, .8f, .2f, .3f, .7f, .2f, .6f});

bool near(double a, double b, double tolerance = 1e-6) { return std::abs(a - b) <= tolerance; }

/// The gate of one-hot experts, [experts, width + 1].
rows solved(rows const& x, list const& expert_of, index_t experts, double noise = 0,
            std::uint64_t seed = 0) {
    rows gate(experts, x.cols + 1, std::nanf(""));
    least_squares_gate(x.view(), expert_of, gate.view(), noise, seed);
    return gate;
}
double score(rows const& gate, index_t expert, rows const& x, index_t row) {
    double sum = double{gate.row_of(expert)[at(x.cols)]};
    for (index_t c = 0; c < x.cols; ++c)
        sum += double{gate.row_of(expert)[at(c)]} * double{x.row_of(row)[at(c)]};
    return sum;
}
/// What is left of the scores stands at right angles to every column of [ξ; 1].
void require_least(rows const& gate, rows const& x, list const& expert_of, double tolerance) {
    for (index_t e = 0; e < gate.count; ++e)
        for (index_t c = 0; c <= x.cols; ++c) {
            double dot = 0;
            for (index_t i = 0; i < x.count; ++i) {
                double const wanted = expert_of[at(i)] == e ? 1 : 0;
                double const column = c < x.cols ? double{x.row_of(i)[at(c)]} : 1;
                dot += column * (score(gate, e, x, i) - wanted);
            }
            CHECK(near(dot, 0, tolerance));
        }
}
grad::context_gate golden(grad::gate_solving const& own = {.noise = 0}) {
    grad::context_gate gate(2, 2, own);
    gate.clusters.start_from({.5, 0, -.5, 0});
    return gate;
}

} // namespace

TEST_CASE("context_gate: the numbers of the literature") {
    auto solver = golden();
    rows gate(2, 3);
    auto const report = solver.update(four.view(), losses.view(), gate.view());
    CHECK(report.groups == grouping::settled);
    CHECK(report.agreement == 1);
    CHECK(solver.clusters.rounds() == 2);
    double const w[3][2] = {{-0.519043, 0.519043}, {0.390967, -0.390967}, {0.493428, 0.506572}};
    for (index_t e = 0; e < 2; ++e)
        for (index_t c = 0; c < 3; ++c) CHECK(near(gate.row(e)[c], w[c][e]));

    scorers::held<prytany::context_gate{}> forward(2, 2);
    forward.set("gate", gate.all);
    auto const z = forward.score(four.view());
    asked<hard> best(2, 4);
    asked<soft> shares(2, 4);
    auto const one = slots_of(best(z.view())), both = slots_of(shares(z.view()));
    std::int32_t const experts[] = {1, 1, 0, 0};
    for (std::size_t i = 0; i < 4; ++i) CHECK(one[i] == std::vector<slot>{{experts[i], 1, 0}});
    CHECK(near(both[0][0].weight, 0.725724));
    CHECK(near(both[0][1].weight, 0.274276));
    CHECK(near(both[2][0].weight, 0.735934));
    CHECK(near(both[2][1].weight, 0.264066));
}

TEST_CASE("context_gate: where the groups do not settle, the gate stays") {
    rows const before = rows::normal(2, 3, 4);
    auto gate = before;
    auto late = golden({.clusters = {.iterations = 2}, .noise = 0});
    CHECK(late.update(four.view(), losses.view(), gate.view()).groups == grouping::restless);
    CHECK(gate.all == before.all);
    auto lost = golden();
    lost.clusters.start_from({0, 0, 50, 50});
    auto const report = lost.update(four.view(), losses.view(), gate.view());
    CHECK((report.groups == grouping::empty && report.agreement == 0));
    CHECK(gate.all == before.all);
    CHECK(lost.update(rows(0, 2).view(), rows(0, 2).view(), gate.view()).groups == grouping::empty);
    CHECK(gate.all == before.all);
    for (std::uint64_t seed = 0; seed < 9; ++seed) { // from centroids that are drawn anew
        auto const again = lost.update(four.view(), losses.view(), gate.view(), seed);
        if (again.groups != grouping::settled) continue;
        CHECK(again.agreement == 1);
        CHECK(gate.all != before.all);
    }
}

TEST_CASE("context_gate: least squares, in as many environments as there may be") {
    for (index_t const count : {12, 40, 200}) {
        auto const x = rows::normal(count, 4, 6);
        list expert_of;
        for (index_t i = 0; i < count; ++i) expert_of.push_back(i * 7 % 3);
        auto const gate = solved(x, expert_of, 3);
        require_least(gate, x, expert_of, 1e-4);
        for (index_t i = 0; i < count; ++i) // one-hot rows sum to 1, and so do their fits
            CHECK(
                near(score(gate, 0, x, i) + score(gate, 1, x, i) + score(gate, 2, x, i), 1, 1e-5));
    }
}

TEST_CASE("context_gate: of many solutions the smallest") {
    // two environments of five numbers: exact, and a mix of the two rows of [ξ; 1]
    auto const x = rows::normal(2, 5, 9);
    auto const gate = solved(x, {1, 0}, 2);
    for (index_t i = 0; i < 2; ++i)
        for (index_t e = 0; e < 2; ++e) CHECK(near(score(gate, e, x, i), i != e ? 1 : 0, 1e-5));
    double a = 0, b = 0, c = 0; // the products of the rows
    for (std::size_t j = 0; j < 6; ++j) {
        double const p = j < 5 ? double{x.row_of(0)[j]} : 1, q = j < 5 ? double{x.row_of(1)[j]} : 1;
        a += p * p;
        b += p * q;
        c += q * q;
    }
    double const det = a * c - b * b; // W = X^T (X X^T)^-1 Y
    for (std::size_t j = 0; j < 6; ++j) {
        double const p = j < 5 ? double{x.row_of(0)[j]} : 1, q = j < 5 ? double{x.row_of(1)[j]} : 1;
        CHECK(near(gate.row_of(0)[j], (-b * p + a * q) / det, 1e-5));
        CHECK(near(gate.row_of(1)[j], (c * p - b * q) / det, 1e-5));
    }
}

TEST_CASE("context_gate: contexts on a line, up to the rounding of float32") {
    // the second number is three times the first, which no float32 says exactly
    rows x(20, 2);
    list expert_of;
    for (index_t i = 0; i < 20; ++i) {
        x.row(i)[0] = .1f * static_cast<float>(i - 10);
        x.row(i)[1] = 3 * x.row(i)[0];
        expert_of.push_back(i < 10 ? 0 : 1);
    }
    x.row(3)[1] = std::nextafter(x.row(3)[1], 9.0f);
    auto gate = solved(x, expert_of, 2);
    require_least(gate, x, expert_of, 1e-4);
    for (index_t e = 0; e < 2; ++e) {
        CHECK(near(gate.row(e)[1], 3 * gate.row(e)[0], 1e-5));
        CHECK(std::abs(gate.row(e)[0]) < 1);
    }
    CHECK(agreement(x.view(), expert_of, gate.view()) == 1);
    // equal contexts: every score is the share of the expert
    rows const same(4, 3, .5f);
    auto const flat = solved(same, {0, 0, 0, 1}, 2);
    CHECK(near(score(flat, 0, same, 0), .75));
    CHECK(near(score(flat, 1, same, 0), .25));
}

TEST_CASE("context_gate: three groups on a line: the middle one is masked, and that is reported") {
    rows x(9, 1);
    rows own(9, 3, 1);
    for (index_t i = 0; i < 9; ++i) {
        x.row(i)[0] = i < 3 ? -1 : i < 6 ? .2f : 1;
        own.row(i)[i / 3] = 0;
    }
    grad::context_gate solver(3, 1, {.noise = 0});
    solver.clusters.start_from({-1, 0, 1});
    rows gate(3, 2);
    auto const report = solver.update(x.view(), own.view(), gate.view());
    CHECK(report.groups == grouping::settled);
    CHECK(near(report.agreement, 6.0 / 9));
    CHECK(score(gate, 2, x, 4) > score(gate, 1, x, 4)); // .395 and .342
}

TEST_CASE("context_gate: noise is a function of the seed and the environment") {
    auto const x = rows::normal(30, 2, 3);
    list expert_of;
    for (index_t i = 0; i < 30; ++i) expert_of.push_back(i % 2);
    auto const quiet = solved(x, expert_of, 2), a = solved(x, expert_of, 2, 1e-2, 1),
               again = solved(x, expert_of, 2, 1e-2, 1), b = solved(x, expert_of, 2, 1e-2, 2);
    CHECK(a.all == again.all);
    CHECK(a.all != b.all);
    double most = 0;
    for (std::size_t i = 0; i < a.all.size(); ++i)
        most = std::max(most, std::abs(double{a.all[i]} - double{quiet.all[i]}));
    CHECK((most > 1e-6 && most < 1e-2));
    // as a ridge of the square of the noise times the environments: zeros stay bounded
    rows const zeros(400, 1);
    list halves(400);
    for (index_t i = 0; i < 200; ++i) halves[at(i)] = 1;
    auto const ridge = solved(zeros, halves, 2, .5, 7);
    CHECK(std::abs(ridge.all[0]) < .3);
    CHECK(near(ridge.all[1], .5, .05));
}

TEST_CASE("context_gate: an update finds families of environments again") {
    // five families of eight environments; expert (f + 2) mod 5 is best for family f
    index_t const families = 5, each = 8, width = 6;
    auto const centre = rows::normal(families, width, 21, 2);
    auto x = rows::normal(families * each, width, 22, .05), loss = rows(families * each, families);
    for (index_t i = 0; i < x.count; ++i) {
        for (index_t c = 0; c < width; ++c) x.row(i)[c] += centre.row_of(i / each)[at(c)];
        for (index_t e = 0; e < families; ++e)
            loss.row(i)[e] =
                e == (i / each + 2) % families ? .1f : 1 + .01f * static_cast<float>(i);
    }
    grad::context_gate solver(families, width);
    std::vector<double> start;
    for (float const v : centre.all) start.push_back(.8 * double{v});
    solver.clusters.start_from(start);
    rows gate(families, width + 1);
    auto const report = solver.update(x.view(), loss.view(), gate.view(), 5);
    CHECK(report.groups == grouping::settled);
    CHECK(report.agreement == 1);
    for (index_t i = 0; i < x.count; ++i) {
        index_t best = 0;
        for (index_t e = 1; e < families; ++e)
            if (score(gate, e, x, i) > score(gate, best, x, i)) best = e;
        CHECK(best == (i / each + 2) % families);
    }
}

TEST_CASE("context_gate: one expert; what does not fit is said") {
    grad::context_gate alone(1, 2, {.noise = 0});
    rows gate(1, 3);
    CHECK(alone.update(four.view(), rows(4, 1).view(), gate.view()).agreement == 1);
    for (index_t i = 0; i < 4; ++i) CHECK(near(score(gate, 0, four, i), 1));
    CHECK(agreement(rows(0, 2).view(), {}, gate.view()) == 1);

    auto solver = golden();
    rows room(2, 3);
    CHECK(said([&] { solver.update(four.view(), rows(4, 3).view(), room.view()); }) ==
          "context_gate.losses: expected [4, 2], got [4, 3]");
    CHECK(said([&] { solver.update(four.view(), losses.view(), rows(3, 2).view()); }) ==
          "context_gate.gate: expected [2, 3], got [3, 2]");
    CHECK(said([&] { solver.update(rows(4, 3).view(), losses.view(), room.view()); }) ==
          "context_clusters.contexts: expected [4, 2], got [4, 3]");
    CHECK(said([&] { solved(four, {0, 1}, 2); }) == "context_gate.experts: expected 4, got 2");
    CHECK(said([&] {
              least_squares_gate(four.view(), list{0, 1, 0, 1}, rows(2, 2).view());
          }) == "context_gate.gate: expected [2, 3], got [2, 2]");
    CHECK(said([&] {
              solved(four, {0, 1, 2, 1}, 2);
          }) == "context_gate.experts: expected 0 to 1, got 2");
    CHECK(said([&] {
              solved(four, {0, -1, 1, 1}, 2);
          }) == "context_gate.experts: expected 0 to 1, got -1");
    CHECK(solved(rows(0, 2), {}, 2).all == std::vector<float>(6));
    for (double const wrong : {-1.0, std::nan(""), double{INFINITY}})
        CHECK(said([=] {
                  grad::context_gate(2, 2, {.noise = wrong});
              }).find("context_gate.noise: expected a finite number ≥ 0") == 0);
}
