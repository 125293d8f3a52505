// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/balance.hpp"

#include "grad/loss/fixture.hpp"
#include "prytany/router/threshold.hpp"
#include "prytany/router/top_p.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::chosen, fixture::f0, fixture::near, fixture::written_plan, numbers::rows;

TEST_CASE("balance: the numbers of the literature") {
    written_plan const one(4, 1, chosen(f0, 1)), two(4, 2, chosen(f0, 2));
    CHECK(near(switch_balance(f0.view(), one), 1.796223));
    CHECK(near(balance(f0.view(), two), 1.383502));
    CHECK(near(balance(f0.view(), two) / 2, 0.691751)); // P̄ is of tokens, not of slots
    CHECK(near(balance(f0.view(), two, per::token), 2.767004));
    CHECK(near(gshard(f0.view(), two), 1.796223)); // the first choices are those of k = 1
    written_plan const top_p(4, 2, {{{0, 0.609460f}}, {{0, 0.288651f}, {1, 0.261183f}}});
    CHECK(near(balance(f0.view(), top_p, per::token), 2.281613));
    CHECK(near(balance(f0.view(), top_p, per::slot), 1.521076));
}

TEST_CASE("balance: the slots of top_p and of XMoE") {
    numbers::asked<top_p{}> as_needed(4, 2);
    CHECK(near(balance(f0.view(), as_needed(f0.view()), per::token), 2.281613));
    CHECK(near(balance(rows(2, 4).view(), as_needed(f0.view()), per::token), 1.5)); // slots a token
    numbers::asked<threshold{}> x_moe(4, 2);
    CHECK(near(gshard(f0.view(), x_moe(f0.view())), 1.796223)); // of seven slots the first two
}

TEST_CASE("balance: what a logit does to it, where counts stand still") {
    written_plan const one(4, 1, chosen(f0, 1));
    auto const got =
        fixture::slopes(f0, [&](rows const& z) { return switch_balance(z.view(), one); });
    CHECK(
        near(got, {.476037, -.273291, -.165760, -.036986, .410664, -.150781, -.136433, -.123449}));
    // (E / T) P_j (f_j - Σ f P), for any fractions
    auto const z = rows::normal(3, 5, 4);
    std::vector<double> const f{0.5, 0, 0.25, 0.25, 1};
    auto const slopes =
        fixture::slopes(z, [&](rows const& moved) { return balance(moved.view(), f); });
    for (index_t t = 0; t < 3; ++t) {
        auto const p = twin::probabilities(twin::doubles(z.row_of(t)), 1);
        double mean = 0;
        for (std::size_t j = 0; j < 5; ++j) mean += f[j] * p[j];
        for (std::size_t j = 0; j < 5; ++j)
            CHECK(near(slopes[fixture::at(t) * 5 + j], 5.0 / 3 * p[j] * (f[j] - mean)));
    }
}

TEST_CASE("balance: the numbers of heads, where the optimum is k") {
    auto const z = fixture::rows_with(2, 4, {1, 0.5f, 0, -0.5f, 0, 0, 0.3f, 0.1f});
    written_plan const two(4, 2, chosen(z, 2));
    CHECK(near(moh(z.view(), two), 2));
    CHECK(near(moh(z.view(), two, head_scale::none), 0.5));
}

TEST_CASE("balance: uniform shares give 1 per slot and k per token, not 1 / k") {
    for (index_t const k : {1, 2, 4}) {
        rows const flat(8, 8);
        numbers::lists slots(8);
        for (index_t t = 0; t < 8; ++t)
            for (index_t j = 0; j < k; ++j)
                slots[fixture::at(t)].push_back({static_cast<int>((t + j) % 8), 1.0f, 0});
        written_plan const even(8, k, slots);
        CHECK(near(balance(flat.view(), even), 1, 1e-12));
        CHECK(near(balance(flat.view(), even, per::token), static_cast<double>(k), 1e-12));
        CHECK(near(gshard(flat.view(), even), 1, 1e-12));
    }
}

TEST_CASE("balance: padding counts nowhere") {
    fixture::padded const all(f0, chosen(f0, 2));
    written_plan const two(4, 2, all.slots);
    CHECK(near(balance(all.logits.view(), two, per::slot, all.mask), 1.383502));
    CHECK(near(balance(all.logits.view(), two, per::token, all.mask), 2.767004));
    CHECK(near(gshard(all.logits.view(), two, all.mask), 1.796223));
    CHECK(near(moh(all.logits.view(), two, head_scale::none, all.mask), 2.767004 / 4));
    CHECK(!near(balance(all.logits.view(), two), 1.383502));
}

TEST_CASE("balance: slots that do not run are not counted") {
    written_plan const two(4, 2, {{{0, 1, 0}, {3, 0, 1}}, {{0, 1, 0}, {2, 1, 1}}});
    CHECK(near(balance(f0.view(), two), 1.796223));
    written_plan const none(4, 2, {{{0, 1, 1}}, {{1, 1, 1}}});
    CHECK(balance(f0.view(), none) == 0);
}

TEST_CASE("balance: fractions from elsewhere, such as of a global batch") {
    std::vector<double> const f{1, 0, 0, 0};
    CHECK(near(balance(f0.view(), f), 1.796223));
    written_plan const one(4, 1, {{{3, 1}}, {{3, 1}}}); // what this rank counts plays no part
    CHECK(near(balance(f0.view(), std::vector<double>{0.25, 0.25, 0.25, 0.25}), 1));
    CHECK(!near(switch_balance(f0.view(), one), 1));
}

TEST_CASE("balance: one expert or no token give 0") {
    rows const lone(3, 1, 2);
    written_plan const one(1, 1, chosen(lone, 1)), none(4, 2, {});
    CHECK(balance(lone.view(), one) == 0);
    CHECK(switch_balance(lone.view(), one) == 0);
    CHECK(gshard(lone.view(), one) == 0);
    CHECK(moh(lone.view(), one) == 0);
    CHECK(balance(rows(0, 4).view(), none) == 0);
    CHECK(gshard(rows(0, 4).view(), none) == 0);
    std::vector<std::uint8_t> const padding(2, 0);
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(balance(f0.view(), two, per::token, padding) == 0);
}

TEST_CASE("balance: NaN is not hidden") {
    rows z = f0;
    z.row(1)[3] = std::nanf("");
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(std::isnan(balance(z.view(), two)));
    CHECK(std::isnan(switch_balance(z.view(), two)));
    CHECK(std::isnan(gshard(z.view(), two)));
    CHECK(std::isnan(moh(z.view(), two)));
    CHECK(near(balance(z.view(), two, per::slot, std::vector<std::uint8_t>{1, 0}), 1.667336));
}
