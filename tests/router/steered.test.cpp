// SPDX-License-Identifier: MIT
#include "prytany/router/steered.hpp"

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float off = steered<top_k>::off, on = steered<top_k>::on;
constexpr top_k by_sigmoid{.k = 2, .score = scoring::sigmoid};
constexpr top_k in_groups{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};
std::vector<float> const f0{2, 1, .5f, -1};

void set(column& to, std::vector<float> const& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        to.pack(static_cast<index_t>(i), std::span(values).subspan(i, 1));
}
/// The slots of one token.
template <auto Router>
std::vector<slot> one(std::vector<float> const& z, std::vector<float> const& codes,
                      params_of<kind_of<Router>> const& own = {}) {
    auto const experts = static_cast<index_t>(z.size());
    asked<Router> router(experts, 1, own);
    set(router.weights.steering, codes);
    return slots_of(router(matrix_view<float const>(z.data(), 1, experts)))[0];
}
void require_slots(std::vector<slot> const& got, std::vector<int> const& experts,
                   std::vector<double> const& weights, std::vector<int> const& tiers) {
    REQUIRE(got.size() == experts.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(std::abs(double{got[j].weight} - weights[j]) <= 1e-6 + 1e-5 * std::abs(weights[j]));
        CHECK(got[j].tier == tiers[j]);
    }
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Gives experts 0, 1, 2 the weights that RICE is tried with.
struct fixed {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 3; }
    constexpr promises promise() const { return {.unit_sum = true}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) {
            out.put(t, 0, 0.5f);
            out.put(t, 1, 0.3f);
            out.put(t, 2, 0.2f);
        }
    }
};

} // namespace

TEST_CASE("steered: the numbers of tunable experts") {
    constexpr steered gate{by_sigmoid};
    require_slots(one<gate>(f0, {}), {0, 1}, {0.546449, 0.453551}, {0, 0});
    require_slots(one<gate>(f0, {off}), {0, 1}, {0, 1}, {1, 0});
    require_slots(one<gate>(f0, {off}, {.pre_select = true}), {1, 2}, {0.540117, 0.459883}, {0, 0});
    require_slots(one<gate>(f0, {0, 0, 0, on}), {0, 3}, {0.766085, 0.233915}, {0, 0});
    require_slots(one<gate>(f0, {0, 0, 0, on}, {.full_score = true}), {0, 3}, {0.468311, 0.531689},
                  {0, 0});
}

TEST_CASE("steered: the numbers of reinforced experts") {
    constexpr steered gate{fixed{}};
    require_slots(one<gate>({0, 0, 0, 0}, {0, 4}), {0, 1, 2}, {.5, 1.2, .2}, {0, 0, 0});
    require_slots(one<gate>({0, 0, 0, 0}, {0, 4}, {.keep_sum = true}), {0, 1, 2},
                  {.263158, .631579, .105263}, {0, 0, 0});
    require_slots(one<gate>({0, 0, 0, 0}, {0, 0, 0, 64}), {0, 1, 2}, {.5, .3, .2}, {0, 0, 0});
}

TEST_CASE("steered: a factor of 1, or none, leaves every bit") {
    auto z = rows::normal(60, 9, 4, 3);
    z.row(2)[3] = std::nanf("");
    z.row(3)[1] = infinity;
    z.row(4)[1] = -infinity;
    asked<top_k{.k = 3}> plain(9, 60);
    auto const wanted = slots_of(plain(z.view()));
    for (bool const keep_sum : {false, true})
        for (float const factor : {0.0f, 1.0f, std::nanf("")}) {
            asked<steered{top_k{.k = 3}}> router(9, 60, {.keep_sum = keep_sum});
            set(router.weights.steering, std::vector<float>(9, factor));
            CHECK(numbers::same_slots(slots_of(router(z.view())), wanted));
        }
}

TEST_CASE("steered: what is off loses its slot, what is left is weighed without it") {
    constexpr steered gate{top_k{.k = 3}};
    double const a = std::exp(1.0), b = std::exp(.5);
    require_slots(one<gate>(f0, {off}), {0, 1, 2}, {0, a / (a + b), b / (a + b)}, {1, 0, 0});
    require_slots(
        one<gate>(f0, {0, 0, 0, off}), {0, 1, 2},
        {std::exp(2) / (std::exp(2) + a + b), a / (std::exp(2) + a + b), b / (std::exp(2) + a + b)},
        {0, 0, 0});
    require_slots(one<gate>(f0, {off}, {.renormalise = false}), {0, 1, 2},
                  {0, a / (std::exp(2) + a + b), b / (std::exp(2) + a + b)}, {1, 0, 0});
    // its share would round to 0, and to nothing when divided by what is left
    require_slots(one<gate>({300, 1, 0, -500}, {off}), {0, 1, 2}, {0, .731059, .268941}, {1, 0, 0});
    // a router whose weights are shares of all experts gives no other ones
    constexpr double all = 0.609460;
    require_slots(one<gate>(f0, {0, off}, {.router = {.renormalise = false}}), {0, 1, 2},
                  {all, 0, 0.135989}, {0, 1, 0});
    require_slots(one<gate>(f0, {off}, {.router = {.scale = 2.5f}}), {0, 1, 2},
                  {0, 2.5 * a / (a + b), 2.5 * b / (a + b)}, {1, 0, 0});
}

TEST_CASE("steered: everything off leaves slots that are not run, not NaN") {
    for (bool const pre_select : {false, true})
        for (bool const renormalise : {false, true})
            require_slots(
                one<steered{by_sigmoid}>(f0, {off, off, off, off}, {pre_select, renormalise}),
                {0, 1}, {0, 0}, {1, 1});
}

TEST_CASE("steered: turned on in a group that is not kept, and past a bias") {
    constexpr steered gate{biased{in_groups}};
    auto const params =
        params_of<kind_of<gate>>{.router = {.router = {.scale = 2, .groups = 4, .kept_groups = 1}}};
    std::vector<float> const z{2, 1, .5f, -1, 0, 0, -3, -4};
    double const p = sigmoid(2), q = sigmoid(-4);
    require_slots(one<gate>(z, {0, 0, 0, 0, 0, 0, 0, on}, params), {0, 7},
                  {2 * p / (p + q), 2 * q / (p + q)}, {0, 0});
}

TEST_CASE("steered: after bias, groups, renormalisation and scale, as in DeepSeek-V3") {
    constexpr steered gate{biased{in_groups}};
    constexpr double scale = 2.5;
    std::vector<float> const z{2, 1, .5f, -1, 0, .3f, -3, -4};
    auto const params = params_of<kind_of<gate>>{
        .router = {.router = {.scale = float(scale), .groups = 4, .kept_groups = 2}}};
    auto const steer = [&](std::vector<float> const& codes, bool pre_select = false) {
        asked<gate> router(8, 1, params);
        router.params.pre_select = pre_select;
        set(router.weights.steering, codes);
        set(router.weights.router.correction, {0, 0, 0, 0, 5, 0, 0, 0}); // group 2 is kept
        return slots_of(router(matrix_view<float const>(z.data(), 1, 8)))[0];
    };
    double const p = sigmoid(2), q = sigmoid(.5), r = sigmoid(0);
    auto const base = steer({});
    require_slots(base, {4, 0}, {scale * r / (p + r), scale * p / (p + r)}, {0, 0});
    require_slots(steer({off}), {4, 0}, {scale, 0}, {0, 1}); // the slot is lost
    // off before the choice: group 0 is no longer among the two best, expert 2 of group 1 is next
    require_slots(steer({off}, true), {4, 2}, {scale * r / (q + r), scale * q / (q + r)}, {0, 0});
    // amplified: after the scale, the others keep every bit, the sum is no longer 2.5
    for (float const factor : {2.0f, 64.0f, 512.0f}) {
        auto const loud = steer({factor});
        CHECK(loud[0] == base[0]);
        CHECK(loud[1] == slot{0, base[1].weight * factor, 0});
    }
}

TEST_CASE("steered: who gives way to what is on") {
    constexpr steered gate{top_k{.k = 2}};
    auto const experts = [](std::vector<slot> const& slots) {
        std::vector<int> all;
        for (slot const s : slots) all.push_back(s.expert);
        return all;
    };
    CHECK(experts(one<gate>(f0, {off, 0, 0, on})) == std::vector{3, 1});
    CHECK(experts(one<gate>(f0, {0, on, 0, on})) == std::vector{3, 1});
    CHECK(experts(one<gate>(f0, {0, 0, on, on})) == std::vector{3, 2});
    CHECK(experts(one<gate>(f0, {0, on, on, on})) == std::vector{2, 1});
    CHECK(experts(one<gate>({1, 1, 1, 1}, {0, 0, 0, on})) == std::vector{0, 3});
    require_slots(one<gate>(f0, {on}), {0, 1}, {.731059, .268941}, {0, 0});
    require_slots(one<steered{top_k{.k = 4}}>(f0, {0, 0, off, on}), {0, 1, 2, 3},
                  {0.705385, 0.259496, 0, 0.035119}, {0, 0, 1, 0});
}

TEST_CASE("steered: awkward logits, one expert, no token, parts of a batch") {
    float const none = std::nanf("");
    std::vector<float> const codes{off, on, 4, 0, .5f, infinity, -infinity, none};
    auto z = rows::normal(48, 8, 9, 3);
    float const awkward[] = {none, infinity, -infinity, 3.4e38f};
    for (index_t t = 0; t < 48; t += 3)
        for (index_t e = t % 2; e < 8; e += 1 + t % 4)
            z.row(t)[e] = awkward[static_cast<std::size_t>(t + e) % 4];
    for (index_t e = 0; e < 8; ++e) {
        z.row(10)[e] = none;
        z.row(11)[e] = -infinity;
        z.row(12)[e] = 1;
    }
    for (bool const pre_select : {false, true}) {
        asked<steered{top_k{.k = 3}}> router(8, 48, {.pre_select = pre_select});
        set(router.weights.steering, codes);
        auto const whole = slots_of(router(z.view()));
        for (auto const& slots : whole) {
            REQUIRE(slots.size() == 3);
            std::vector<bool> used(8);
            for (slot const s : slots) {
                REQUIRE((s.expert >= 0 && s.expert < 8));
                CHECK(!used[static_cast<std::size_t>(s.expert)]);
                used[static_cast<std::size_t>(s.expert)] = true;
                if (s.expert == 0 || s.expert == 6) CHECK((s.weight == 0 && s.tier == 1));
            }
            CHECK((used[1] && used[5]));
        }
        for (index_t t = 0; t < 48; t += 5) {
            index_t const count = std::min<index_t>(5, 48 - t);
            auto const some = slots_of(router(z.part(t, count).view()));
            CHECK(numbers::same_slots(some, {whole.begin() + t, whole.begin() + t + count}));
        }
        CHECK(slots_of(router(rows(0, 8).view())).empty());
    }
    require_slots(one<steered{top_k{.k = 1}}>({none}, {off}), {0}, {0}, {1});
    require_slots(one<steered{top_k{.k = 1}}>({3}, {2}), {0}, {2}, {0});
}

TEST_CASE("steered: wraps itself, takes the inner router's slots") {
    STATIC_REQUIRE(std::is_same_v<decltype(steered{steered{top_k{}}}), steered<steered<top_k>>>);
    CHECK(steered{top_k{}}.slots({}, {.router = {.k = 5}}) == 5);
    STATIC_REQUIRE(!steered{fixed{}}.promise().unit_sum);
    asked<steered{steered{top_k{.k = 2}}}> router(4, 1);
    set(router.weights.steering, {8});
    set(router.weights.router.steering, {0, off});
    require_slots(slots_of(router(matrix_view<float const>(f0.data(), 1, 4)))[0], {0, 1}, {8, 0},
                  {0, 1});
}
