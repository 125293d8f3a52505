// SPDX-License-Identifier: MIT
#include "prytany/router/uncertain.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr uncertain two{.k = 2};
constexpr uncertain any{};
constexpr uncertain literal{.k = 2, .calibrated = calibration::whitening};

bool near(double got, double wanted, double tolerance = 1e-6) {
    return std::abs(got - wanted) <= tolerance + 1e-5 * std::abs(wanted);
}
using table = std::vector<std::vector<double>>;

// Rows of doubles in one piece, and room for the calibration.
struct samples {
    index_t passes, experts;
    std::vector<double> all, room;

    explicit samples(table const& of)
        : passes(static_cast<index_t>(of.size())), experts(static_cast<index_t>(of[0].size())),
          room(of.size() * of.size()) {
        for (auto const& row : of) all.insert(all.end(), row.begin(), row.end());
    }
    matrix_view<double> view() { return {all.data(), passes, experts}; }
    matrix_view<double> square() { return {room.data(), passes, passes}; }
    std::vector<double> whitened_mean() {
        std::vector<double> w(at(experts));
        detail::by_whitening(view(), square(), w);
        return w;
    }
};
// A x = b by Gauss and Jordan.
std::vector<double> solved(table a, std::vector<double> b) {
    for (std::size_t i = 0; i < b.size(); ++i) {
        std::size_t pivot = i;
        for (std::size_t r = i; r < b.size(); ++r)
            if (std::abs(a[r][i]) > std::abs(a[pivot][i])) pivot = r;
        std::swap(a[i], a[pivot]);
        std::swap(b[i], b[pivot]);
        for (std::size_t r = 0; r < b.size(); ++r) {
            if (r == i) continue;
            double const factor = a[r][i] / a[i][i];
            for (std::size_t c = 0; c < b.size(); ++c) a[r][c] -= factor * a[i][c];
            b[r] -= factor * b[i];
        }
    }
    for (std::size_t i = 0; i < b.size(); ++i) b[i] /= a[i][i];
    return b;
}
// (Σ + 1e-5 I)⁻¹ (g_m - ḡ) of every sample, by the covariance of the experts itself.
table whitened(table g) {
    auto const passes = static_cast<double>(g.size());
    std::size_t const experts = g[0].size();
    for (std::size_t e = 0; e < experts; ++e) {
        double mean = 0;
        for (auto const& row : g) mean += row[e] / passes;
        for (auto& row : g) row[e] -= mean;
    }
    table sigma(experts, std::vector<double>(experts));
    for (std::size_t e = 0; e < experts; ++e)
        for (std::size_t f = 0; f < experts; ++f) {
            for (auto const& row : g) sigma[e][f] += row[e] * row[f] / (passes - 1);
            if (e == f) sigma[e][f] += 1e-5;
        }
    for (auto& row : g) row = solved(sigma, row);
    return g;
}

template <auto Router>
void fill(asked<Router>& router, std::uint64_t seed, double scale = 1) {
    router_tensors(Router, router.weights, router.size,
                   [&](auto const& t) { numbers::fill_tensor(t, seed++, scale); });
}
// The weights are zero and the biases these: the same logits for every token.
template <auto Router>
void set_bias(asked<Router>& router, std::vector<float> const& bias) {
    router_tensors(Router, router.weights, router.size, [&](auto const& t) {
        if (t.name.role != "bias") return;
        for (std::size_t e = 0; e < bias.size(); ++e)
            t.pack_row(static_cast<index_t>(e), std::span(bias).subspan(e, 1));
    });
}
seen seen_of(rows const& x, std::uint64_t seed = 0, index_t first = 0) {
    seen in{input{x.view()}};
    in.seed = seed;
    in.first = first;
    return in;
}
template <auto Router>
std::string sentence(params_of<kind_of<Router>> const& own) {
    try {
        check_router(Router, shape{.model = 4, .hidden = 4, .experts = 4}, own);
    } catch (error const& e) {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("uncertain: the numbers of the calibration by deviation") {
    samples some({{.7, .3, 0}, {.6, .1, .3}, {.8, .2, 0}, {.7, .2, .1}});
    std::vector<double> u(3);
    detail::by_deviation(some.view(), u);
    double const total = u[0] + u[1] + u[2];
    CHECK(near(u[0] / total, 0.730889));
    CHECK(near(u[1] / total, 0.208825));
    CHECK(near(u[2] / total, 0.060286));
    CHECK(near(u[0], .7 / (0.081650 + 1e-5), 1e-4)); // unbiased deviations
    CHECK(near(u[2], .1 / (0.141421 + 1e-5), 1e-4));
}

TEST_CASE("uncertain: the numbers of the calibration by whitening") {
    table const g{{.7, .3}, {.6, .4}, {.8, .2}};
    samples some(g);
    for (double const x : some.whitened_mean()) CHECK(std::abs(x) <= 1e-5);
    table const inverse{{50024.988, 49975.012}, {49975.012, 50024.988}};
    samples t(g);
    detail::whiten(t.view(), t.square());
    for (std::size_t m = 1; m < 3; ++m) { // sample 0 is the mean
        double const sign = m == 1 ? 1 : -1;
        double const d0 = g[m][0] - .7, d1 = g[m][1] - .3;
        CHECK(near(t.all[2 * m], inverse[0][0] * d0 + inverse[0][1] * d1, 1e-3));
        CHECK(near(t.all[2 * m + 1], inverse[1][0] * d0 + inverse[1][1] * d1, 1e-3));
        double const length = std::hypot(t.all[2 * m], t.all[2 * m + 1]) + 1e-5;
        CHECK(near(t.all[2 * m] / length, -0.707106 * sign));
        CHECK(near(t.all[2 * m + 1] / length, 0.707106 * sign));
    }
}

TEST_CASE("uncertain: whitening equals the inverse of the covariance") {
    for (std::size_t const passes : {2u, 5u, 9u}) {
        table g(passes);
        auto const numbers_of = twin::normal(passes * 6, passes, 1);
        for (std::size_t m = 0; m < passes; ++m) {
            double total = 0;
            for (std::size_t e = 0; e < 6; ++e) g[m].push_back(std::exp(numbers_of[6 * m + e]));
            for (double const x : g[m]) total += x;
            for (double& x : g[m]) x /= total;
        }
        samples some(g), mean(g);
        detail::whiten(some.view(), some.square());
        table const wanted = whitened(g);
        std::vector<double> w(6);
        for (std::size_t m = 0; m < passes; ++m) {
            double squares = 0;
            for (double const x : wanted[m]) squares += x * x;
            for (std::size_t e = 0; e < 6; ++e) {
                CHECK(near(some.all[6 * m + e], wanted[m][e]));
                w[e] += wanted[m][e] / (std::sqrt(squares) + 1e-5) / static_cast<double>(passes);
            }
        }
        auto const got = mean.whitened_mean();
        for (std::size_t e = 0; e < 6; ++e) CHECK(near(got[e], w[e]));
    }
}

TEST_CASE("uncertain: a layer's weights are those of its passes, drawn by token and pass") {
    index_t const tokens = 9, model = 10, experts = 6, passes = 5;
    auto const x = rows::normal(tokens, model, 1);
    asked<two> router(experts, tokens, {.passes = passes, .dropout = 0.3f, .sampled = true}, model);
    asked<literal> whole(experts, tokens, {.passes = passes, .dropout = 0.3f, .sampled = true},
                         model);
    fill(router, 5, 3);
    fill(whole, 5, 3);
    rows matrix(experts, model), bias(experts, 1);
    router_tensors(two, router.weights, router.size, [&](auto const& t) {
        t.unpack(t.name.role == "weight" ? matrix.view() : bias.view());
    });
    auto const got = slots_of(router(seen_of(x, 77, 100)));
    auto const every = slots_of(whole(seen_of(x, 77, 100)));
    bool dropped = false, kept = false;
    for (index_t t = 0; t < tokens; ++t) {
        draws const drawn(77, 100 + t, uncertain::stream);
        table g;
        for (index_t m = 0; m < passes; ++m) {
            std::vector<double> p;
            double total = 0;
            for (index_t e = 0; e < experts; ++e) {
                double z = double{bias.all[at(e)]};
                for (index_t c = 0; c < model; ++c) {
                    bool const out = drawn.uniform(m * 12 + c) < 0.3f; // whole blocks of four
                    (out ? dropped : kept) = true;
                    if (!out)
                        z += double{matrix.row_of(e)[at(c)]} * double{x.row_of(t)[at(c)]} / 0.7;
                }
                p.push_back(std::exp(z));
                total += p.back();
            }
            for (double& share : p) share /= total;
            g.push_back(p);
        }
        std::vector<double> u;
        for (std::size_t e = 0; e < 6; ++e) {
            double mean = 0, squares = 0;
            for (auto const& row : g) mean += row[e] / 5;
            for (auto const& row : g) squares += (row[e] - mean) * (row[e] - mean);
            u.push_back(mean / (std::sqrt(squares / 4) + 1e-5));
        }
        auto best = u;
        std::sort(best.begin(), best.end(), std::greater<>());
        auto const& slots = got[at(t)];
        REQUIRE(slots.size() == 2);
        for (std::size_t j = 0; j < 2; ++j) {
            CHECK(near(u[at(slots[j].expert)], best[j], 1e-4));
            CHECK(near(double{slots[j].weight}, best[j] / (best[0] + best[1]), 1e-5));
        }
        samples some(g);
        auto const w = some.whitened_mean();
        REQUIRE(every[at(t)].size() == 6);
        for (slot const s : every[at(t)]) CHECK(near(double{s.weight}, w[at(s.expert)], 1e-3));
    }
    CHECK((dropped && kept));
}

TEST_CASE("uncertain: draws do not depend on the batch, but on seed, token and pass") {
    auto const x = rows::normal(30, 8, 2);
    asked<two> router(6, 30, {.sampled = true}, 8);
    fill(router, 9, 3);
    auto const whole = slots_of(router(seen_of(x, 5)));
    for (index_t const chunk : {1, 7, 29})
        for (index_t t = 0; t < 30; t += chunk) {
            index_t const count = std::min(chunk, 30 - t);
            auto const some = slots_of(router(seen_of(x, 5).part(t, count)));
            CHECK(numbers::same_slots(some, {whole.begin() + t, whole.begin() + t + count}));
        }
    CHECK(!numbers::same_slots(slots_of(router(seen_of(x, 6))), whole));
    CHECK(!numbers::same_slots(slots_of(router(seen_of(x, 5, 1))), whole));
}

TEST_CASE("uncertain: not sampled, it is the softmax of the k best; ties are kept on request") {
    asked<any> ties(4, 1, {.k = 1, .keep_ties = true});
    set_bias(ties, {1, 1, 0, -1});
    CHECK(ties.most() == 4);
    auto const both = slots_of(ties(seen_of(rows(1, 1))))[0];
    CHECK(both == std::vector<slot>{{0, 0.5f, 0}, {1, 0.5f, 0}});
    asked<any> one(4, 1, {.k = 1});
    set_bias(one, {1, 1, 0, -1});
    CHECK(one.most() == 1);
    CHECK(slots_of(one(seen_of(rows(1, 1))))[0] == std::vector<slot>{{0, 1, 0}});
    asked<any> f0(4, 1, {.k = 2});
    set_bias(f0, {0.5f, 1, 2, -1});
    auto const got = slots_of(f0(seen_of(rows(1, 1))))[0];
    REQUIRE(got.size() == 2);
    CHECK((got[0].expert == 2 && got[1].expert == 1));
    CHECK(near(double{got[0].weight}, 0.731059));
    CHECK(near(double{got[1].weight}, 0.268941));
    // far below the best, logits still tell who comes next: no tie of vanished shares
    asked<any> far(4, 1, {.k = 2, .keep_ties = true});
    set_bias(far, {-2, 300, -1, -3});
    auto const second = slots_of(far(seen_of(rows(1, 1))))[0];
    REQUIRE(second.size() == 2);
    CHECK(second[1].expert == 2);
}

TEST_CASE("uncertain: sampled without dropout it chooses and weighs as the mean does") {
    asked<any> router(4, 1, {.k = 4, .dropout = 0, .sampled = true});
    set_bias(router, {2, 1, 0.5f, -1});
    auto const got = slots_of(router(seen_of(rows(1, 1, 1))))[0];
    std::vector<double> const p{0.609460, 0.224208, 0.135989, 0.030343};
    REQUIRE(got.size() == 4);
    for (std::size_t j = 0; j < 4; ++j) {
        CHECK(got[j].expert == static_cast<int>(j));
        CHECK(near(double{got[j].weight}, p[j]));
    }
    asked<any> ties(4, 1, {.k = 2, .dropout = 0, .sampled = true, .keep_ties = true});
    set_bias(ties, {0, 1, 0, 0});
    CHECK(slots_of(ties(seen_of(rows(1, 1, 1))))[0].size() == 4);
}

TEST_CASE("uncertain: awkward numbers give safe slots") {
    for (float const filling : {std::nanf(""), infinity, -infinity, 3e38f, 0.0f}) {
        auto x = rows::normal(8, 6, 3);
        auto const clean = x;
        std::fill_n(x.row(2), 6, filling);
        asked<two> router(5, 8, {.sampled = true}, 6);
        asked<literal> whole(5, 8, {.sampled = true}, 6);
        asked<any> plain(5, 8, {.k = 5}, 6);
        fill(router, 4);
        fill(whole, 4);
        fill(plain, 4);
        for (auto got : {slots_of(router(seen_of(x))), slots_of(whole(seen_of(x))),
                         slots_of(plain(seen_of(x)))})
            for (auto const& row : got) {
                std::vector<bool> used(5);
                for (slot const s : row) {
                    REQUIRE((s.expert >= 0 && s.expert < 5 && !used[at(s.expert)]));
                    used[at(s.expert)] = true;
                }
            }
        auto got = slots_of(router(seen_of(x)));
        auto const wanted = slots_of(router(seen_of(clean)));
        got[2] = wanted[2];
        CHECK(numbers::same_slots(got, wanted));
    }
    asked<any> shut(3, 1, {.k = 3, .sampled = true});
    set_bias(shut, {0, -infinity, 0});
    CHECK(slots_of(shut(seen_of(rows(1, 1))))[0] ==
          std::vector<slot>{{0, 0.5f, 0}, {2, 0.5f, 0}, {1, 0, 1}});
    for (bool const sampled : {true, false}) {
        asked<any> closed(3, 1, {.k = 2, .sampled = sampled});
        set_bias(closed, {-infinity, -infinity, -infinity});
        CHECK(slots_of(closed(seen_of(rows(1, 1))))[0] == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    }
    asked<uncertain{.k = 1}> one(1, 1, {.sampled = true});
    CHECK(slots_of(one(seen_of(rows(1, 1, 3))))[0] == std::vector<slot>{{0, 1, 0}});
    CHECK(slots_of(one(seen_of(rows(0, 1)))).empty());
}

TEST_CASE("uncertain: says what it promises and what is out of range") {
    STATIC_REQUIRE(router_policy<uncertain>);
    STATIC_REQUIRE(two.promise().sees == scope::token);
    STATIC_REQUIRE(two.promise().unit_sum);
    STATIC_REQUIRE(!literal.promise().positive);
    CHECK(literal.slots({.experts = 7}, {}) == 7);
    CHECK(two.slots({.experts = 7}, {}) == 2);
    CHECK(two.slots({.experts = 7}, {.keep_ties = true}) == 7);

    constexpr uncertain::params given{}; // five passes, one feature in ten is dropped
    CHECK((given.passes == 5 && given.dropout == 0.1f && !given.sampled && !given.keep_ties));
    CHECK(sentence<two>({}).empty());
    CHECK(sentence<two>({.k = 3}) == "uncertain.k: expected 2, got 3");
    CHECK(sentence<any>({}) == "uncertain.k: expected 1 to 4, got -1");
    CHECK(sentence<any>({.k = 5}) == "uncertain.k: expected 1 to 4, got 5");
    CHECK(sentence<two>({.passes = 1}) == "uncertain.passes: expected 2 to 16, got 1");
    CHECK(sentence<two>({.passes = 17}) == "uncertain.passes: expected 2 to 16, got 17");
    for (float const wrong : {-0.1f, 1.0f, infinity, std::nanf("")})
        CHECK(sentence<two>({.dropout = wrong})
                  .find("uncertain.dropout: expected a number ≥ 0 and < 1, got ") == 0);
}
