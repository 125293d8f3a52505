// SPDX-License-Identifier: MIT
#include "prytany/router/sinkhorn.hpp"

#include <limits>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

/// A router that shows what it was told to choose by: slot e of a token weighs its ranking.
struct shown {
    struct params {};
    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        auto const by = in.ranking.data != nullptr ? in.ranking : in.logits;
        for (index_t t = 0; t < by.rows; ++t)
            for (index_t e = 0; e < by.cols; ++e) out.put(t, e, by.row(t)[e]);
    }
};
constexpr top_k one{.k = 1, .score = scoring::sigmoid};
constexpr sinkhorn first{one};

rows of(index_t cols, std::vector<float> const& all) {
    rows z(static_cast<index_t>(all.size()) / cols, cols);
    z.all = all;
    return z;
}
rows const four = of(2, {.1f, 0, 2, 0, .5f, 0, 0, 1});

using table = std::vector<std::vector<double>>;
/// The formula as it stands, in double and without any maximum.
table transported(rows const& z, double tolerance) {
    auto const tokens = at(z.count), experts = at(z.cols);
    table c(tokens, std::vector<double>(experts));
    for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t e = 0; e < experts; ++e)
            c[t][e] = std::exp(double{z.all[t * experts + e]});
    std::vector<double> d0(tokens), d1(experts, 1);
    for (double change = 1; change > tolerance;) {
        for (std::size_t t = 0; t < tokens; ++t) {
            double sum = 0;
            for (std::size_t e = 0; e < experts; ++e) sum += d1[e] * c[t][e];
            d0[t] = 1 / (static_cast<double>(tokens) * (sum + 1e-8));
        }
        change = 0;
        for (std::size_t e = 0; e < experts; ++e) {
            double sum = 0;
            for (std::size_t t = 0; t < tokens; ++t) sum += d0[t] * c[t][e];
            double const d = 1 / (static_cast<double>(experts) * (sum + 1e-8));
            change += std::abs(d - d1[e]) / static_cast<double>(experts);
            d1[e] = d;
        }
    }
    for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t e = 0; e < experts; ++e) c[t][e] *= d0[t] * d1[e];
    return c;
}
void require_scores(numbers::lists const& got, table const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t t = 0; t < got.size(); ++t)
        for (std::size_t e = 0; e < got[t].size(); ++e)
            CHECK(std::abs(double{got[t][e].weight} - wanted[t][e]) <= 1e-6 + 1e-5 * wanted[t][e]);
}

} // namespace

TEST_CASE("sinkhorn: the numbers of the specification") {
    asked<sinkhorn{shown{}}> scores(2, 4, {.training = true});
    require_scores(
        slots_of(scores(four.view())),
        {{.107908, .142094}, {.208856, .041135}, {.132789, .117210}, {.050447, .199562}});
    asked<first> router(2, 4, {.training = true, .router = {.renormalise = false}});
    auto const got = slots_of(router(four.view()));
    int const experts[] = {1, 0, 0, 1};
    double const weights[] = {.5, .880797, .622459, .731059};
    for (std::size_t t = 0; t < 4; ++t) {
        CHECK(got[t][0].expert == experts[t]);
        CHECK(std::abs(double{got[t][0].weight} - weights[t]) <= 1e-6 + 1e-5 * weights[t]);
    }
}

TEST_CASE("sinkhorn: the formula in double, and logits far above where e^s overflows") {
    for (float const tolerance : {1e-4f, 1e-2f}) {
        auto z = rows::normal(40, 6, 3, 2);
        asked<sinkhorn{shown{}}> scores(6, 40, {.training = true, .tolerance = tolerance});
        auto const wanted = transported(z, double{tolerance});
        require_scores(slots_of(scores(z.view())), wanted);
        for (index_t t = 0; t < 40; ++t) // a shift of a row changes nothing
            for (index_t e = 0; e < 6; ++e) z.row(t)[e] += t % 2 == 0 ? 1024.0f : -2048.0f;
        auto const shifted = slots_of(scores(z.view()));
        for (std::size_t t = 0; t < 40; ++t)
            for (std::size_t e = 0; e < 6; ++e)
                CHECK(std::abs(double{shifted[t][e].weight} - wanted[t][e]) <= 1e-4);
    }
}

TEST_CASE("sinkhorn: loads come near to each other where plain scores crowd") {
    auto z = rows::normal(120, 4, 9, 0.5);
    for (index_t t = 0; t < 120; ++t) z.row(t)[2] += 1;
    asked<first> router(4, 120, {.training = true});
    asked<one> plain(4, 120);
    auto const widest = [](prytany::plan const& p) {
        std::size_t most = 0;
        for (index_t e = 0; e < 4; ++e) most = std::max(most, p.tokens_of(e).size());
        return most;
    };
    CHECK(widest(plain(z.view())) > 75);
    CHECK(widest(router(z.view())) < 40);
}

TEST_CASE("sinkhorn: outside training it is the inner router, bit for bit") {
    auto const z = rows::normal(30, 8, 4, 2);
    constexpr sinkhorn two{top_k{.k = 2}};
    asked<two> router(8, 30, {.training = false, .router = {.renormalise = false}});
    asked<top_k{.k = 2}> plain(8, 30, {.renormalise = false});
    CHECK(numbers::same_slots(slots_of(router(z.view())), slots_of(plain(z.view()))));
    router.params.training = true;
    auto const chosen = slots_of(router(z.view()));
    CHECK(!numbers::same_slots(chosen, slots_of(plain(z.view()))));
    for (std::size_t t = 0; t < 30; ++t) { // whoever is chosen: weights are the plain softmax
        auto const logits = z.row_of(static_cast<index_t>(t));
        double total = 0;
        for (float const s : logits) total += std::exp(double{s});
        for (slot const s : chosen[t])
            CHECK(s.weight == Approx(std::exp(double{logits[at(s.expert)]}) / total).epsilon(1e-5));
    }
}

TEST_CASE("sinkhorn: padding, NaN and +inf change nothing for the others") {
    auto const z = rows::normal(12, 5, 8, 1);
    rows wide(16, 5, none);
    for (index_t t = 0; t < 12; ++t) std::copy_n(z.all.data() + t * 5, 5, wide.row(t + t / 3));
    std::vector<std::uint8_t> mask(16, 1);
    mask[3] = 0;
    for (index_t e = 0; e < 5; ++e) wide.row(3)[e] = 7; // padding with numbers
    wide.row(7)[1] = 2;                                 // NaN but for one
    for (index_t e = 0; e < 5; ++e) wide.row(11)[e] = e == 2 ? infinity : 1.0f;
    for (index_t e = 0; e < 5; ++e) wide.row(15)[e] = -infinity;
    asked<first> router(5, 16, {.training = true});
    seen in{input{wide.view()}};
    in.logits = wide.view();
    in.mask = mask;
    auto const got = slots_of(router(in));
    auto const alone = slots_of(router(z.view()));
    for (std::size_t t = 0; t < 12; ++t) CHECK(numbers::same_bits(got[t + t / 3], alone[t]));
    CHECK(got[7][0].expert == 1);
    CHECK(got[11][0].expert == 2);
    CHECK(got[15] == std::vector<slot>{{0, 0, 1}});
}

TEST_CASE("sinkhorn: a shut expert stays shut, and one that nobody wants does not spoil the rest") {
    auto z = rows::normal(10, 4, 12, 1);
    for (index_t t = 0; t < 10; ++t) z.row(t)[3] = -infinity;
    asked<first> router(4, 10, {.training = true});
    for (auto const& slots : slots_of(router(z.view()))) {
        CHECK(slots[0].expert != 3);
        CHECK(slots[0].tier == 0);
    }
    for (index_t t = 0; t < 10; ++t) z.row(t)[3] = -3e38f; // its column is zero in float
    asked<sinkhorn{shown{}}> scores(4, 10, {.training = true});
    for (auto const& slots : slots_of(scores(z.view())))
        for (slot const s : slots) CHECK(std::isfinite(s.weight));
}

TEST_CASE("sinkhorn: what another wrapper ranks by is what is transported") {
    auto const z = rows::normal(9, 3, 2, 1);
    asked<sinkhorn{shown{}}> scores(3, 9, {.training = true});
    auto const wanted = slots_of(scores(z.view()));
    rows const flat(9, 3);
    seen in{input{flat.view()}};
    in.logits = flat.view();
    in.ranking = z.view();
    CHECK(numbers::same_slots(slots_of(scores(in)), wanted));
}

TEST_CASE("sinkhorn: iterations end, no tokens, one expert") {
    auto const z = rows::normal(50, 6, 3, 8);
    asked<sinkhorn{shown{}}> endless(6, 50, {.training = true, .tolerance = 0, .iterations = 7});
    for (auto const& slots : slots_of(endless(z.view())))
        for (slot const s : slots) CHECK(std::isfinite(s.weight));
    CHECK(slots_of(endless(rows(0, 6).view())).empty());
    asked<sinkhorn{top_k{.k = 1}}> single(1, 3, {.training = true});
    for (auto const& slots : slots_of(single(rows::normal(3, 1, 1).view())))
        CHECK(slots == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("sinkhorn: what it promises and what is out of range") {
    constexpr promises said = sinkhorn{archetype::router{}}.promise();
    STATIC_REQUIRE(said.sees == scope::batch);
    STATIC_REQUIRE(!said.causal);
    STATIC_REQUIRE(said.unit_sum);
    STATIC_REQUIRE(
        std::is_same_v<decltype(sinkhorn{sinkhorn{top_k{}}}), sinkhorn<sinkhorn<top_k>>>);
    auto const sentence = [](float tolerance, index_t iterations) {
        try {
            first.check({.model = 4, .hidden = 4, .experts = 8},
                        {.tolerance = tolerance, .iterations = iterations});
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(0, 1).empty());
    CHECK(sentence(1e-4f, 0) == "sinkhorn.iterations: expected at least 1, got 0");
    CHECK(sentence(-1, 1) == "sinkhorn.tolerance: expected a finite number ≥ 0, got -1.000000");
    for (float const wrong : {none, infinity})
        CHECK(sentence(wrong, 1).find("sinkhorn.tolerance: expected") == 0);
}
