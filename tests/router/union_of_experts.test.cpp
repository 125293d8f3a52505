// SPDX-License-Identifier: MIT
#include "prytany/router/union_of_experts.hpp"

#include <algorithm>
#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;
using uoe = union_of_experts;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

constexpr uoe literal{
    .k = 1, .normalise = uoe::over::batch, .fill = uoe::pad::process, .length = uoe::list::longest};
constexpr uoe released{.k = 1,
                       .normalise = uoe::over::batch,
                       .weight = uoe::by::unit,
                       .fill = uoe::pad::process,
                       .length = uoe::list::longest};
constexpr uoe one{.k = 1};
constexpr uoe two{.k = 2};
constexpr uoe raw{.k = 2, .normalise = uoe::over::none, .length = uoe::list::longest};

rows of(index_t cols, std::vector<float> const& all) {
    rows z(static_cast<index_t>(all.size()) / cols, cols);
    z.all = all;
    return z;
}
rows const golden = of(2, {1, 0, 0, 1, 2, 0, 0, 1, 0, 2, 1, 0});
std::vector<index_t> const halves{0, 3};

seen with(rows const& z, std::vector<index_t> const& sequences = {},
          std::vector<std::uint8_t> const& mask = {}) {
    seen in{input{z.view()}};
    in.logits = z.view();
    in.sequences = sequences;
    in.mask = mask;
    return in;
}
/// The tokens that list an expert, and their weights for it.
std::vector<std::pair<int, float>> list_of(numbers::lists const& all, int expert) {
    std::vector<std::pair<int, float>> list;
    for (std::size_t t = 0; t < all.size(); ++t)
        for (slot const s : all[t])
            if (s.expert == expert) list.emplace_back(static_cast<int>(t), s.weight);
    return list;
}
void require_list(numbers::lists const& all, int expert,
                  std::vector<std::pair<int, double>> const& wanted) {
    auto const got = list_of(all, expert);
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].first == wanted[i].first);
        CHECK(std::abs(double{got[i].second} - wanted[i].second) <= 1e-6 + 1e-5 * wanted[i].second);
    }
}

} // namespace

TEST_CASE("union_of_experts: the numbers of the specification, as released") {
    asked<literal> router(2, 6);
    auto const got = slots_of(router(with(golden, halves)));
    require_list(got, 0, {{0, 2}, {2, 1.092898}, {3, 0}, {5, 0.907102}}); // 3 is a filled place
    require_list(got, 1, {{0, 0}, {1, 0.907102}, {3, 2}, {4, 1.092898}}); // and 0
    asked<released> unit(2, 6);
    auto const ones = slots_of(unit(with(golden, halves)));
    require_list(ones, 0, {{0, 1}, {2, 1}, {3, 1}, {5, 1}});
    require_list(ones, 1, {{0, 1}, {1, 1}, {3, 1}, {4, 1}});
}

TEST_CASE("union_of_experts: by experts, one choice weighs 1, and only what is scored is listed") {
    constexpr uoe all{.k = 1, .length = uoe::list::longest};
    asked<all> router(2, 6);
    auto const got = slots_of(router(with(golden, halves)));
    require_list(got, 0, {{0, 1}, {2, 1}, {5, 1}});
    require_list(got, 1, {{1, 1}, {3, 1}, {4, 1}});
}

TEST_CASE("union_of_experts: patches of one token without a limit are top_k") {
    auto const z = rows::normal(30, 6, 2, 2);
    constexpr uoe free{.k = 2, .length = uoe::list::longest};
    asked<free> router(6, 30);
    asked<raw> unscaled(6, 30);
    for (bool const renormalise : {true, false}) {
        asked<top_k{.k = 2}> plain(6, 30, {.renormalise = renormalise});
        auto const wanted = slots_of(plain(z.view()));
        auto const got = slots_of(renormalise ? router(z.view()) : unscaled(z.view()));
        for (std::size_t t = 0; t < 30; ++t) {
            REQUIRE(got[t].size() == 2);
            for (slot const s : wanted[t]) {
                auto const same = std::find_if(got[t].begin(), got[t].end(),
                                               [&](slot o) { return o.expert == s.expert; });
                REQUIRE(same != got[t].end());
                CHECK(same->weight == Approx(s.weight).epsilon(1e-5));
            }
        }
    }
}

TEST_CASE("union_of_experts: all experts for all tokens with unit weights: the dense block") {
    constexpr uoe dense_block{.k = 4, .weight = uoe::by::unit};
    asked<dense_block> router(4, 9);
    for (auto const& slots : slots_of(router(rows::normal(9, 4, 1).view())))
        CHECK(slots == std::vector<slot>{{0, 1}, {1, 1}, {2, 1}, {3, 1}});
}

TEST_CASE("union_of_experts: slices of a dense block, with biases, add up to the block") {
    // every slice adds its output bias: the block has the sum of them
    constexpr uoe all_slices{.k = 4, .weight = uoe::by::unit};
    moe<shape{.model = 12, .hidden = 6, .experts = 4}, all_slices, ffn{swiglu, biases}> layer;
    numbers::fill(layer, 3);
    auto const w = numbers::twin_of(layer);
    twin::ffn_weights block{twin::matrix(24, 12), twin::matrix(24, 12), twin::matrix(12, 24)};
    block.down_bias = twin::row(12);
    for (std::size_t e = 0; e < 4; ++e) {
        auto const& own = w.experts[e];
        for (std::size_t h = 0; h < 6; ++h) {
            block.gate.set_row(6 * e + h, own.gate.row_of(h));
            block.up.set_row(6 * e + h, own.up.row_of(h));
            block.gate_bias.push_back(own.gate_bias[h]);
            block.up_bias.push_back(own.up_bias[h]);
            for (std::size_t c = 0; c < 12; ++c) block.down(c, 6 * e + h) = own.down(c, h);
        }
        for (std::size_t c = 0; c < 12; ++c) block.down_bias[c] += own.down_bias[c];
    }
    auto const x = rows::normal(9, 12, 4);
    auto const got = numbers::run(layer, x);
    std::vector<double> wanted;
    for (index_t t = 0; t < 9; ++t) {
        auto const y = twin::ffn(twin::doubles(x.row_of(t)), block, twin::gated(twin::silu));
        wanted.insert(wanted.end(), y.begin(), y.end());
    }
    CHECK(twin::nmse(got, wanted) <= 1e-12);
}

TEST_CASE(
    "union_of_experts: over a batch of one sequence, scores of a quarter and more are all 1") {
    constexpr uoe batch{.k = 2, .normalise = uoe::over::batch};
    auto const z = rows::normal(40, 4, 12, .3);
    asked<batch> router(4, 40);
    asked<uoe{.k = 2, .normalise = uoe::over::batch, .length = uoe::list::longest}> free(4, 40);
    auto const got = slots_of(router(z.view())), all = slots_of(free(z.view()));
    for (int e = 0; e < 4; ++e) {
        auto const scored = list_of(all, e), taken = list_of(got, e);
        for (auto const& [token, weight] : scored) {
            double own = 0;
            for (float const s : z.row_of(token)) own += std::exp(double{s});
            own = std::exp(double{z.row_of(token)[at(e)]}) / own;
            if (own > .2501) CHECK(weight == 1);
            else CHECK(std::abs(weight - 1) <= 1e-7);
        }
        if (std::all_of(scored.begin(), scored.end(), [](auto s) { return s.second == 1; })) {
            auto first = scored; // among ties: from the front
            first.resize(std::min<std::size_t>(first.size(), 20));
            CHECK(taken == first);
        }
    }
    // far below, it is less: 1 - 1e-8 / G
    auto const low = of(2, {0, -12});
    asked<uoe{.k = 2, .normalise = uoe::over::batch, .length = uoe::list::longest}> both(2, 1);
    double const g = 1 / (1 + std::exp(12.0));
    CHECK(std::abs(slots_of(both(low.view()))[0][1].weight - g / (g + 1e-8)) <= 1e-5);
}

TEST_CASE("union_of_experts: the batch counts factor times its sequences, rounded down") {
    for (auto const& [factor, whole] : std::vector<std::pair<float, float>>{
             {.75f, 1.0f}, {1, 2}, {1.4f, 2}, {1.6f, 3}, {.4f, 0}}) {
        asked<literal> router(2, 6, {.factor = factor});
        auto const got = slots_of(router(with(golden, halves)));
        for (auto const& [token, weight] :
             std::vector<std::pair<int, double>>{{0, 2}, {2, 1.092898}, {5, .907102}}) {
            auto const own = list_of(got, 0);
            auto const it = std::find_if(own.begin(), own.end(),
                                         [t = token](auto const& s) { return s.first == t; });
            if (whole == 0) continue; // nobody scores
            REQUIRE(it != own.end());
            CHECK(std::abs(double{it->second} - weight / 2 * double{whole}) <= 2e-5);
        }
        if (whole == 0)
            for (auto const& slots : got) CHECK(slots.empty());
    }
}

TEST_CASE("union_of_experts: an expert's list is in the order of its tokens") {
    asked<released> router(2, 6);
    auto const& plan = router(with(golden, halves));
    auto const list = [&](index_t e) {
        auto const all = plan.tokens_of(e);
        return std::vector<int>(all.begin(), all.end());
    };
    CHECK(list(0) == std::vector<int>{0, 2, 3, 5});
    CHECK(list(1) == std::vector<int>{0, 1, 3, 4});
}

TEST_CASE("union_of_experts: an expert takes its share of patches, the best of them") {
    auto const z = rows::normal(40, 4, 3, 2);
    for (float const factor : {0.5f, 1.0f}) {
        asked<two> router(4, 40, {.factor = factor});
        asked<uoe{.k = 2, .length = uoe::list::longest}> free(4, 40);
        auto const got = slots_of(router(z.view())), all = slots_of(free(z.view()));
        auto const most = static_cast<std::size_t>(factor * 20);
        for (int e = 0; e < 4; ++e) {
            auto wanted = list_of(all, e);
            std::stable_sort(wanted.begin(), wanted.end(),
                             [](auto a, auto b) { return a.second > b.second; });
            wanted.resize(std::min(wanted.size(), most));
            std::sort(wanted.begin(), wanted.end());
            CHECK(list_of(got, e) == wanted);
        }
    }
}

TEST_CASE("union_of_experts: a patch is taken as a whole, by the mean of its tokens") {
    // patches {0, 1}, {2, 3}, {4}
    auto const z = of(2, {4, 0, 0, 1, 0, 1, 0, 3, 2, 0});
    asked<uoe{.k = 1, .normalise = uoe::over::none, .length = uoe::list::longest}> router(
        2, 5, {.patch = 2});
    auto const got = slots_of(router(z.view()));
    auto const p = [](double a, double b) { return 1 / (1 + std::exp(b - a)); };
    double const first = (p(4, 0) + p(0, 1)) / 2, second = (p(1, 0) + p(3, 0)) / 2;
    require_list(got, 0, {{0, first}, {1, first}, {4, p(2, 0)}});
    require_list(got, 1, {{2, second}, {3, second}});
    asked<uoe{.k = 1}> share(2, 5, {.patch = 2, .factor = 0.5f}); // c = 1 of 3 patches
    auto const few = slots_of(share(z.view()));
    require_list(few, 0, {{0, 1}, {1, 1}});
    require_list(few, 1, {{2, 1}, {3, 1}});
}

TEST_CASE("union_of_experts: every sequence by itself, unless it divides by the batch") {
    auto const z = rows::normal(26, 5, 6, 2);
    std::vector<index_t> const starts{0, 7, 8, 20};
    asked<two> router(5, 26, {.patch = 3});
    auto const got = slots_of(router(with(z, starts)));
    for (std::size_t s = 0; s < 4; ++s) {
        index_t const end = s < 3 ? starts[s + 1] : 26;
        auto const alone = slots_of(router(z.part(starts[s], end - starts[s]).view()));
        CHECK(numbers::same_slots(alone, {got.begin() + starts[s], got.begin() + end}));
    }
    STATIC_REQUIRE(two.promise().sees == scope::sequence);
    STATIC_REQUIRE(literal.promise().sees == scope::batch);
    STATIC_REQUIRE(!two.promise().causal);
}

TEST_CASE("union_of_experts: padding is not part of a patch, nor counted") {
    auto const z = rows::normal(12, 3, 7, 2);
    rows wide(18, 3, none);
    std::vector<std::uint8_t> mask(18, 0);
    for (index_t t = 0; t < 12; ++t) { // patches of three, the last of each padded
        index_t const to = t / 2 * 3 + t % 2;
        std::copy_n(z.all.data() + t * 3, 3, wide.row(to));
        mask[at(to)] = 1;
    }
    asked<two> router(3, 18, {.patch = 2});
    auto const wanted = slots_of(router(z.view()));
    router.params.patch = 3;
    auto const got = slots_of(router(with(wide, {}, mask)));
    for (index_t t = 0; t < 18; ++t) {
        if (t % 3 == 2) CHECK(got[at(t)].empty());
        else CHECK(numbers::same_bits(got[at(t)], wanted[at(t / 3 * 2 + t % 3)]));
    }
}

TEST_CASE("union_of_experts: a ranking and a bias choose the experts of a patch") {
    auto const z = rows::normal(10, 4, 9, 1), by = rows::normal(10, 4, 10, 1);
    std::vector<float> const bias{0, .5f, -.5f, 0};
    asked<raw> router(4, 10);
    asked<top_k{.k = 2}> plain(4, 10, {.renormalise = false});
    for (bool const ranked : {true, false}) {
        auto in = with(z);
        in.bias = bias;
        if (ranked) in.ranking = by.view();
        auto got = slots_of(router(in)), wanted = slots_of(plain(in));
        for (std::size_t t = 0; t < 10; ++t) {
            auto const less = [](slot a, slot b) { return a.expert < b.expert; };
            std::sort(wanted[t].begin(), wanted[t].end(), less);
            REQUIRE(got[t].size() == 2);
            for (std::size_t j = 0; j < 2; ++j) {
                CHECK(got[t][j].expert == wanted[t][j].expert);
                CHECK(got[t][j].weight == Approx(wanted[t][j].weight).epsilon(1e-5));
            }
        }
    }
}

TEST_CASE("union_of_experts: NaN and infinities") {
    auto z = rows::normal(8, 3, 8, 1);
    asked<raw> router(3, 8, {.patch = 2});
    for (index_t e = 0; e < 3; ++e) z.row(3)[e] = none; // of patch {2, 3}
    for (auto const& slots : slots_of(router(z.view())))
        for (slot const s : slots) CHECK(std::isfinite(s.weight));
    for (index_t e = 0; e < 3; ++e) z.row(2)[e] = none;
    auto const lost = slots_of(router(z.view()));
    for (std::size_t t = 0; t < 8; ++t)
        for (slot const s : lost[t]) CHECK(std::isnan(s.weight) == (t == 2 || t == 3));
    z.row(0)[0] = z.row(1)[0] = -infinity;
    z.row(0)[1] = z.row(1)[1] = -infinity;
    auto const shut = slots_of(router(z.view()));
    CHECK(shut[0] == std::vector<slot>{{2, 1, 0}});
}

TEST_CASE("union_of_experts: no tokens, one expert, what is out of range") {
    asked<two> router(3, 4);
    CHECK(slots_of(router(rows(0, 3).view())).empty());
    CHECK(router.most() == 2);
    CHECK(literal.slots({.experts = 7}, {}) == 7);
    asked<one> single(1, 3);
    for (auto const& slots : slots_of(single(rows::normal(3, 1, 1).view())))
        CHECK(slots == std::vector<slot>{{0, 1, 0}});
    auto const sentence = [](uoe const& policy, uoe::params const& own) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(two, {}).empty());
    CHECK(sentence(two, {.k = 3}) == "union_of_experts.k: expected 2, got 3");
    CHECK(sentence({}, {.k = 9}) == "union_of_experts.k: expected 1 to 8, got 9");
    CHECK(sentence({}, {}) == "union_of_experts.k: expected 1 to 8, got -1");
    CHECK(sentence(two, {.patch = 0}) == "union_of_experts.patch: expected at least 1, got 0");
    for (float const wrong : {0.0f, -1.0f, none, infinity})
        CHECK(sentence(two, {.factor = wrong}).find("union_of_experts.factor: expected") == 0);
}
