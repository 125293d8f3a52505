// SPDX-License-Identifier: MIT
#include "prytany/router/hard_gate.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

template <auto Router>
std::vector<slot> one(std::vector<float> const& logits) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<Router> router(experts, 1);
    return slots_of(router(matrix_view<float const>(logits.data(), 1, experts)))[0];
}
constexpr hard_gate single{}, summed{.tie_sum = true};
using list = std::vector<slot>;

} // namespace

TEST_CASE("hard_gate: the largest gate, the lower number of equal ones, at weight 1") {
    CHECK(one<single>({0.27f, 0.73f}) == list{{1, 1, 0}});
    CHECK(one<single>({1, 2, 2, 0}) == list{{1, 1, 0}});
    CHECK(one<single>({-0.0f, 0.0f}) == list{{0, 1, 0}});
    CHECK(one<single>({5}) == list{{0, 1, 0}});
}

TEST_CASE("hard_gate: sums what is within a millionth of the largest gate, as released") {
    CHECK(one<summed>({1, 2, 2, 0}) == list{{1, 1, 0}, {2, 1, 0}});
    CHECK(one<summed>({0, 0, 0}) == list{{0, 1, 0}, {1, 1, 0}, {2, 1, 0}});
    // two gates near a half differ by half of what their logits differ by
    CHECK(one<summed>({1.0e-6f, 0}) == list{{0, 1, 0}, {1, 1, 0}});
    CHECK(one<summed>({3.0e-6f, 0}) == list{{0, 1, 0}});
    CHECK(one<summed>({0, 3.0e-6f}) == list{{1, 1, 0}});
    CHECK(one<summed>({infinity, 1, infinity}) == list{{0, 1, 0}, {2, 1, 0}});
}

TEST_CASE("hard_gate: nothing but -inf is listed and not run, NaN only where all are") {
    CHECK(one<single>({none, -1, none}) == list{{1, 1, 0}});
    CHECK(one<summed>({none, -1, none}) == list{{1, 1, 0}});
    for (auto const& got :
         {one<single>({-infinity, -infinity}), one<summed>({-infinity, -infinity}),
          one<single>({none, -infinity}), one<summed>({none, -infinity})}) {
        REQUIRE(got.size() == 1);
        CHECK((got[0].weight == 0 && got[0].tier == 1));
    }
    CHECK(one<single>({none, none}) == list{{0, 1, 0}});
    CHECK(one<summed>({none, none}) == list{{0, 1, 0}});
}

TEST_CASE("hard_gate: the solved gate of four environments; equal gates of one environment") {
    auto const choose = []<class Router>(Router& router, std::vector<float> const& contexts) {
        // W^T of the numbers of the literature
        double const w[2][3] = {{-.519043, .390967, .493428}, {.519043, -.390967, .506572}};
        rows z(static_cast<index_t>(contexts.size() / 2), 2);
        for (index_t t = 0; t < z.count; ++t)
            for (index_t e = 0; e < 2; ++e)
                z.row(t)[e] =
                    static_cast<float>(w[e][0] * double{contexts[at(2 * t)]} +
                                       w[e][1] * double{contexts[at(2 * t + 1)]} + w[e][2]);
        return slots_of(router(z.view()));
    };
    asked<single> one_of(2, 4);
    asked<summed> sums(2, 4);
    std::vector<float> const four{1, .1f, .9f, -.1f, -1, 0, -.8f, .2f};
    auto const wanted = numbers::lists{{{1, 1, 0}}, {{1, 1, 0}}, {{0, 1, 0}}, {{0, 1, 0}}};
    CHECK(choose(one_of, four) == wanted);
    CHECK(choose(sums, four) == wanted);
    // on the border of the two gates: one expert, or as released the sum of both
    float const border = static_cast<float>(-(.506572 - .493428) / (2 * .519043));
    CHECK(choose(one_of, {border, 0})[0].size() == 1);
    CHECK(choose(sums, {border, 0})[0] == list{{0, 1, 0}, {1, 1, 0}});
}

TEST_CASE("hard_gate: parts of a batch, and many experts against a computation in double") {
    for (index_t const experts : {1, 2, 7, 64, 200}) {
        auto z = rows::normal(40, experts, at(experts));
        for (float& x : z.all) x = std::round(x * 4) / 4;
        asked<summed> all(experts, 40);
        asked<single> first(experts, 40);
        auto const sums = slots_of(all(z.view())), ones = slots_of(first(z.view()));
        for (index_t t = 0; t < 40; ++t) {
            auto const row = twin::doubles(z.row_of(t));
            double top = row[0], sum = 0;
            for (double const x : row) top = std::max(top, x);
            for (double const x : row) sum += std::exp(x - top);
            list wanted;
            for (std::size_t e = 0; e < row.size(); ++e)
                if (std::exp(row[e] - top) / sum > 1 / sum - 1e-6)
                    wanted.push_back({static_cast<int>(e), 1, 0});
            CHECK(sums[at(t)] == wanted);
            CHECK(ones[at(t)] == list{wanted[0]});
            CHECK(numbers::same_slots(slots_of(all(z.part(t, 1).view())), {sums[at(t)]}));
        }
        CHECK(slots_of(all(rows(0, experts).view())).empty());
    }
}

TEST_CASE("hard_gate: what it promises and keeps") {
    STATIC_REQUIRE(router_policy<hard_gate>);
    STATIC_REQUIRE(single.promise().unit_sum);
    STATIC_REQUIRE(!summed.promise().unit_sum);
    CHECK(single.slots({.experts = 5}, {}) == 1);
    CHECK(summed.slots({.experts = 5}, {}) == 5);
}
