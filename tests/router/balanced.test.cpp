// SPDX-License-Identifier: MIT
#include "prytany/router/balanced.hpp"

#include <algorithm>
#include <limits>
#include <random>

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

rows of(index_t cols, std::vector<float> const& all) {
    rows z(static_cast<index_t>(all.size()) / cols, cols);
    z.all = all;
    return z;
}
seen with(rows const& z, std::vector<std::uint8_t> const& mask = {}) {
    seen in{input{z.view()}};
    in.logits = z.view();
    in.mask = mask;
    return in;
}
std::vector<int> experts_of(numbers::lists const& plan) {
    std::vector<int> all;
    for (auto const& slots : plan) all.push_back(slots.empty() ? -1 : slots[0].expert);
    return all;
}
double total_of(rows const& z, std::vector<int> const& experts) {
    double total = 0;
    for (index_t t = 0; t < z.count; ++t)
        if (experts[at(t)] >= 0) total += z.all[at(t * z.cols + experts[at(t)])];
    return total;
}
std::vector<index_t> loads_of(std::vector<int> const& experts, index_t count) {
    std::vector<index_t> loads(at(count));
    for (int const e : experts)
        if (e >= 0) ++loads[at(e)];
    return loads;
}
/// Tries every assignment with loads of ⌊T / E⌋ or one more.
double best_total(rows const& z, index_t token, std::vector<index_t>& loads, index_t spare) {
    if (token == z.count) return 0;
    index_t const own = z.count / z.cols;
    double best = -1e300;
    for (index_t e = 0; e < z.cols; ++e) {
        bool const extra = loads[at(e)] == own;
        if (loads[at(e)] > own || (extra && spare == 0)) continue;
        ++loads[at(e)];
        best = std::max(best, z.all[at(token * z.cols + e)] +
                                  best_total(z, token + 1, loads, spare - (extra ? 1 : 0)));
        --loads[at(e)];
    }
    return best;
}
double optimum(rows const& z) {
    std::vector<index_t> loads(at(z.cols));
    return best_total(z, 0, loads, z.count % z.cols);
}
void require_even(std::vector<int> const& experts, index_t count) {
    auto const loads = loads_of(experts, count);
    auto const [low, high] = std::minmax_element(loads.begin(), loads.end());
    CHECK(*high - *low <= 1);
}
rows const four = of(2, {.1f, 0, 2, 0, .5f, 0, 0, 1});

} // namespace

TEST_CASE("balanced: the numbers of the specification") {
    asked<balanced{}> router(2, 4, {.training = true});
    auto const got = slots_of(router(four.view()));
    CHECK(experts_of(got) == std::vector{1, 0, 0, 1});
    CHECK(total_of(four, experts_of(got)) == 3.5);
    double const weights[] = {.5, .880797, .622459, .731059};
    for (std::size_t t = 0; t < 4; ++t)
        CHECK(std::abs(double{got[t][0].weight} - weights[t]) <= 1e-6 + 1e-5 * weights[t]);
    router.params.training = false;
    CHECK(experts_of(slots_of(router(four.view()))) == std::vector{0, 0, 0, 1});
}

TEST_CASE("balanced: no other assignment with these loads is worth more") {
    for (index_t experts : {1, 2, 3, 4})
        for (index_t tokens : {1, 2, 3, 5, 6, 7, 8})
            for (std::uint64_t seed : {1u, 2u, 3u, 4u}) {
                auto z = rows::normal(tokens, experts, seed * 31 + at(tokens), 2);
                if (seed == 2) // many ties
                    for (float& s : z.all) s = std::round(s);
                if (seed == 3) // a crowd
                    for (index_t t = 0; t < tokens; ++t) z.row(t)[0] += 6;
                asked<balanced{}> router(experts, tokens, {.training = true});
                auto const got = experts_of(slots_of(router(z.view())));
                CHECK(total_of(z, got) == Approx(optimum(z)).epsilon(1e-9).margin(1e-9));
                require_even(got, experts);
            }
}

TEST_CASE("balanced: many tokens, no pair and no triple of them would rather change places") {
    index_t const tokens = 203, experts = 13;
    auto z = rows::normal(tokens, experts, 77, 1);
    for (index_t t = 0; t < tokens; ++t)
        for (index_t e = 0; e < experts; ++e) z.row(t)[e] += 0.4f * static_cast<float>(e);
    asked<balanced{}> router(experts, tokens, {.training = true});
    auto const got = experts_of(slots_of(router(z.view())));
    require_even(got, experts);
    // the arcs between experts have no cycle that gains
    std::vector<double> cost(at(experts * experts), 1e300);
    for (index_t t = 0; t < tokens; ++t)
        for (index_t e = 0; e < experts; ++e) {
            auto& c = cost[at(got[at(t)] * experts + e)];
            c = std::min(c, double{z.row(t)[got[at(t)]]} - double{z.row(t)[e]});
        }
    for (index_t via = 0; via < experts; ++via)
        for (index_t a = 0; a < experts; ++a)
            for (index_t b = 0; b < experts; ++b)
                cost[at(a * experts + b)] =
                    std::min(cost[at(a * experts + b)],
                             cost[at(a * experts + via)] + cost[at(via * experts + b)]);
    for (index_t e = 0; e < experts; ++e) CHECK(cost[at(e * experts + e)] >= -1e-9);
    // nor a chain from an expert with one token more to one with less
    auto const loads = loads_of(got, experts);
    for (index_t a = 0; a < experts; ++a)
        for (index_t b = 0; b < experts; ++b)
            if (loads[at(a)] > loads[at(b)]) CHECK(cost[at(a * experts + b)] >= -1e-9);
}

TEST_CASE("balanced: equal scores are shared out in order") {
    asked<balanced{}> router(3, 6, {.training = true});
    auto const got = experts_of(slots_of(router(rows(6, 3).view())));
    require_even(got, 3);
    CHECK(got == experts_of(slots_of(router(rows(6, 3, 5).view()))));
    router.params.training = false;
    CHECK(experts_of(slots_of(router(rows(6, 3).view()))) == std::vector<int>(6, 0));
}

TEST_CASE("balanced: outside training the largest logit, NaN last, -inf listed") {
    auto const z = of(3, {1, 3, 3, none, -infinity, none, none, none, none, -infinity, -infinity,
                          -infinity, 0, infinity, none});
    asked<balanced{}> router(3, 5, {.training = false});
    auto const got = slots_of(router(z.view()));
    CHECK(experts_of(got) == std::vector{1, 1, 0, 0, 1});
    CHECK(got[1] == std::vector<slot>{{1, 0, 1}});
    CHECK(std::isnan(got[2][0].weight));
    CHECK(got[3] == std::vector<slot>{{0, 0, 1}});
    CHECK(got[4] == std::vector<slot>{{1, 1, 0}});
}

TEST_CASE("balanced: loads are even whatever the bits of the logits") {
    std::mt19937 random(5);
    for (int run = 0; run < 40; ++run) {
        rows z(23, 4);
        for (float& s : z.all) s = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        asked<balanced{}> router(4, 23, {.training = true});
        require_even(experts_of(slots_of(router(z.view()))), 4);
    }
    for (float const same : {none, infinity, -infinity, 3e38f, 1e-45f}) {
        asked<balanced{}> router(5, 12, {.training = true});
        auto const got = slots_of(router(rows(12, 5, same).view()));
        require_even(experts_of(got), 5);
        for (auto const& slots : got) CHECK(slots[0].tier == (same == -infinity ? 1 : 0));
    }
}

TEST_CASE("balanced: where a score is not finite the smallest finite one counts") {
    auto z = rows::normal(12, 3, 4, 2);
    auto plain = z;
    float const least = *std::min_element(z.all.begin(), z.all.end());
    for (index_t t = 0; t < 12; t += 3) {
        z.row(t)[t % 2] = t % 2 == 0 ? none : -infinity;
        plain.row(t)[t % 2] = least;
    }
    asked<balanced{}> router(3, 12, {.training = true});
    CHECK(experts_of(slots_of(router(z.view()))) == experts_of(slots_of(router(plain.view()))));
}

TEST_CASE("balanced: padding has no place and takes none") {
    auto const z = rows::normal(11, 3, 6, 2);
    rows wide(14, 3, 100);
    std::vector<std::uint8_t> mask(14, 1);
    mask[0] = mask[5] = mask[13] = 0;
    index_t next = 0;
    for (index_t t = 0; t < 14; ++t)
        if (mask[at(t)] != 0) std::copy_n(z.all.data() + 3 * next++, 3, wide.row(t));
    wide.row(5)[1] = none;
    asked<balanced{}> router(3, 14, {.training = true});
    auto got = slots_of(router(with(wide, mask)));
    for (std::size_t const t : {13u, 5u, 0u}) {
        CHECK(got[t].empty());
        got.erase(got.begin() + static_cast<std::ptrdiff_t>(t));
    }
    CHECK(numbers::same_slots(got, slots_of(router(z.view()))));
}

TEST_CASE("balanced: a ranking and a bias choose, logits weigh") {
    auto const z = rows::normal(9, 3, 8, 1), by = rows::normal(9, 3, 9, 1);
    std::vector<float> const bias{1, 0, -1};
    auto sums = by;
    for (index_t t = 0; t < 9; ++t)
        for (index_t e = 0; e < 3; ++e) sums.row(t)[e] += bias[at(e)];
    for (bool const training : {true, false}) {
        asked<balanced{}> router(3, 9, {.training = training});
        auto in = with(z);
        in.ranking = by.view();
        in.bias = bias;
        auto const got = slots_of(router(in));
        CHECK(experts_of(got) == experts_of(slots_of(router(sums.view()))));
        for (std::size_t t = 0; t < 9; ++t)
            CHECK(got[t][0].weight ==
                  Approx(1 / (1 + std::exp(-double{z.all[t * 3 + at(got[t][0].expert)]}))));
    }
}

TEST_CASE("balanced: fewer tokens than experts, none at all, what it promises") {
    asked<balanced{}> router(8, 3, {.training = true});
    auto const z = of(8, {0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    CHECK(experts_of(slots_of(router(z.view()))) == std::vector{1, 2, 7});
    CHECK(slots_of(router(rows(0, 8).view())).empty());
    CHECK(router.most() == 1);
    STATIC_REQUIRE(balanced{}.promise().sees == scope::batch);
    STATIC_REQUIRE(!balanced{}.promise().causal);
}
