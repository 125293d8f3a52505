// SPDX-License-Identifier: MIT
#include "prytany/router/top_any.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr top_any linear_head{top_k{.k = 3}};
constexpr top_any deep_head{top_k{.k = 3}, 5};
constexpr top_any any_mask{top_k{.k = 3}, 0, mask_family::every};
constexpr top_any deep_any_mask{top_k{.k = 3}, 5, mask_family::every};
constexpr top_any each_alone{top_k{.k = 3}, 0, mask_family::pairs};
constexpr top_any deep_alone{top_k{.k = 3}, 5, mask_family::pairs};
constexpr index_t model = 4, experts = 7, tokens = 40;

bool close(double a, double b) { return std::abs(a - b) <= 1e-6 + 1e-5 * std::abs(b); }

/// A router with a head, rows of a model's width, and the tensors of the head by role.
template <auto Router>
struct held {
    asked<Router> router;
    rows x = rows::normal(tokens, model, 31), z = rows::normal(tokens, experts, 32, 2);
    std::map<std::string, twin::matrix, std::less<>> head;

    explicit held(params_of<kind_of<Router>> const& own = {}, double scale = 3)
        : router(experts, tokens, own, model) {
        std::uint64_t seed = 40;
        router_tensors(Router, router.weights, router.size, [&](auto const& t) {
            numbers::fill_tensor(t, ++seed, scale);
            head.emplace(t.name.role, numbers::stored(t));
        });
    }
    seen in(std::uint64_t seed = 9) const {
        seen all{input{x.view()}};
        all.logits = z.view();
        all.seed = seed;
        return all;
    }
    double number(std::string const& role, std::size_t r, std::size_t c) const {
        auto const& m = head.find(role)->second;
        return m.all[r * m.cols + c];
    }
    /// a = head([x; w]) in double, of the inner router's weights.
    std::vector<double> logits(index_t token, std::vector<slot> const& slots) const {
        std::vector<double> row;
        for (float const v : x.row_of(token)) row.push_back(v);
        for (slot const s : slots) row.push_back(s.weight);
        auto const map = [&](std::string const& role, std::size_t count) {
            std::vector<double> all;
            for (std::size_t r = 0; r < count; ++r) {
                double sum = number(role + "_bias", r, 0);
                for (std::size_t c = 0; c < row.size(); ++c) sum += number(role, r, c) * row[c];
                all.push_back(sum);
            }
            return all;
        };
        if (Router.hidden > 0) {
            row = map("prune_rise", static_cast<std::size_t>(Router.hidden));
            for (double& h : row) h = std::max(h, 0.0);
        }
        return map("prune", head.find("prune")->second.rows);
    }
};
numbers::lists inner_slots(rows const& z) {
    asked<top_k{.k = 3}> plain(experts, tokens);
    return slots_of(plain(z.view()));
}
std::size_t largest(std::vector<double> const& a) {
    return static_cast<std::size_t>(std::max_element(a.begin(), a.end()) - a.begin());
}

/// The masks of a family for three slots, written out; of pairs the choices for all three.
std::vector<std::array<bool, 3>> masks_of(mask_family family) {
    if (family == mask_family::prefix)
        return {{true, true, true}, {true, true, false}, {true, false, false}};
    std::vector<std::array<bool, 3>> all{
        {true, true, true},  {true, true, false},  {true, false, true}, {true, false, false},
        {false, true, true}, {false, true, false}, {false, false, true}};
    if (family == mask_family::pairs) all.push_back({false, false, false});
    return all;
}
/// What is kept for these logits, in double.
std::array<bool, 3> kept(mask_family family, std::vector<double> const& a) {
    if (family != mask_family::pairs) return masks_of(family)[largest(a)];
    return {a[0] >= a[1], a[2] >= a[3], a[4] >= a[5]};
}
/// How much of each slot is kept, in double.
std::array<double, 3> shares(mask_family family, std::vector<double> const& a, double t) {
    std::array<double, 3> all{};
    if (family == mask_family::pairs) {
        for (std::size_t i = 0; i < 3; ++i)
            all[i] = 1 / (1 + std::exp((a[2 * i + 1] - a[2 * i]) / t));
        return all;
    }
    double total = 0;
    for (double const z : a) total += std::exp(z / t);
    for (std::size_t j = 0; j < a.size(); ++j)
        for (std::size_t i = 0; i < 3; ++i)
            if (masks_of(family)[j][i]) all[i] += std::exp(a[j] / t) / total;
    return all;
}

template <auto Router>
void chooses_masks() {
    held<Router> h;
    auto const base = inner_slots(h.z), got = slots_of(h.router(h.in()));
    h.router.params.renormalise = false;
    auto const raw = slots_of(h.router(h.in()));
    std::map<std::array<bool, 3>, int> seen_masks;
    for (index_t t = 0; t < tokens; ++t) {
        auto const mask = kept(Router.masks, h.logits(t, base[at(t)]));
        ++seen_masks[mask];
        std::vector<slot> wanted;
        double left = 0, all = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            all += base[at(t)][i].weight;
            if (!mask[i]) continue;
            wanted.push_back(base[at(t)][i]);
            left += base[at(t)][i].weight;
        }
        REQUIRE(raw[at(t)] == wanted);
        REQUIRE(got[at(t)].size() == wanted.size());
        for (std::size_t j = 0; j < wanted.size(); ++j) {
            CHECK(got[at(t)][j].expert == wanted[j].expert);
            CHECK(close(got[at(t)][j].weight, wanted[j].weight / left * all));
        }
    }
    CHECK(seen_masks.size() > 2);
    for (index_t const from : {0, 7, 33}) {
        auto const some = slots_of(h.router(h.in().part(from, 5)));
        CHECK(numbers::same_slots(some, {raw.begin() + from, raw.begin() + from + 5}));
    }
}

template <auto Router>
void trains() {
    held<Router> h({.mode = pruning::soft, .temperature = .7f}, .5);
    auto const base = inner_slots(h.z), got = slots_of(h.router(h.in()));
    h.router.params.renormalise = false;
    auto const raw = slots_of(h.router(h.in()));
    h.router.params.mode = pruning::drawn;
    auto const hard = slots_of(h.router(h.in()));
    for (index_t t = 0; t < tokens; ++t) {
        auto a = h.logits(t, base[at(t)]);
        draws const drawn(9, t, Router.stream);
        for (std::size_t j = 0; j < a.size(); ++j)
            a[j] -= std::log(-std::log(double{drawn.uniform(static_cast<index_t>(j))}));
        auto const of = shares(Router.masks, a, double{.7f});
        double sum = 0;
        for (std::size_t i = 0; i < 3; ++i) sum += of[i] * base[at(t)][i].weight;
        REQUIRE(got[at(t)].size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            double const weight = of[i] * base[at(t)][i].weight;
            CHECK(std::abs(raw[at(t)][i].weight - weight) <= 1e-5);
            CHECK(std::abs(got[at(t)][i].weight - weight / sum) <= 1e-5);
        }
        auto const mask = kept(Router.masks, a);
        std::vector<slot> wanted;
        for (std::size_t i = 0; i < 3; ++i)
            if (mask[i]) wanted.push_back(base[at(t)][i]);
        CHECK(hard[at(t)] == wanted);
    }
}

/// A head whose logits are these for every token.
template <auto Router>
std::vector<slot> said_by(std::vector<float> const& logits, index_t k,
                          params_of<kind_of<Router>> const& own = {.renormalise = false}) {
    asked<Router> router(experts, 1, own, model);
    router_tensors(Router, router.weights, router.size, [&](auto const& t) {
        if (t.name.role == "prune_bias") t.pack(matrix_view<float const>(logits.data(), t.rows, 1));
    });
    rows const x(1, model);
    rows z(1, experts);
    for (index_t e = 0; e < experts; ++e)
        z.row(0)[e] = static_cast<float>(-e); // chosen: 0 to k - 1
    seen in{input{x.view()}};
    in.logits = z.view();
    auto const got = slots_of(router(in))[0];
    for (slot const s : got) CHECK(s.expert < k);
    return got;
}
std::vector<int> experts_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (slot const s : slots) all.push_back(s.expert);
    return all;
}

template <auto Router>
void prunes() {
    held<Router> h;
    auto const base = inner_slots(h.z), got = slots_of(h.router(h.in()));
    std::vector<int> kept(4);
    for (index_t t = 0; t < tokens; ++t) {
        auto const& all = base[at(t)];
        std::size_t const keep = 3 - largest(h.logits(t, all));
        ++kept[keep];
        REQUIRE(got[at(t)].size() == keep);
        double sum = 0;
        for (std::size_t j = 0; j < keep; ++j) sum += all[j].weight;
        for (std::size_t j = 0; j < keep; ++j) {
            CHECK(got[at(t)][j].expert == all[j].expert);
            CHECK(close(got[at(t)][j].weight, all[j].weight / sum));
        }
    }
    for (std::size_t keep = 1; keep <= 3; ++keep) CHECK(kept[keep] > 0);
    for (index_t const from : {0, 7, 33}) {
        auto const some = slots_of(h.router(h.in().part(from, 5)));
        CHECK(numbers::same_slots(some, {got.begin() + from, got.begin() + from + 5}));
    }
    h.router.params.renormalise = false;
    auto const raw = slots_of(h.router(h.in()));
    for (index_t t = 0; t < tokens; ++t)
        CHECK(std::equal(raw[at(t)].begin(), raw[at(t)].end(), base[at(t)].begin()));
}

} // namespace

TEST_CASE("top_any: the numbers of the literature") {
    std::vector<float> const pi{.5f, .3f, .2f}, u{.3f, .9f, .5f};
    std::vector<float> a, g, y(3), none(3);
    for (float const p : pi) a.push_back(std::log(p));
    for (float const v : u) g.push_back(-std::log(-std::log(v)));
    double const noise[] = {-0.185627, 2.250367, 0.366513},
                 at_one[] = {0.116944, 0.801805, 0.081251},
                 at_half[] = {0.020622, 0.969423, 0.009955};
    using router = top_any<top_k>;
    router::relax(a, g, 1, y);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(close(g[i], noise[i]));
        CHECK(close(y[i], at_one[i]));
    }
    CHECK(close(y[0] + y[1], 0.918749));
    CHECK(close(3 * y[0] + 2 * y[1] + y[2], 2.035693));
    router::relax(a, g, .5f, y);
    for (std::size_t i = 0; i < 3; ++i) CHECK(close(y[i], at_half[i]));
    CHECK(router::best_of(a, g) == 1); // of three prefixes two stay
    CHECK(router::best_of(a, none) == 0);
    CHECK(router::best_of(none, none) == 0);
}

TEST_CASE("top_any: the numbers of the literature, where any mask may be chosen") {
    // three masks of two slots: both, the first, the second
    std::vector<float> a{std::log(.5f), std::log(.3f), std::log(.2f)};
    constexpr top_any two{top_k{.k = 2}, 0, mask_family::every};
    CHECK(experts_of(said_by<two>(a, 2)) == std::vector<int>{0, 1}); // arg max π
    float const u[] = {.3f, .9f, .5f};
    for (std::size_t j = 0; j < 3; ++j) a[j] -= std::log(-std::log(u[j]));
    CHECK(experts_of(said_by<two>(a, 2)) == std::vector<int>{0}); // with their noise: candidate 1
}

TEST_CASE("top_any: every mask is where it is said to be") {
    constexpr top_any first{top_k{.k = 4}}, any{top_k{.k = 4}, 0, mask_family::every},
        alone{top_k{.k = 4}, 0, mask_family::pairs};
    for (std::size_t j = 0; j < 4; ++j) {
        std::vector<float> a(4);
        a[j] = 1;
        CHECK(said_by<first>(a, 4).size() == 4 - j);
    }
    for (unsigned j = 0; j < 16; ++j) { // a bit for each dropped slot, the lowest for the last
        std::vector<int> wanted;
        std::vector<float> a(15), pair(8);
        for (int i = 0; i < 4; ++i) {
            bool const drops = (j & (8u >> i)) != 0;
            if (!drops) wanted.push_back(i);
            pair[static_cast<std::size_t>(2 * i + (drops ? 1 : 0))] = 1;
        }
        CHECK(experts_of(said_by<alone>(pair, 4)) == wanted);
        if (j == 15) continue;
        a[j] = 1;
        CHECK(experts_of(said_by<any>(a, 4)) == wanted);
    }
    std::vector<float> tie(15);
    tie[9] = tie[6] = 1;
    CHECK(experts_of(said_by<any>(tie, 4)) == std::vector<int>{0, 3});
    CHECK(said_by<alone>(std::vector<float>(8), 4).size() == 4);
    CHECK(said_by<alone>({0, 1, 0, 1, 0, 1, 0, 1}, 4, {}).empty()); // nothing to renormalise
    std::vector<float> const none(15, std::nanf(""));
    CHECK(said_by<any>(none, 4).size() == 4);
    CHECK(said_by<alone>({none.begin(), none.begin() + 8}, 4).size() == 4);
    constexpr top_any eight{top_k{.k = 7}, 0, mask_family::every};
    std::vector<float> wide(127);
    wide[126] = 1;
    CHECK(experts_of(said_by<eight>(wide, 7)) == std::vector<int>{6});
}

TEST_CASE("top_any: any mask, and each slot by itself, as in double") {
    chooses_masks<any_mask>();
    chooses_masks<deep_any_mask>();
    chooses_masks<each_alone>();
    chooses_masks<deep_alone>();
}
TEST_CASE("top_any: any mask, and each slot by itself, in training") {
    trains<linear_head>();
    trains<any_mask>();
    trains<deep_any_mask>();
    trains<each_alone>();
    trains<deep_alone>();
}

TEST_CASE("top_any: a linear head keeps the first ones") { prunes<linear_head>(); }
TEST_CASE("top_any: a head with a hidden layer keeps the first ones") { prunes<deep_head>(); }

TEST_CASE("top_any: a head of zeros is the inner router, bit for bit") {
    asked<linear_head> router(experts, tokens, {}, model);
    auto const x = rows::normal(tokens, model, 1), z = rows::normal(tokens, experts, 2);
    seen in{input{x.view()}};
    in.logits = z.view();
    CHECK(numbers::same_slots(slots_of(router(in)), inner_slots(z)));
}

TEST_CASE("top_any: soft masks in training, by the draws of a token") {
    held<linear_head> h({.mode = pruning::soft, .temperature = .7f}, .5);
    auto const base = inner_slots(h.z), got = slots_of(h.router(h.in()));
    h.router.params.renormalise = false;
    auto const raw = slots_of(h.router(h.in()));
    for (index_t t = 0; t < tokens; ++t) {
        auto a = h.logits(t, base[at(t)]);
        draws const drawn(9, t, linear_head.stream);
        double total = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            double const u = drawn.uniform(static_cast<index_t>(j));
            a[j] = std::exp((a[j] - std::log(-std::log(u))) / .7f);
            total += a[j];
        }
        double const mask[] = {1, (a[0] + a[1]) / total, a[0] / total};
        double sum = 0;
        for (std::size_t i = 0; i < 3; ++i) sum += mask[i] * base[at(t)][i].weight;
        REQUIRE(got[at(t)].size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            double const weight = mask[i] * base[at(t)][i].weight;
            CHECK(std::abs(raw[at(t)][i].weight - weight) <= 1e-5);
            CHECK(std::abs(got[at(t)][i].weight - weight / sum) <= 1e-5);
        }
    }
    auto const some = slots_of(h.router(h.in().part(6, 9)));
    CHECK(numbers::same_slots(some, {raw.begin() + 6, raw.begin() + 15}));
    CHECK(!numbers::same_slots(slots_of(h.router(h.in(10))), raw));
}

TEST_CASE("top_any: drawn masks in training") {
    held<linear_head> h({.mode = pruning::drawn}, .5);
    auto const base = inner_slots(h.z), got = slots_of(h.router(h.in()));
    index_t other = 0;
    for (index_t t = 0; t < tokens; ++t) {
        auto a = h.logits(t, base[at(t)]);
        std::size_t const quiet = largest(a);
        draws const drawn(9, t, linear_head.stream);
        for (std::size_t j = 0; j < 3; ++j) a[j] += drawn.gumbel(static_cast<index_t>(j));
        CHECK(got[at(t)].size() == 3 - largest(a));
        other += quiet != largest(a);
    }
    CHECK(other > 0);
}

TEST_CASE("top_any: NaN and infinity keep everything and stay with their token") {
    held<linear_head> h;
    auto const before = slots_of(h.router(h.in()));
    h.x.row(5)[1] = std::nanf("");
    h.z.row(6)[0] = std::nanf("");
    for (index_t e = 0; e < experts; ++e) h.z.row(7)[e] = -std::numeric_limits<float>::infinity();
    auto const after = slots_of(h.router(h.in()));
    for (std::size_t t = 0; t < before.size(); ++t)
        if (t < 5 || t > 7) CHECK(numbers::same_bits(before[t], after[t]));
    CHECK(after[5].size() == 3);
    for (slot const s : after[7]) CHECK((s.weight == 0 && s.tier == 1));
    CHECK(slots_of(h.router(h.in().part(0, 0))).empty());
}

TEST_CASE("top_any: a mask whose probability rounds to 0 may still be drawn") {
    // log π = -200 is no float32 logarithm of a float32 π; the head's numbers are used as they are
    std::vector<float> const a{0, -200, -400}, g{-1, 230, 3}, hot{1e4f, 0, -1e4f};
    std::vector<float> y(3), none(3);
    using router = top_any<top_k>;
    router::relax(a, g, 1, y);
    CHECK(y[1] == 1);
    CHECK(router::best_of(a, g) == 1);
    router::relax(a, none, .01f, y);
    CHECK(y == std::vector<float>{1, 0, 0});
    router::relax(hot, none, 1, y);
    CHECK(y == std::vector<float>{1, 0, 0});
    // u in the open interval: its noise is finite
    for (index_t t = 0; t < 2000; ++t) CHECK(std::isfinite(draws(1, t, router::stream).gumbel(0)));
}

TEST_CASE("top_any: one expert, k = E, itself inside itself") {
    asked<top_any{top_k{.k = 1}}> alone(1, 2, {}, model);
    auto const x = rows::normal(2, model, 3), z = rows::normal(2, 1, 4);
    seen in{input{x.view()}};
    in.logits = z.view();
    CHECK(slots_of(alone(in))[1] == std::vector<slot>{{0, 1, 0}});
    STATIC_REQUIRE(std::is_same_v<decltype(top_any{top_any{top_k{}}}), top_any<top_any<top_k>>>);
    asked<top_any{top_k{.k = 4}, 3}> all(4, 2, {}, model);
    auto const wide = rows::normal(2, 4, 4);
    in.logits = wide.view();
    CHECK(slots_of(all(in))[0].size() == 4);
}

TEST_CASE("top_any: what is out of range is said at construction") {
    auto const sentence = [](auto const& policy, auto const& own) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    using params = params_of<top_any<top_k>>;
    CHECK(sentence(linear_head, params{}).empty());
    CHECK(sentence(top_any{top_k{}}, params{.router = {.k = 2}}) ==
          "top_any.router: expected as many slots by its type as by its params, got 2");
    CHECK(sentence(top_any{top_k{.k = 8}, 0, mask_family::every}, params{}).empty());
    CHECK(sentence(top_any{top_k{.k = 9}, 0, mask_family::every}, params{}) ==
          "top_any.router: expected at most 8 slots, of which any drop, got 9");
    CHECK(sentence(linear_head, params{.temperature = 0}) ==
          "top_any.temperature: expected a finite number > 0, got 0.000000");
}
