// SPDX-License-Identifier: MIT
#include "prytany/router/dropped_second.hpp"

#include <algorithm>
#include <numeric>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

constexpr dropped_second gate{top_k{.k = 2}};

/// Two experts with weights of the caller's choice: those of the row.
struct pair {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 2; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (index_t e = 0; e < 2; ++e) out.put(t, e, in.rows.row(t)[e]);
    }
};
std::vector<slot> of(float first, float second, dropped_second<pair>::params const& own = {}) {
    asked<dropped_second{pair{}}> router(2, 1, own);
    float const weights[] = {first, second};
    return slots_of(router(matrix_view<float const>(weights, 1, 2)))[0];
}

} // namespace

TEST_CASE("dropped_second: drops by the ratio of the two weights") {
    // the shares of F0: 0.268941 / 0.731059 = 0.367879 and 0.475021 / 0.524979 = 0.904837
    rows z(2, 4);
    z.all = {2, 1, .5f, -1, .3f, .2f, .1f, 0};
    asked<gate> router(4, 2, {.beta = .5f});
    auto const got = slots_of(router(z.view()));
    CHECK(got[0] == std::vector<slot>{{0, 1, 0}});
    REQUIRE(got[1].size() == 2);
    CHECK(got[1][0].weight == Approx(0.524979).epsilon(1e-5));
    asked<gate> raw(4, 2, {.beta = .5f, .renormalise = false});
    CHECK(slots_of(raw(z.view()))[0][0].weight == Approx(0.731059).epsilon(1e-5));
    asked<gate> mild(4, 2, {.beta = .36f});
    CHECK(slots_of(mild(z.view()))[0].size() == 2);
}

TEST_CASE("dropped_second: at equality both stay, compared in float32") {
    CHECK(of(.5f, .25f).size() == 2);
    CHECK(of(.5f, std::nextafter(.25f, 0.0f)).size() == 1);
    float const first = .7f, edge = .4f * first; // rounded: as a double it is another number
    CHECK(of(first, edge, {.beta = .4f}).size() == 2);
    CHECK(of(1, 0, {.beta = 0}).size() == 2);
}

TEST_CASE("dropped_second: the heavier is first wherever it was; NaN stays") {
    CHECK(of(.1f, .9f) == std::vector<slot>{{1, 1, 0}});
    CHECK(of(.4f, .6f) == std::vector<slot>{{1, .6f, 0}, {0, .4f, 0}});
    CHECK(of(.5f, .5f)[0].expert == 0);
    CHECK(of(std::nanf(""), .5f).size() == 2);
    CHECK(of(std::nanf(""), std::nanf("")).size() == 2);
}

TEST_CASE("dropped_second: idle slots, parts of a batch, no token, itself inside itself") {
    auto z = rows::normal(30, 5, 3, 2);
    for (index_t e = 1; e < 5; ++e) z.row(4)[e] = -std::numeric_limits<float>::infinity();
    asked<gate> router(5, 30);
    auto const whole = slots_of(router(z.view()));
    CHECK(whole[4] == std::vector<slot>{{0, 1, 0}});
    auto const some = slots_of(router(z.part(3, 9).view()));
    CHECK(numbers::same_slots(some, {whole.begin() + 3, whole.begin() + 12}));
    CHECK(slots_of(router(rows(0, 5).view())).empty());
    STATIC_REQUIRE(std::is_same_v<decltype(dropped_second{dropped_second{top_k{}}}),
                                  dropped_second<dropped_second<top_k>>>);
    CHECK(!gate.promise().unit_sum);
}

TEST_CASE("dropped_second: what is out of range is said at construction") {
    auto const sentence = [](auto const& policy, params_of<dropped_second<top_k>> const& own) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(gate, {}).empty());
    CHECK(sentence(dropped_second{top_k{.k = 3}}, {}) ==
          "dropped_second.router: expected two slots a token, got 3");
    CHECK(sentence(gate, {.beta = -1}) ==
          "dropped_second.beta: expected a finite number ≥ 0, got -1.000000");
    CHECK(sentence(gate, {.beta = std::nanf("")}).find("dropped_second.beta") == 0);
    CHECK(sentence(gate, {.share = 1.5f}) == "dropped_second.share: expected 0 to 1, got 1.500000");
    CHECK(sentence(gate, {.share = std::nanf("")}).find("dropped_second.share") == 0);
}

namespace {

constexpr dropped_second<top_k, protection::received> received{top_k{.k = 2}};
constexpr dropped_second<top_k, protection::released> released{top_k{.k = 2}};

/// A call with causal attention of two heads; every second expert is light.
struct sequences {
    static constexpr index_t model = 6, experts = 5;
    rows x, z, heads[2];
    std::vector<matrix_view<float const>> maps;
    std::vector<index_t> starts;
    std::vector<std::uint8_t> mask;

    explicit sequences(index_t tokens, std::vector<index_t> begins = {0}, std::uint64_t seed = 1)
        : x(rows::normal(tokens, model, seed)),
          z(tokens, experts), heads{rows(tokens, tokens), rows(tokens, tokens)},
          starts(std::move(begins)), mask(static_cast<std::size_t>(tokens), 1) {
        for (index_t t = 0; t < tokens; ++t) z.row(t)[t % experts] = 5;
        for (auto& head : heads) {
            auto const bell = rows::normal(tokens, tokens, ++seed * 31, 2);
            for (index_t i = 0; i < tokens; ++i)
                for (index_t j = 0; j <= i; ++j) head.row(i)[j] = std::exp(bell.view().row(i)[j]);
            maps.push_back(head.view());
        }
    }
    seen in() const {
        seen all{input{x.view(), mask}};
        all.logits = z.view();
        all.sequences = starts;
        all.attention = maps;
        return all;
    }
    /// The tokens protected, written out from the definition.
    std::vector<bool> wanted(protection kind, double share) const {
        std::vector<bool> kept(mask.size());
        for (std::size_t s = 0; s < starts.size(); ++s) {
            index_t const end = s + 1 < starts.size() ? starts[s + 1] : x.count;
            std::vector<index_t> present;
            for (index_t t = starts[s]; t < end; ++t)
                if (mask[numbers::at(t)] != 0) present.push_back(t);
            std::vector<double> c;
            for (std::size_t p = 0; p < present.size(); ++p) {
                double norm = 0, got = 0;
                for (float const v : x.row_of(present[p])) norm += std::abs(double{v});
                for (std::size_t q = p; q < present.size(); ++q)
                    for (auto const& head : heads)
                        got += double{head.view().row(present[q])[present[p]]} / 2;
                auto const queries = static_cast<double>(present.size() - p);
                c.push_back(norm * (kind == protection::received ? got : 1) / queries);
            }
            std::vector<std::size_t> order(present.size());
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return c[a] > c[b]; });
            auto const keep =
                static_cast<std::size_t>(share * static_cast<double>(present.size()) + 1e-6);
            for (std::size_t i = 0; i < keep; ++i) kept[numbers::at(present[order[i]])] = true;
        }
        return kept;
    }
};
std::vector<bool> pairs_of(numbers::lists const& slots) {
    std::vector<bool> all;
    for (auto const& own : slots) all.push_back(own.size() == 2);
    return all;
}

} // namespace

TEST_CASE("dropped_second: the most important tokens keep both, in either form") {
    for (float const share : {0.0f, .02f, .1f, .5f, 1.0f}) {
        sequences call(110, {0, 7, 57});
        asked<received> by_attention(sequences::experts, 110, {.share = share}, sequences::model);
        asked<released> by_place(sequences::experts, 110, {.share = share}, sequences::model);
        CHECK(pairs_of(slots_of(by_attention(call.in()))) ==
              call.wanted(protection::received, double{share}));
        CHECK(pairs_of(slots_of(by_place(call.in()))) ==
              call.wanted(protection::released, double{share}));
        for (std::size_t const t : {0u, 3u, 8u, 20u, 40u, 60u, 109u}) call.mask[t] = 0; // padding
        auto const some = pairs_of(slots_of(by_attention(call.in())));
        CHECK(some == call.wanted(protection::received, double{share}));
        CHECK(pairs_of(slots_of(by_place(call.in()))) ==
              call.wanted(protection::released, double{share}));
    }
}

TEST_CASE("dropped_second: two in a hundred, by hand") {
    // four tokens, half of them protected: [3, 1], [1, 1], [2, 2], [1, 0]
    rows x(4, 2), z(4, 2), map(4, 4);
    x.all = {3, -1, 1, 1, -2, 2, 1, 0};
    map.all = {1, 0, 0, 0, .5f, .5f, 0, 0, .25f, .5f, .25f, 0, .25f, .5f, .125f, .125f};
    for (index_t t = 0; t < 4; ++t) z.row(t)[1] = 3;
    std::vector<matrix_view<float const>> const maps{map.view()};
    seen in{input{x.view()}};
    in.logits = z.view();
    in.attention = maps;
    // received: 4 · 2/4, 2 · 1.5/3, 4 · .375/2, 1 · .125/1; released: 4/4, 2/3, 4/2, 1/1
    asked<received> by_attention(2, 4, {.share = .5f}, 2);
    CHECK(pairs_of(slots_of(by_attention(in))) == std::vector<bool>{true, true, false, false});
    asked<released> by_place(2, 4, {.share = .5f}, 2);
    CHECK(pairs_of(slots_of(by_place(in))) == std::vector<bool>{true, false, true, false});
    auto const slots = slots_of(by_place(in));
    CHECK(slots[0][0].expert == 1); // the heavier first, protected or not
    CHECK(slots[1] == std::vector<slot>{{1, 1, 0}});

    for (index_t const tokens : {49, 50, 99, 100, 150, 199, 200}) { // ⌊0.02 · N⌋ in float32
        sequences call(tokens, {0}, 5);
        asked<released> router(sequences::experts, tokens, {}, sequences::model);
        auto const kept = pairs_of(slots_of(router(call.in())));
        CHECK(std::count(kept.begin(), kept.end(), true) == tokens / 50);
    }
}

TEST_CASE("dropped_second: ties, odd numbers, no token, and what a call lacks") {
    sequences call(40);
    for (index_t t = 0; t < 40; ++t)
        for (index_t c = 0; c < sequences::model; ++c)
            call.x.row(t)[c] = static_cast<float>(40 - t); // c = 6 for all
    asked<released> by_place(sequences::experts, 40, {.share = .1f}, sequences::model);
    auto kept = pairs_of(slots_of(by_place(call.in())));
    for (std::size_t t = 0; t < 40; ++t) CHECK(kept[t] == (t < 4));
    call.x.row(1)[2] = std::nanf("");
    call.x.row(39)[2] = -std::numeric_limits<float>::infinity();
    kept = pairs_of(slots_of(by_place(call.in())));
    for (std::size_t t = 0; t < 40; ++t) CHECK(kept[t] == (t == 0 || t == 2 || t == 3 || t == 39));
    for (float& v : call.x.all) v = std::nanf("");
    kept = pairs_of(slots_of(by_place(call.in())));
    for (std::size_t t = 0; t < 40; ++t) CHECK(kept[t] == (t < 4));
    call.heads[0].row(20)[3] = std::nanf(""); // says nothing
    asked<received> by_attention(sequences::experts, 40, {.share = .1f}, sequences::model);
    kept = pairs_of(slots_of(by_attention(call.in())));
    CHECK(std::count(kept.begin(), kept.end(), true) == 4);
    CHECK(slots_of(by_attention(sequences(0).in())).empty());

    CHECK(released.promise().sees == scope::sequence);
    CHECK(!received.promise().causal);
    CHECK(gate.promise().sees == scope::token);
    CHECK(gate.promise().causal);
    STATIC_REQUIRE(std::is_same_v<decltype(dropped_second{received}),
                                  dropped_second<dropped_second<top_k, protection::received>>>);
    auto const sentence = [](auto const& policy, input const& in) {
        try {
            policy.require(in);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    seen in = call.in();
    CHECK(sentence(received, in).empty());
    in.attention = {};
    CHECK(sentence(released, in).empty());
    CHECK(sentence(received, in) ==
          "dropped_second: input.attention: expected a map for each head, got none");
}
