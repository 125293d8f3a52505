// SPDX-License-Identifier: MIT
#include "prytany/router/top_p.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/every_expert.hpp"
#include "prytany/router/switch_top_1.hpp"
#include "prytany/router/threshold.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");
std::vector<float> const z0{2, 1, 0.5f, -1}, z1{0.3f, 0.2f, 0.1f, 0};

std::vector<slot> one(std::vector<float> const& logits, top_p::params const& own = {},
                      std::vector<float> const& bias = {}, std::vector<float> const& order = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<top_p{}> router(experts, 1, own);
    seen in{input{matrix_view<float const>(logits.data(), 1, experts)}};
    in.logits = {logits.data(), 1, experts};
    in.bias = bias;
    if (!order.empty()) in.ranking = {order.data(), 1, experts};
    return slots_of(router(in))[0];
}
std::vector<int> experts_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (slot const& s : slots) all.push_back(s.expert);
    return all;
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j)
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
}
lists many(rows const& z, top_p::params const& own) {
    return slots_of(asked<top_p{}>(z.cols, z.count, own)(z.view()));
}
std::vector<slot> by_expert(std::vector<slot> slots) {
    std::sort(slots.begin(), slots.end(), [](auto a, auto b) { return a.expert < b.expert; });
    return slots;
}
float sum_of(std::vector<slot> const& slots, std::size_t count) {
    float sum = 0;
    for (std::size_t j = 0; j < count; ++j) sum += slots[j].weight;
    return sum;
}
std::string sentence(top_p::params const& own, index_t experts = 8) {
    try {
        top_p{}.check({.model = 4, .hidden = 4, .experts = experts}, own);
    } catch (error const& e) {
        return e.what();
    }
    return "";
}

} // namespace

TEST_CASE("top_p: the numbers of the literature") {
    require_weights(one(z0), {0.609460});
    require_weights(one(z1), {0.288651, 0.261183});
    CHECK(experts_of(one(z0)) == std::vector{0});
    CHECK(experts_of(one(z1)) == std::vector{0, 1});
    require_weights(one(z0, {.p = 0.7f}), {0.609460, 0.224208});
    require_weights(one(z1, {.p = 0.7f}), {0.288651, 0.261183, 0.236328});
    require_weights(one(z0, {.p = 0.85f}), {0.609460, 0.224208, 0.135989});
    require_weights(one(z1, {.p = 0.85f}), {0.288651, 0.261183, 0.236328, 0.213838});
}

TEST_CASE("top_p: a sum of exactly p is enough only if inclusive") {
    std::vector<float> const equal(4);
    CHECK(experts_of(one(equal, {.p = 0.5f})) == std::vector{0, 1, 2});
    CHECK(experts_of(one(equal, {.p = 0.5f, .inclusive = true})) == std::vector{0, 1});
    CHECK(one(equal, {.p = std::nextafter(0.5f, 0.0f)}).size() == 2);
    CHECK(one(equal, {.p = std::nextafter(0.5f, 1.0f), .inclusive = true}).size() == 3);
    CHECK(one({0, 0}, {.p = 0, .inclusive = true}).size() == 1);
}

TEST_CASE("top_p: sums and compares in float") {
    std::vector<float> const equal(10);
    CHECK(one(equal).size() == 5);              // four times 0.1f is 0.4f, which is above 0.4
    CHECK(one(equal, {.p = 0.3f}).size() == 4); // and three times is 0.3f, which is above 0.3
    CHECK(one(equal, {.p = 0.8f}).size() == 8); // eight times is above 0.8f, in double it is 0.8f
    CHECK(one(equal, {.inclusive = true}).size() == 4);
    CHECK(one(equal, {.p = 0.3f, .inclusive = true}).size() == 3); // 3 · double(0.1f) < 0.3f
}

TEST_CASE("top_p: the fewest best experts whose sum is above p") {
    for (float const scale : {0.3f, 2.0f, 20.0f}) {
        auto const z = rows::normal(60, 16, 5, scale);
        for (float const p : {0.0f, 0.1f, 0.4f, 0.73f, 0.99f})
            for (bool const inclusive : {false, true}) {
                auto const plan = many(z, {.p = p, .inclusive = inclusive});
                for (index_t t = 0; t < z.count; ++t) {
                    auto const& got = plan[at(t)];
                    auto const enough = [&](float sum) { return inclusive ? sum >= p : sum > p; };
                    CHECK(enough(sum_of(got, got.size())));
                    CHECK((got.size() == 1 || !enough(sum_of(got, got.size() - 1))));
                    auto const logits = twin::doubles(z.row_of(t));
                    auto const order = twin::ranked(logits);
                    auto const all = twin::probabilities(logits, 1);
                    for (std::size_t j = 0; j < got.size(); ++j) {
                        REQUIRE(at(got[j].expert) == order[j]);
                        REQUIRE(got[j].weight == Approx(all[order[j]]).epsilon(1e-5).margin(1e-9));
                    }
                }
            }
    }
}

TEST_CASE(
    "top_p: p = 1 is the dense mixture, p = 0 the best alone, and more p keeps what less did") {
    for (float const scale : {0.0f, 1.0f, 30.0f}) {
        auto const z = rows::normal(40, 66, 6, scale);
        auto const dense = slots_of(asked<every_expert{}>(66, 40)(z.view()));
        for (bool const inclusive : {false, true}) {
            lists got;
            for (auto const& slots : many(z, {.p = 1, .inclusive = inclusive}))
                got.push_back(by_expert(slots));
            CHECK(numbers::same_slots(got, dense));
        }
        auto const best = slots_of(asked<switch_top_1{}>(66, 40)(z.view()));
        CHECK(numbers::same_slots(many(z, {.p = 0}), best));
        lists less = best;
        for (int step = 1; step <= 40; ++step) {
            auto const more = many(z, {.p = static_cast<float>(step) / 40});
            for (std::size_t t = 0; t < more.size(); ++t) {
                REQUIRE(more[t].size() >= less[t].size());
                REQUIRE(std::equal(less[t].begin(), less[t].end(), more[t].begin()));
            }
            less = more;
        }
    }
}

TEST_CASE("top_p: p = 1 keeps all also where rounding takes the sum above 1") {
    std::vector<float> faint_last(11);
    faint_last[10] = -50; // ten times 0.1f is 1.0000001f
    CHECK(one(faint_last, {.p = 1}).size() == 11);
    CHECK(one(faint_last, {.p = 1, .inclusive = true}).size() == 11);
    CHECK(one(faint_last, {.p = std::nextafter(1.0f, 0.0f)}).size() == 10);
}

TEST_CASE("top_p: a cap cuts the list and nothing else") {
    auto const z = rows::normal(50, 12, 7, 0.7);
    auto const free = many(z, {.p = 0.8f});
    for (index_t const cap : {1, 2, 5, 12}) {
        auto const capped = many(z, {.p = 0.8f, .cap = cap});
        for (std::size_t t = 0; t < free.size(); ++t) {
            auto wanted = free[t];
            wanted.resize(std::min(wanted.size(), at(cap)));
            REQUIRE(capped[t] == wanted);
        }
    }
    CHECK(asked<top_p{}>(12, 1, {.cap = 3}).most() == 3);
    CHECK(asked<top_p{}>(12, 1).most() == 12);
}

TEST_CASE("top_p: renormalised only if asked, then over the chosen") {
    require_weights(one(z0, {.p = 0.7f, .renormalise = true}), {0.731059, 0.268941});
    require_weights(one(z1, {.renormalise = true}), {0.524979, 0.475021});
    require_weights(one(z0, {.renormalise = true}), {1});
    auto const best_two = one({5, 9, 9, 1}, {.p = 0.99f, .cap = 2, .renormalise = true});
    CHECK(best_two == std::vector<slot>{{1, 0.5f, 0}, {2, 0.5f, 0}});
    // chosen by a ranking from where probabilities vanish
    auto const faint = one({200, 1, 0, -1}, {.cap = 2, .renormalise = true}, {}, {0, 3, 2, 1});
    CHECK(experts_of(faint) == std::vector{1, 2});
    require_weights(faint, {0.731059, 0.268941});
}

TEST_CASE("top_p: rankings and biases change the order, not the weights nor what is summed") {
    auto const ranked = one(z0, {.p = 0.3f}, {}, {1, 2, 4, 3});
    CHECK(experts_of(ranked) == std::vector{2, 3, 1});
    require_weights(ranked, {0.135989, 0.030343, 0.224208});
    auto const lifted = one(z0, {.p = 0.3f}, {0, 0, 0.5f, 0}); // 0.636 is above 0.609
    CHECK(experts_of(lifted) == std::vector{2, 0});
    require_weights(lifted, {0.135989, 0.609460});
    CHECK(experts_of(one(z0, {.p = 0.3f}, {0, 0, 0.47f, 0})) == std::vector{0});
    auto const both = one(z0, {.p = 0.3f}, {0, 0, 0, 2}, {1, 2, 4, 3});
    CHECK(experts_of(both) == std::vector{3, 2, 1});

    auto const z = rows::normal(20, 9, 8, 2);
    std::vector<float> const bias{0, .3f, 0, -.2f, 0, .1f, 0, 0, 0};
    asked<biased{top_p{}}> wrapped(9, 20);
    for (std::size_t e = 0; e < 9; ++e)
        wrapped.weights.correction.pack(static_cast<index_t>(e), std::span(bias).subspan(e, 1));
    asked<top_p{}> plain(9, 20);
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view(), bias))));
}

TEST_CASE("top_p: equal logits go to the lower number") {
    CHECK(experts_of(one({1, 2, 1, 2, 1}, {.p = 0.7f})) == std::vector{1, 3, 0});
    CHECK(experts_of(one({-0.0f, 0.0f, -0.0f}, {.p = 0.5f})) == std::vector{0, 1});
}

TEST_CASE("top_p: infinities") {
    CHECK(one({infinity, 5, infinity, 3e38f}, {.p = 0.6f}) ==
          std::vector<slot>{{0, 0.5f, 0}, {2, 0.5f, 0}});
    CHECK(one({3e38f, -3e38f, 3e38f}, {.p = 0.6f}) ==
          std::vector<slot>{{0, 0.5f, 0}, {2, 0.5f, 0}});
    CHECK(one({-infinity, 1, -infinity}, {.p = 0.9f}) == std::vector<slot>{{1, 1, 0}});
    CHECK(one({-infinity, 1, -infinity}, {.p = 1}) ==
          std::vector<slot>{{1, 1, 0}, {0, 0, 1}, {2, 0, 1}});
    std::vector<float> const shut(3, -infinity);
    std::vector<slot> const listed{{0, 0, 1}, {1, 0, 1}, {2, 0, 1}};
    for (bool const renormalise : {false, true}) {
        CHECK(one(shut, {.renormalise = renormalise}) == listed); // no sum is above p
        CHECK(one(shut, {.cap = 1, .renormalise = renormalise}) == std::vector<slot>{{0, 0, 1}});
    }
}

TEST_CASE("top_p: NaN is taken only where no number is, and then once") {
    for (float const p : {0.0f, 0.4f, 1.0f}) {
        auto const lost = one({none, none, -none}, {.p = p});
        REQUIRE(lost.size() == 1);
        CHECK(lost[0].expert == 0);
        CHECK((std::isnan(lost[0].weight) && lost[0].tier == 0));
    }
    auto const got = one({none, 1, none, 2}, {.p = 1});
    CHECK(experts_of(got) == std::vector{3, 1});
    require_weights(got, {0.731059, 0.268941});
    CHECK(experts_of(one({none, 1, none, 2}, {.p = 0.9f})) == std::vector{3, 1});
    CHECK(one({none, -infinity}) == std::vector<slot>{{1, 0, 1}});
    // ranked first, it is poison for its own token only
    CHECK(std::isnan(one({none, 1, 2, 0}, {}, {}, {9, 1, 2, 3})[0].weight));
}

TEST_CASE("top_p: a part of a batch is chosen as in the whole, and a bad token stays alone") {
    auto z = rows::normal(33, 10, 9, 2);
    auto const whole = many(z, {.p = 0.6f});
    asked<top_p{}> router(10, 33, {.p = 0.6f});
    for (index_t const chunk : {1, 4, 32})
        for (index_t t = 0; t < 33; t += chunk) {
            index_t const count = std::min<index_t>(chunk, 33 - t);
            REQUIRE(numbers::same_slots(slots_of(router(z.part(t, count).view())),
                                        {whole.begin() + t, whole.begin() + t + count}));
        }
    std::fill_n(z.row(7), 10, none);
    auto spoilt = many(z, {.p = 0.6f});
    CHECK_FALSE(numbers::same_slots(spoilt, whole));
    spoilt[7] = whole[7];
    CHECK(numbers::same_slots(spoilt, whole));
    CHECK(slots_of(router(rows(0, 10).view())).empty());
    CHECK(one({-7}) == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("top_p: what is out of range is said at construction") {
    CHECK(sentence({}).empty());
    CHECK(sentence({.p = 0, .cap = 1}).empty());
    CHECK(sentence({.p = 1, .cap = 8}).empty());
    CHECK(sentence({.p = 1.5f}) == "top_p.p: expected 0 to 1, got 1.500000");
    for (float const wrong : {-0.1f, none, infinity})
        CHECK(sentence({.p = wrong}).find("top_p.p: expected 0 to 1") == 0);
    CHECK(sentence({.cap = 0}) == "top_p.cap: expected 1 to 8 experts, got 0");
    CHECK(sentence({.cap = 9}) == "top_p.cap: expected 1 to 8 experts, got 9");
    CHECK(sentence({.cap = -2}) == "top_p.cap: expected 1 to 8 experts, got -2");
}

TEST_CASE("top_p: promises to look at single tokens, to be causal and positive") {
    constexpr promises said = top_p{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && !said.unit_sum));
}
