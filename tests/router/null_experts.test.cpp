// SPDX-License-Identifier: MIT
#include "prytany/router/null_experts.hpp"

#include <algorithm>
#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

/// Tokens of width 1 that are 1: the weights of the nulls are their logits.
template <auto Router>
std::vector<slot> one(std::vector<float> const& logits, std::vector<float> const& nulls,
                      null_experts::params const& own = {}, std::vector<float> const& bias = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<Router> router(experts, 1, own);
    for (std::size_t i = 0; i < nulls.size(); ++i)
        router.weights.null.pack(static_cast<index_t>(i), std::span(nulls).subspan(i, 1));
    rows const x(1, 1, 1);
    seen in{input{x.view()}};
    in.logits = {logits.data(), 1, experts};
    in.bias = bias;
    return slots_of(router(in))[0];
}
void require_slots(std::vector<slot> const& got, std::vector<std::pair<int, double>> const& all) {
    REQUIRE(got.size() == all.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == all[j].first);
        CHECK(std::abs(double{got[j].weight} - all[j].second) <= 1e-6 + 1e-5 * all[j].second);
    }
}
constexpr null_experts two{.nulls = 2, .k = 2};
constexpr null_experts many{.nulls = 21, .k = 5};

} // namespace

TEST_CASE("null_experts: the numbers of the specification") {
    require_slots(one<two>({1, .2f, 0}, {.8f, -1}), {{0, 1}});
    require_slots(one<two>({.5f, .4f, .3f}, {-1, -1}), {{0, 0.524979}, {1, 0.475021}});
    CHECK(one<two>({.5f, .4f, .3f}, {1, 2}).empty());
}

TEST_CASE("null_experts: the k best of all, as sorting in double says") {
    index_t const tokens = 40, experts = 9, model = 19;
    auto const x = rows::normal(tokens, model, 1), z = rows::normal(tokens, experts, 2, 1);
    auto const n = rows::normal(many.nulls, model, 3, 0.2);
    asked<many> router(experts, tokens, {}, model);
    router_tensors(many, router.weights, router.size, [&](auto const& t) { t.pack(n.view()); });
    seen in{input{x.view()}};
    in.logits = z.view();
    auto const got = slots_of(router(in));
    std::size_t slots = 0;
    for (index_t t = 0; t < tokens; ++t) {
        std::vector<std::pair<double, int>> all;
        for (index_t e = 0; e < experts; ++e)
            all.emplace_back(z.row_of(t)[at(e)], static_cast<int>(e));
        for (index_t i = 0; i < many.nulls; ++i) {
            double sum = 0;
            for (index_t c = 0; c < model; ++c)
                sum += double{x.row_of(t)[at(c)]} * n.row_of(i)[at(c)];
            all.emplace_back(sum, static_cast<int>(experts + i));
        }
        std::sort(all.begin(), all.end(), std::greater<>());
        std::vector<std::pair<int, double>> wanted;
        double total = 0;
        for (int j = 0; j < 5; ++j)
            if (all[at(j)].second < experts) {
                wanted.emplace_back(all[at(j)].second, std::exp(all[at(j)].first));
                total += wanted.back().second;
            }
        for (auto& w : wanted) w.second /= total;
        require_slots(got[at(t)], wanted);
        slots += wanted.size();
    }
    CHECK(slots > 40);  // neither all of the five
    CHECK(slots < 160); // nor none

    for (index_t const chunk : {1, 7}) // the same in parts
        for (index_t t = 0; t < tokens; t += chunk) {
            index_t const count = std::min(chunk, tokens - t);
            auto const some = slots_of(router(in.part(t, count)));
            CHECK(numbers::same_slots(some, {got.begin() + t, got.begin() + t + count}));
        }
}

TEST_CASE("null_experts: where no null is among the best it is top_k, bit for bit") {
    auto const z = rows::normal(30, 8, 4, 2);
    asked<null_experts{.nulls = 3}> router(8, 30, {.k = 3}, 1);
    router_tensors(null_experts{.nulls = 3}, router.weights, router.size,
                   [](auto const& t) { t.pack(rows(3, 1, -1e9f).view()); });
    asked<top_k{.k = 3}> plain(8, 30);
    rows const x(30, 1, 1);
    seen in{input{x.view()}};
    in.logits = z.view();
    CHECK(numbers::same_slots(slots_of(router(in)), slots_of(plain(z.view()))));
}

TEST_CASE("null_experts: more asked for than there are true experts") {
    constexpr null_experts wide{.nulls = 2, .k = 4};
    require_slots(one<wide>({1, 0}, {5, -5}), {{0, 0.731059}, {1, 0.268941}});
    require_slots(one<wide>({1, 0, 1}, {5, .5f}), {{0, .5}, {2, .5}});
    constexpr null_experts all{.nulls = 2, .k = 5};
    CHECK(one<all>({1, 0, 1}, {5, 5}).size() == 3);
    CHECK(wide.slots({.experts = 2}, {}) == 2);
    CHECK(wide.slots({.experts = 9}, {}) == 4);
}

TEST_CASE("null_experts: ties go to true experts, then to the lower number") {
    require_slots(one<two>({1, 1, 1}, {1, 1}), {{0, .5}, {1, .5}});
    require_slots(one<two>({0, -0.0f, -1}, {0, 0}), {{0, .5}, {1, .5}});
    require_slots(one<two>({0, 1, 0}, {1, 0}), {{1, 1}});
}

TEST_CASE("null_experts: NaN and infinities") {
    require_slots(one<two>({none, 3, none}, {1, -infinity}), {{1, 1}});
    require_slots(one<two>({none, 3, 2}, {none, none}), {{1, 0.731059}, {2, 0.268941}});
    auto const lost = one<two>({none, none, none}, {none, none});
    REQUIRE(lost.size() == 2);
    for (slot const s : lost) CHECK(std::isnan(s.weight));
    CHECK(lost[1].expert == 1);
    CHECK(one<two>({-infinity, -infinity}, {0, 0}).empty());
    CHECK(one<two>({-infinity, -infinity}, {0, -infinity}) == std::vector<slot>{{0, 0, 1}});
    CHECK(one<two>({1, infinity}, {infinity, 0}) == std::vector<slot>{{1, 1, 0}});
}

TEST_CASE("null_experts: a bias is added to what is shared with the nulls, weights stay") {
    // softmax of [1, 0 | 1, 0] is .3655, .1345, .3655, .1345
    require_slots(one<two>({1, 0}, {1, 0}, {}, {0, 0}), {{0, 1}});
    require_slots(one<two>({1, 0}, {1, 0}, {}, {0, .23f}), {{0, 1}});
    require_slots(one<two>({1, 0}, {1, 0}, {}, {.1f, .24f}), {{0, .731059}, {1, .268941}});
    CHECK(one<two>({1, 0}, {1, 0}, {}, {-.24f, 0}).size() == 1);
    CHECK(one<two>({1, 0}, {1, .1f}, {}, {-.25f, 0}).empty());
}

TEST_CASE("null_experts: no tokens, what it promises, what is out of range") {
    asked<two> router(4, 3);
    CHECK(slots_of(router(rows(0, 4).view())).empty());
    STATIC_REQUIRE(two.promise().sees == scope::token);
    STATIC_REQUIRE(!two.promise().unit_sum);
    auto const sentence = [](null_experts const& policy, null_experts::params const& own) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(two, {}).empty());
    CHECK(sentence({.nulls = 4}, {.k = 12}).empty());
    CHECK(sentence({.nulls = 0, .k = 2}, {}) == "null_experts.nulls: expected at least 1, got 0");
    CHECK(sentence({.nulls = 4, .k = 13}, {}) ==
          "null_experts.k: expected 1 to 12, all with the nulls, got 13");
    CHECK(sentence({.nulls = 4}, {}) ==
          "null_experts.k: expected 1 to 12, all with the nulls, got -1");
    CHECK(sentence(two, {.k = 3}) == "null_experts.k: expected 2, got 3");
}
