// SPDX-License-Identifier: MIT
#include "prytany/router/attentive.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr attentive uniform{top_k{}};
constexpr attentive<top_k> posterior{.router = {}, .share = head_share::posterior};
constexpr attentive<top_k> hard{.router = {}, .share = head_share::best};
constexpr attentive<top_k> before{.router = {}, .causal = true};

// Tokens with their logits, maps of attention and what the heads make of them.
struct scene {
    rows u, z;
    std::vector<rows> maps, outputs;
    std::vector<matrix_view<float const>> attention, heads;

    scene(rows tokens, rows logits, std::vector<rows> maps_in, std::vector<rows> outputs_in = {})
        : u(std::move(tokens)), z(std::move(logits)), maps(std::move(maps_in)),
          outputs(std::move(outputs_in)) {
        for (auto const& map : maps) attention.emplace_back(map.view());
        for (auto const& o : outputs) heads.emplace_back(o.view());
    }
    scene(scene const&) = delete;
    seen seen_all(std::span<index_t const> sequences = {},
                  std::span<std::uint8_t const> mask = {}) const {
        seen in{input{u.view(), mask}};
        in.logits = z.view();
        in.attention = attention;
        in.heads = heads;
        in.sequences = sequences;
        return in;
    }
};
rows of(index_t count, index_t cols, std::vector<float> const& values) {
    rows some(count, cols);
    some.all = values;
    return some;
}
// Rows of positive numbers that sum to 1, as attention has them.
rows map_of(index_t tokens, std::uint64_t seed) {
    rows map = rows::normal(tokens, tokens, seed, 2);
    for (index_t t = 0; t < tokens; ++t) {
        float total = 0;
        for (index_t j = 0; j < tokens; ++j) total += map.row(t)[j] = std::exp(map.row(t)[j]);
        for (index_t j = 0; j < tokens; ++j) map.row(t)[j] /= total;
    }
    return map;
}
scene golden() {
    return {of(2, 2, {1, 0, 0.4f, 0}),
            of(2, 4, {2, 1, 0.5f, -1, 0, 0.1f, 0.2f, 0.3f}),
            {of(2, 2, {1, 0, 0.9f, 0.1f}), of(2, 2, {1, 0, 0.3f, 0.7f})},
            {of(2, 2, {1, 0, 0.2f, 0.1f}), of(2, 2, {1, 0, 1, -0.5f})}};
}
bool near(double got, double wanted) {
    return std::abs(got - wanted) <= 1e-6 + 1e-5 * std::abs(wanted);
}
void require_numbers(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (slot const s : got) CHECK(near(double{s.weight}, wanted[at(s.expert)]));
}
double distance(scene const& s, index_t token, std::size_t head) {
    double sum = 0;
    for (index_t c = 0; c < s.u.cols; ++c) {
        double const d =
            double{s.u.row_of(token)[at(c)]} - double{s.outputs[head].row_of(token)[at(c)]};
        sum += d * d;
    }
    return sum;
}
// The same by its definition, in double, for the tokens [first, last) of one sequence.
std::vector<twin::row> mixed(scene const& s, head_share share, double variance, double mix,
                             index_t first, index_t last, bool causal = false,
                             std::vector<std::uint8_t> const& mask = {}) {
    auto const present = [&](index_t t) { return mask.empty() || mask[at(t)] != 0; };
    auto const softmax = [&](index_t t) {
        twin::row p = twin::doubles(s.z.row_of(t));
        double total = 0;
        for (double& x : p) total += x = std::exp(x);
        for (double& x : p) x /= total;
        return p;
    };
    std::vector<twin::row> all;
    for (index_t i = first; i < last; ++i) {
        twin::row pi(s.maps.size(), 1.0 / static_cast<double>(s.maps.size()));
        if (share != head_share::uniform) {
            double total = 0, best = 0;
            for (std::size_t h = 0; h < pi.size(); ++h) {
                total += pi[h] = std::exp(-distance(s, i, h) / (2 * variance));
                best = std::max(best, pi[h]);
            }
            for (double& p : pi) p = share == head_share::best ? (p == best ? 1 : 0) : p / total;
        }
        twin::row const r = softmax(i);
        twin::row q(r.size());
        double heard = 0;
        for (index_t j = first; j < last; ++j) {
            if (!present(j) || (causal && j > i)) continue;
            double a = 0;
            for (std::size_t h = 0; h < pi.size(); ++h)
                a += pi[h] * double{s.maps[h].row_of(i)[at(j)]};
            heard += a;
            for (std::size_t e = 0; e < q.size(); ++e) q[e] += a * softmax(j)[e];
        }
        for (std::size_t e = 0; e < q.size(); ++e)
            q[e] = present(i) ? (1 - mix) * r[e] + mix * q[e] / heard : r[e];
        all.push_back(q);
    }
    return all;
}
scene many(index_t tokens) {
    std::vector<rows> maps, outputs;
    for (std::uint64_t h = 0; h < 3; ++h) {
        maps.push_back(map_of(tokens, 30 + h));
        outputs.push_back(rows::normal(tokens, 6, 40 + h));
    }
    return {rows::normal(tokens, 6, 1), rows::normal(tokens, 9, 2, 2), maps, outputs};
}
template <auto Router>
std::string lacking(input const& in) {
    try {
        require_input(Router, in, {.model = 6, .hidden = 4, .experts = 9},
                      params_of<kind_of<Router>>{});
    } catch (error const& e) {
        return e.what();
    }
    return {};
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

TEST_CASE("attentive: the numbers of the literature") {
    auto const two = golden();
    asked<uniform> by_all(4, 2, {.router = {.k = 4}});
    auto const even = slots_of(by_all(two.seen_all()));
    require_numbers(even[0], {0.609460, 0.224208, 0.135989, 0.030343}); // it sees itself alone
    require_numbers(even[1], {0.451211, 0.229056, 0.186066, 0.133666});
    asked<posterior> by_fit(4, 2, {.variance = 0.25f, .router = {.k = 4}});
    require_numbers(slots_of(by_fit(two.seen_all()))[1], {0.511501, 0.227209, 0.166988, 0.094302});
    asked<attentive{top_k{.k = 2}}> sparse(4, 2);
    auto const chosen = slots_of(sparse(two.seen_all()))[1];
    CHECK((chosen[0].expert == 0 && chosen[1].expert == 1)); // by itself: 3, 2
    CHECK(near(double{chosen[0].weight}, 0.451211 / (0.451211 + 0.229056)));
}

TEST_CASE("attentive: tokens that want one expert each show the mean map, and who explains them") {
    auto two = golden();
    two.z = of(2, 2, {0, -infinity, -infinity, 0});
    scene const shown{two.u, two.z, two.maps, two.outputs};
    asked<uniform> by_all(2, 2, {.router = {.k = 2}});
    require_numbers(slots_of(by_all(shown.seen_all()))[1], {0.6, 0.4});
    asked<posterior> by_fit(2, 2, {.variance = 0.25f, .router = {.k = 2}});
    require_numbers(slots_of(by_fit(shown.seen_all()))[1], {0.752393, 0.247607});
    asked<hard> by_best(2, 2, {.variance = 0.25f, .router = {.k = 2}});
    require_numbers(slots_of(by_best(shown.seen_all()))[1], {0.9, 0.1});
    // each head at one token: the shares of the heads
    scene const apart{two.u, two.z, {of(2, 2, {1, 0, 1, 0}), of(2, 2, {1, 0, 0, 1})}, two.outputs};
    require_numbers(slots_of(by_fit(apart.seen_all()))[1], {0.753989, 0.246011});
    require_numbers(slots_of(by_all(apart.seen_all()))[1], {0.5, 0.5});
}

TEST_CASE("attentive: equals its definition, with each way to share the heads") {
    auto const s = many(23);
    std::vector<std::uint8_t> mask(23, 1);
    mask[0] = mask[7] = mask[22] = 0;
    for (auto const& present : {std::vector<std::uint8_t>{}, mask}) {
        auto const agree = [&]<auto Router>() {
            asked<Router> router(9, 23, {.variance = 2, .mix = 0.7f, .router = {.k = 9}});
            auto const got = slots_of(router(s.seen_all({}, present)));
            auto const wanted =
                mixed(s, Router.share, 2, double{0.7f}, 0, 23, Router.causal, present);
            for (std::size_t t = 0; t < 23; ++t) require_numbers(got[t], wanted[t]);
        };
        agree.operator()<uniform>();
        agree.operator()<posterior>();
        agree.operator()<hard>();
        if (present.empty()) agree.operator()<before>(); // masked, its first token hears nobody
    }
}

TEST_CASE("attentive: hears its own sequence alone") {
    auto const s = many(20);
    std::vector<index_t> const starts{0, 3, 14};
    asked<posterior> router(9, 20, {.router = {.k = 9}});
    auto const got = slots_of(router(s.seen_all(starts)));
    for (std::size_t i = 0; i < 3; ++i) {
        index_t const from = starts[i], to = i + 1 < 3 ? starts[i + 1] : 20;
        auto const wanted = mixed(s, head_share::posterior, 1, 1, from, to);
        for (index_t t = from; t < to; ++t) require_numbers(got[at(t)], wanted[at(t - from)]);
    }
}

TEST_CASE("attentive: is causal where it says so, whatever the maps hold") {
    auto const s = many(20);
    asked<before> router(9, 20, {.router = {.k = 2}});
    auto const got = slots_of(router(s.seen_all()));
    scene later{s.u, s.z, s.maps, s.outputs};
    for (index_t t = 12; t < 20; ++t) std::fill_n(later.z.row(t), 9, std::nanf(""));
    auto const early = slots_of(router(later.seen_all()));
    CHECK(
        numbers::same_slots({early.begin(), early.begin() + 12}, {got.begin(), got.begin() + 12}));
    STATIC_REQUIRE(before.promise().causal);
    STATIC_REQUIRE(!uniform.promise().causal);
    STATIC_REQUIRE(uniform.promise().sees == scope::sequence);
}

TEST_CASE(
    "attentive: mix 0, and a token that attends to nobody, are the inner router bit for bit") {
    auto const s = many(15);
    asked<top_k{}> plain(9, 15, {.k = 2});
    auto const wanted = slots_of(plain(s.z.view()));
    asked<posterior> off(9, 15, {.mix = 0, .router = {.k = 2}});
    CHECK(numbers::same_slots(slots_of(off(s.seen_all())), wanted));
    scene deaf{s.u, s.z, {rows(15, 15, 0.0f), rows(15, 15, std::nanf(""))}};
    asked<uniform> router(9, 15, {.router = {.k = 2}});
    CHECK(numbers::same_slots(slots_of(router(deaf.seen_all())), wanted));
}

TEST_CASE("attentive: padding and NaN neither mix nor are mixed") {
    auto const s = many(15);
    std::vector<std::uint8_t> mask(15, 1);
    mask[4] = 0;
    asked<posterior> router(9, 15, {.router = {.k = 2}});
    auto const wanted = slots_of(router(s.seen_all({}, mask)));
    scene soiled{s.u, s.z, s.maps, s.outputs};
    soiled.z.row(4)[3] = std::nanf("");
    for (bool const masked : {true, false}) {
        auto got = slots_of(router(masked ? soiled.seen_all({}, mask) : soiled.seen_all()));
        got[4] = wanted[4];
        CHECK(numbers::same_slots(got, wanted));
    }
    scene lost{s.u, s.z, s.maps, s.outputs}; // a head at a distance of NaN says nothing
    std::fill_n(lost.outputs[1].row(2), 6, std::nanf(""));
    scene far{s.u, s.z, s.maps, s.outputs};
    std::fill_n(far.outputs[1].row(2), 6, 1e30f);
    CHECK(numbers::same_slots(slots_of(router(lost.seen_all())), slots_of(router(far.seen_all()))));
    for (auto& o : lost.outputs) std::fill_n(o.row(2), 6, std::nanf(""));
    asked<top_k{}> plain(9, 15, {.k = 2});
    CHECK(numbers::same_bits(slots_of(router(lost.seen_all()))[2], slots_of(plain(s.z.view()))[2]));
}

TEST_CASE("attentive: awkward logits give safe slots; equal heads go to the lower number") {
    asked<uniform> router(3, 4, {.router = {.k = 3}});
    for (float const filling : {std::nanf(""), -infinity, infinity, 0.0f}) {
        scene const s{rows(4, 2, 1), rows(4, 3, filling), {map_of(4, 50)}};
        for (auto const& row : slots_of(router(s.seen_all()))) {
            REQUIRE(row.size() == 3);
            for (int j = 0; j < 3; ++j) CHECK(row[at(j)].expert == j);
            CHECK(row[0].tier == (filling == -infinity ? 1 : 0));
            CHECK(std::isnan(row[0].weight) == std::isnan(filling));
        }
    }
    scene const none{rows(0, 2), rows(0, 3), {rows(0, 0)}};
    CHECK(slots_of(router(none.seen_all())).empty());
    rows const near_one(4, 2, 0.5f);
    scene const twins{
        rows(4, 2, 1), rows::normal(4, 3, 3), {map_of(4, 51), map_of(4, 52)}, {near_one, near_one}};
    scene const first{rows(4, 2, 1), rows::normal(4, 3, 3), {map_of(4, 51)}, {near_one}};
    asked<hard> picky(3, 4, {.router = {.k = 3}});
    CHECK(
        numbers::same_slots(slots_of(picky(twins.seen_all())), slots_of(picky(first.seen_all()))));
}

TEST_CASE("attentive: says what a call lacks and what is out of range") {
    auto const s = golden();
    input const bare{s.u.view()};
    CHECK(lacking<uniform>(bare) ==
          "attentive: input.attention: expected a map for each head, got none");
    input maps = bare;
    maps.attention = s.attention;
    CHECK(lacking<uniform>(maps).empty());
    for (auto const& said : {lacking<posterior>(maps), lacking<hard>(maps)})
        CHECK(said == "attentive: input.heads: expected the outputs of 2 heads, got none");
    maps.heads = std::span(s.heads).first(1);
    CHECK(lacking<posterior>(maps) ==
          "attentive: input.heads: expected the outputs of 2 heads, got 1");
    maps.heads = s.heads;
    CHECK(lacking<posterior>(maps).empty());
    CHECK(lacking<attentive{posterior}>(bare).find("attentive: input.attention") == 0);

    CHECK(sentence<uniform>({.router = {.k = 2}}).empty());
    for (float const wrong : {0.0f, -1.0f, infinity, std::nanf("")})
        CHECK(sentence<uniform>({.variance = wrong, .router = {.k = 2}})
                  .find("attentive.variance: expected a finite number > 0, got ") == 0);
    for (float const wrong : {-0.1f, 1.1f, std::nanf("")})
        CHECK(sentence<uniform>({.mix = wrong, .router = {.k = 2}})
                  .find("attentive.mix: expected a number from 0 to 1, got ") == 0);
    STATIC_REQUIRE(std::is_same_v<decltype(attentive{uniform}), attentive<attentive<top_k>>>);
}
