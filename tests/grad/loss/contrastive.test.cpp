// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/contrastive.hpp"

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::near, fixture::rows_with, fixture::written_plan, numbers::rows;

namespace {

rows const prototypes = rows_with(3, 2, {1, 0, 0, 2, -1, -1});
rows const tokens = rows_with(4, 2, {2, 0.5f, 1, 0.2f, -0.1f, 1, 0.4f, 0.9f});
numbers::lists const slots{{{0, 0.970143f}}, {{0, 0.980581f}}, {{1, 0.995037f}}, {{1, 0.913812f}}};

} // namespace

TEST_CASE("contrastive: the numbers of the literature") {
    written_plan const plan(3, 1, slots);
    CHECK(near(contrastive(tokens.view(), prototypes.view(), plan, 1), 0.374548));
    CHECK(near(contrastive(tokens.view(), prototypes.view(), plan), 1.377390e-05, 1e-9));
    // of its logits at 0.07, in float only in this form
    double const l[2][2] = {{13.912017, 2.228037}, {3.246137, 14.110900}};
    double const by_hand =
        (std::log1p(std::exp(l[0][1] - l[0][0])) + std::log1p(std::exp(l[1][0] - l[1][1]))) / 2;
    CHECK(near(contrastive(tokens.view(), prototypes.view(), plan), by_hand, 1e-9));
    CHECK(near(contrastive(tokens.view(), prototypes.view(), plan, 0.07), by_hand, 1e-9));
    // so cold that the power of a difference is no double
    auto const swapped = rows_with(2, 2, {0, 2, 1, 0});
    double const cold = contrastive(tokens.view(), swapped.view(), plan, 1e-4);
    CHECK(std::isfinite(cold));
    CHECK(near(cold, (11.684 + 10.864734) * 0.07 / 2 / 1e-4, 1));
}

TEST_CASE("contrastive: the first slot alone or all of them") {
    written_plan const firsts(3, 2, slots);
    auto both = slots;
    both[0].push_back({1, 0.2f, 0});
    both[3].push_back({2, 0.2f, 1}); // listed, not run
    written_plan const plan(3, 2, both);
    double const alone = contrastive(tokens.view(), prototypes.view(), firsts, 1);
    CHECK(contrastive(tokens.view(), prototypes.view(), plan, 1) == alone);
    // with token 0 the mean of expert 1 is (2.3, 2.4) / 3
    auto const cosine = [](double x, double y, double a, double b) {
        return (x * a + y * b) / std::hypot(x, y) / std::hypot(a, b);
    };
    double const l00 = cosine(1, 0, 1.5, 0.35), l01 = cosine(1, 0, 2.3, 2.4),
                 l10 = cosine(0, 2, 1.5, 0.35), l11 = cosine(0, 2, 2.3, 2.4);
    double const wanted = (std::log1p(std::exp(l01 - l00)) + std::log1p(std::exp(l10 - l11))) / 2;
    CHECK(near(contrastive(tokens.view(), prototypes.view(), plan, 1, own_tokens::every), wanted));
}

TEST_CASE("contrastive: padding and experts without a prototype are left out") {
    auto more = slots;
    more.push_back({{0, 1}});
    more.push_back({{3, 1}}); // unconditional
    written_plan const plan(4, 1, more);
    rows all(6, 2, 5);
    std::copy_n(tokens.all.begin(), 8, all.all.begin());
    std::vector<std::uint8_t> const mask{1, 1, 1, 1, 0, 1};
    CHECK(near(contrastive(all.view(), prototypes.view(), plan, 1, own_tokens::first, mask),
               0.374548));
    CHECK(!near(contrastive(all.view(), prototypes.view(), plan, 1), 0.374548));
}

TEST_CASE("contrastive: fewer than two experts with tokens give 0; zero rows are no NaN") {
    written_plan const one(3, 1, {{{2, 1}}, {{2, 1}}, {{2, 1}}, {{2, 1}}});
    CHECK(contrastive(tokens.view(), prototypes.view(), one) == 0);
    written_plan const none(3, 1, {});
    CHECK(contrastive(rows(0, 2).view(), prototypes.view(), none) == 0);
    written_plan const plan(3, 1, slots);
    CHECK(near(contrastive(rows(4, 2).view(), prototypes.view(), plan), std::log(2.0)));
}
