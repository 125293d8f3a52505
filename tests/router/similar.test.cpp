// SPDX-License-Identifier: MIT
#include "prytany/router/similar.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr similar two{top_k{.k = 2}};
constexpr similar<top_k> all_before{.router = {}, .causal = true};
constexpr similar all{top_k{}};

seen seen_of(rows const& u, rows const& z, std::span<index_t const> sequences = {},
             std::span<std::uint8_t const> mask = {}) {
    seen in{input{u.view(), mask}};
    in.logits = z.view();
    in.sequences = sequences;
    return in;
}
rows of(index_t count, index_t cols, std::vector<float> const& values) {
    rows some(count, cols);
    some.all = values;
    return some;
}
rows const golden_u = of(2, 2, {1, 0, 0.6f, 0.8f});
rows const golden_z = of(2, 4, {2, 1, 0.5f, -1, 0, 0.1f, 0.2f, 0.3f});

bool near(double got, double wanted) {
    return std::abs(got - wanted) <= 1e-6 + 1e-5 * std::abs(wanted);
}
void require_row(std::vector<slot> const& got, std::vector<int> const& experts,
                 std::vector<double> const& weights) {
    REQUIRE(got.size() == experts.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(near(double{got[j].weight}, weights[j]));
    }
}
// The weights of a row by expert number: q itself, where all experts are kept.
std::vector<double> by_expert(std::vector<slot> const& slots) {
    std::vector<double> q(slots.size());
    for (slot const s : slots) q[at(s.expert)] = double{s.weight};
    return q;
}
void require_numbers(std::vector<double> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t e = 0; e < got.size(); ++e) CHECK(near(got[e], wanted[e]));
}

// The same by its definition: one sequence, in double; `keys` are u or L u.
std::vector<twin::row> mixed(rows const& keys, rows const& z, double temperature, double mix,
                             bool causal, std::vector<std::uint8_t> const& mask = {}) {
    auto const present = [&](index_t t) { return mask.empty() || mask[at(t)] != 0; };
    std::vector<twin::row> r, q;
    for (index_t t = 0; t < z.count; ++t) {
        twin::row p = twin::doubles(z.row_of(t));
        double const top = *std::max_element(p.begin(), p.end());
        double total = 0;
        for (double& x : p) total += x = std::exp(x - top);
        for (double& x : p) x /= total;
        r.push_back(p);
    }
    for (index_t i = 0; i < z.count; ++i) {
        twin::row s(at(z.count), -std::numeric_limits<double>::infinity()), row(r[0].size());
        double top = s[0], total = 0;
        for (index_t j = 0; j < z.count; ++j) {
            if (!present(j) || (causal && j > i)) continue;
            double sum = 0;
            for (index_t c = 0; c < keys.cols; ++c)
                sum += double{keys.row_of(i)[at(c)]} * double{keys.row_of(j)[at(c)]};
            top = std::max(top, s[at(j)] = sum / temperature);
        }
        for (double& x : s) total += x = std::exp(x - top);
        for (index_t j = 0; j < z.count; ++j)
            for (std::size_t e = 0; e < row.size(); ++e)
                row[e] += mix * s[at(j)] / total * r[at(j)][e];
        for (std::size_t e = 0; e < row.size(); ++e)
            row[e] = present(i) ? row[e] + (1 - mix) * r[at(i)][e] : r[at(i)][e];
        q.push_back(row);
    }
    return q;
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

TEST_CASE("similar: the numbers of the literature") {
    asked<two> sparse(4, 2);
    auto const chosen = slots_of(sparse(seen_of(golden_u, golden_z)));
    require_row(chosen[0], {0, 1}, {0.663013, 0.336987});
    require_row(chosen[1], {0, 1}, {0.616826, 0.383174}); // by itself: 3, 2

    asked<all> dense(4, 2, {.router = {.k = 4}});
    auto const q = slots_of(dense(seen_of(golden_u, golden_z)));
    require_numbers(by_expert(q[0]), {0.450692, 0.229072, 0.186231, 0.134005});
    require_numbers(by_expert(q[1]), {0.372606, 0.231464, 0.210941, 0.184989});
    CHECK(q[1][0].expert == 0);

    asked<all> cold(4, 2, {.temperature = 0.5f, .router = {.k = 4, .renormalise = false}});
    auto const sharp = slots_of(cold(seen_of(golden_u, golden_z)));
    require_numbers(by_expert(sharp[1]), {0.336491, 0.232570, 0.222369, 0.208569});
}

TEST_CASE("similar: tokens that want one expert each show how much they hear of each other") {
    auto const z = of(2, 2, {0, -infinity, -infinity, 0});
    asked<all> dense(2, 2, {.router = {.k = 2}});
    auto const s = slots_of(dense(seen_of(golden_u, z)));
    require_numbers(by_expert(s[0]), {0.598688, 0.401312});
    require_numbers(by_expert(s[1]), {0.401312, 0.598688});
}

TEST_CASE("similar: a mixture is no surer than what it mixes") {
    auto const entropy = [](std::vector<double> const& shares) {
        double sum = 0;
        for (double const p : shares) sum -= p * std::log(p);
        return sum;
    };
    asked<all> mixes(4, 2, {.router = {.k = 4}}), alone(4, 2, {.mix = 0, .router = {.k = 4}});
    auto const q = slots_of(mixes(seen_of(golden_u, golden_z))),
               r = slots_of(alone(seen_of(golden_u, golden_z)));
    double const h0 = entropy(by_expert(r[0])), h1 = entropy(by_expert(r[1]));
    CHECK(std::abs(h0 - 1.014) < 5e-4);
    CHECK(std::abs(entropy(by_expert(q[0])) - 1.279) < 5e-4);
    CHECK(entropy(by_expert(q[0])) >= 0.598688 * h0 + 0.401312 * h1);
    CHECK(entropy(by_expert(q[1])) >= 0.401312 * h0 + 0.598688 * h1);
}

TEST_CASE("similar: so cold that a token of length 1 hears itself alone") {
    auto u = rows::normal(20, 8, 21);
    auto const z = rows::normal(20, 6, 22, 2);
    for (index_t t = 0; t < 20; ++t) {
        double squares = 0;
        for (float const x : u.row_of(t)) squares += double{x} * double{x};
        for (index_t c = 0; c < 8; ++c) u.row(t)[c] /= static_cast<float>(std::sqrt(squares));
    }
    asked<all> cold(6, 20, {.temperature = 1e-4f, .router = {.k = 6}});
    asked<top_k{.k = 6}> plain(6, 20);
    auto const got = slots_of(cold(seen_of(u, z))), wanted = slots_of(plain(z.view()));
    for (std::size_t t = 0; t < 20; ++t) require_numbers(by_expert(got[t]), by_expert(wanted[t]));
}

TEST_CASE("similar: equals its definition for many tokens, in one sequence and in several") {
    auto const u = rows::normal(37, 20, 1, 0.4), z = rows::normal(37, 9, 2, 2);
    std::vector<std::uint8_t> mask(37, 1);
    for (std::size_t const t : {0u, 5u, 6u, 36u}) mask[t] = 0;
    for (auto const& present : {std::vector<std::uint8_t>{}, mask}) {
        asked<all> dense(9, 37, {.temperature = 0.7f, .mix = 0.6f, .router = {.k = 9}});
        auto const got = slots_of(dense(seen_of(u, z, {}, present)));
        auto const wanted = mixed(u, z, double{0.7f}, double{0.6f}, false, present);
        for (std::size_t t = 0; t < 37; ++t) require_numbers(by_expert(got[t]), wanted[t]);
        asked<all_before> before(9, 37, {.router = {.k = 9}});
        auto const early = slots_of(before(seen_of(u, z, {}, present)));
        auto const wanted_early = mixed(u, z, 1, 1, true, present);
        for (std::size_t t = 0; t < 37; ++t) require_numbers(by_expert(early[t]), wanted_early[t]);
    }
    std::vector<index_t> const starts{0, 1, 12, 30};
    asked<two> sparse(9, 37);
    auto const together = slots_of(sparse(seen_of(u, z, starts)));
    for (std::size_t s = 0; s < starts.size(); ++s) {
        index_t const from = starts[s], to = s + 1 < starts.size() ? starts[s + 1] : 37;
        auto const alone =
            slots_of(sparse(seen_of(u.part(from, to - from), z.part(from, to - from))));
        CHECK(numbers::same_slots(alone, {together.begin() + from, together.begin() + to}));
    }
}

TEST_CASE("similar: with causal, later tokens change no bit; without, they do") {
    auto const u = rows::normal(40, 16, 3, 0.3), z = rows::normal(40, 6, 4, 2);
    asked<all_before> before(6, 40, {.router = {.k = 2}});
    asked<two> both(6, 40);
    auto const whole = slots_of(before(seen_of(u, z))), seen_all = slots_of(both(seen_of(u, z)));
    bool changed = false;
    for (index_t const count : {1, 7, 8, 9, 39}) {
        auto const in = seen_of(u, z).part(0, count);
        CHECK(numbers::same_slots(slots_of(before(in)), {whole.begin(), whole.begin() + count}));
        changed = changed || !numbers::same_slots(slots_of(both(in)),
                                                  {seen_all.begin(), seen_all.begin() + count});
    }
    CHECK(changed);
    STATIC_REQUIRE(all_before.promise().causal);
    STATIC_REQUIRE(!two.promise().causal);
    STATIC_REQUIRE(two.promise().sees == scope::sequence);
}

TEST_CASE("similar: mix 0 is the inner router, bit for bit; a token alone chooses by itself") {
    auto const u = rows::normal(30, 8, 5), z = rows::normal(30, 12, 6, 3);
    asked<two> off(12, 30, {.mix = 0, .router = {.scale = 2}});
    asked<top_k{.k = 2}> plain(12, 30, {.scale = 2});
    auto const wanted = slots_of(plain(z.view()));
    CHECK(numbers::same_slots(slots_of(off(seen_of(u, z))), wanted));
    asked<two> on(12, 30, {.router = {.scale = 2}});
    for (index_t t = 0; t < 30; ++t) {
        auto const got = slots_of(on(seen_of(u, z).part(t, 1)))[0];
        for (std::size_t j = 0; j < 2; ++j) {
            CHECK(got[j].expert == wanted[at(t)][j].expert);
            CHECK(near(double{got[j].weight}, double{wanted[at(t)][j].weight}));
        }
    }
}

TEST_CASE("similar: padding and NaN neither mix nor are mixed") {
    auto u = rows::normal(20, 8, 7, 0.5), z = rows::normal(20, 5, 8, 2);
    std::vector<std::uint8_t> mask(20, 1);
    mask[3] = mask[11] = 0;
    asked<two> router(5, 20);
    asked<top_k{.k = 2}> plain(5, 20);
    auto const wanted = slots_of(router(seen_of(u, z, {}, mask)));
    float const awkward[] = {std::nanf(""), infinity, -infinity, 3e38f};
    for (float const soiled : awkward) { // what padding holds changes nobody's slots
        auto v = u, y = z;
        std::fill_n(v.row(3), 8, soiled);
        std::fill_n(y.row(3), 5, soiled);
        y.row(11)[2] = soiled;
        auto got = slots_of(router(seen_of(v, y, {}, mask)));
        CHECK(numbers::same_slots({got[3], got[11]},
                                  {slots_of(plain(y.view()))[3], slots_of(plain(y.view()))[11]}));
        got[3] = wanted[3];
        got[11] = wanted[11];
        CHECK(numbers::same_slots(got, wanted));
    }
    auto v = u, y = z; // a NaN in the logits or in the row alone: as if the token were padding
    y.row(3)[1] = std::nanf("");
    std::fill_n(v.row(11), 8, std::nanf(""));
    auto got = slots_of(router(seen_of(v, y)));
    got[3] = wanted[3];
    got[11] = wanted[11];
    CHECK(numbers::same_slots(got, wanted));
}

TEST_CASE("similar: awkward logits give safe slots") {
    auto const u = rows::normal(6, 4, 9);
    asked<all> router(3, 6, {.router = {.k = 3}});
    for (float const filling : {std::nanf(""), -infinity, infinity, 0.0f}) {
        auto const got = slots_of(router(seen_of(u, rows(6, 3, filling))));
        for (auto const& row : got) {
            REQUIRE(row.size() == 3);
            for (int j = 0; j < 3; ++j) CHECK(row[at(j)].expert == j); // ties: lower numbers first
            CHECK(row[0].tier == (filling == -infinity ? 1 : 0));
            CHECK(std::isnan(row[0].weight) == std::isnan(filling));
            if (std::isfinite(filling)) CHECK(near(double{row[2].weight}, 1.0 / 3));
        }
    }
    auto const huge = rows::normal(6, 4, 10, 1e30); // products overflow
    auto const z = rows::normal(6, 3, 11);
    for (auto const& row : slots_of(router(seen_of(huge, z))))
        for (slot const s : row) CHECK((s.weight >= 0 && s.weight <= 1));
    CHECK(slots_of(router(seen_of(rows(0, 4), rows(0, 3)))).empty());
    asked<similar{top_k{.k = 1}}> one(1, 6);
    for (auto const& row : slots_of(one(seen_of(u, rows(6, 1, 2)))))
        CHECK(row == std::vector<slot>{{0, 1, 0}});
    asked<two> shut(3, 6); // an expert that nobody in the sequence may use is idle
    rows some = z;
    for (index_t t = 0; t < 6; ++t) some.row(t)[1] = -infinity;
    asked<all> every(3, 6, {.router = {.k = 3}});
    for (auto const& row : slots_of(every(seen_of(u, some)))) CHECK(row[2] == slot{1, 0, 1});
}

TEST_CASE("similar: a learned similarity of low rank") {
    using learned = similar<top_k, 3>;
    constexpr learned policy{.router = {}};
    index_t const model = 10, tokens = 21;
    asked<policy> router(7, tokens, {.router = {.k = 7}}, model);
    auto const l = rows::normal(3, model, 12, 0.6);
    int visited = 0;
    router_tensors(policy, router.weights, router.size, [&](auto const& t) {
        CHECK(t.name.text() == "router.similarity");
        t.pack(l.view());
        ++visited;
    });
    CHECK(visited == 1);
    auto const u = rows::normal(tokens, model, 13), z = rows::normal(tokens, 7, 14, 2);
    rows keys(tokens, 3);
    for (index_t t = 0; t < tokens; ++t)
        for (index_t i = 0; i < 3; ++i) {
            double sum = 0;
            for (index_t c = 0; c < model; ++c)
                sum += double{l.row_of(i)[at(c)]} * double{u.row_of(t)[at(c)]};
            keys.row(t)[i] = static_cast<float>(sum);
        }
    auto const got = slots_of(router(seen_of(u, z)));
    auto const wanted = mixed(keys, z, 1, 1, false);
    for (std::size_t t = 0; t < at(tokens); ++t) require_numbers(by_expert(got[t]), wanted[t]);
    asked<two> plain(7, 1);
    int none = 0;
    router_tensors(two, plain.weights, plain.size, [&](auto const&) { ++none; });
    CHECK(none == 0);
}

TEST_CASE("similar: wraps any router, itself too") {
    STATIC_REQUIRE(std::is_same_v<decltype(similar{two}), similar<similar<top_k>>>);
    STATIC_REQUIRE(router_policy<similar<biased<top_k>, 4>>);
    CHECK(two.slots({}, {.router = {}}) == 2);
    auto const u = rows::normal(12, 6, 15, 0.4), z = rows::normal(12, 5, 16, 2);
    asked<similar{all}> twice(5, 12, {.router = {.mix = 0.5f, .router = {.k = 5}}});
    auto const first = mixed(u, z, 1, 1, false);
    rows logs(12, 5);
    for (index_t t = 0; t < 12; ++t)
        for (index_t e = 0; e < 5; ++e)
            logs.row(t)[e] = static_cast<float>(std::log(first[at(t)][at(e)]));
    auto const wanted = mixed(u, logs, 1, 0.5, false);
    auto const got = slots_of(twice(seen_of(u, z)));
    for (std::size_t t = 0; t < 12; ++t) require_numbers(by_expert(got[t]), wanted[t]);
}

TEST_CASE("similar: what is out of range is said at construction") {
    CHECK(sentence<two>({}).empty());
    CHECK(sentence<two>({.mix = 0}).empty());
    for (float const wrong : {0.0f, -1.0f, infinity, std::nanf("")})
        CHECK(sentence<two>({.temperature = wrong})
                  .find("similar.temperature: expected a finite number > 0, got ") == 0);
    for (float const wrong : {-0.1f, 1.1f, std::nanf("")})
        CHECK(sentence<two>({.mix = wrong})
                  .find("similar.mix: expected a number from 0 to 1, got ") == 0);
    CHECK(sentence<two>({.router = {.temperature = 0}}).find("top_k.temperature") == 0);
}
