// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/deepseek.hpp"

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::chosen, fixture::f0, fixture::near, fixture::written_plan, numbers::rows;

TEST_CASE("deepseek: over experts and over devices") {
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(near(deepseek_expert(f0.view(), two), 1.383502));
    CHECK(near(deepseek_device(f0.view(), two, 4), 1.383502)); // a device for each expert
    CHECK(near(deepseek_device(f0.view(), two, 2), 2 * (0.449056 + 0.242695), 2e-6));
    CHECK(near(deepseek_device(f0.view(), two, 1), 1));
}

TEST_CASE("deepseek: within a sequence, by normalised sigmoids") {
    CHECK(near(deepseek_v3_sequence(f0.view(), 2), 1.167004));
    double const mean = 2 * (0.309568 + 0.273934);
    CHECK(near(deepseek_v3_sequence(f0.view(), 2), mean, 2e-6));
    double const of_three = 4.0 / 3 * (.309568 + .273934 + .246460);
    CHECK(near(deepseek_v3_sequence(f0.view(), 3), of_three, 3e-6));
    CHECK(near(deepseek_v3_sequence(f0.view(), 3), 4.0 / 3 * (1 - .170038), 2e-6));
    CHECK(near(deepseek_v3_sequence(rows(3, 4).view(), 4), 1, 1e-12));
}

TEST_CASE("deepseek: within a sequence, by softmax and the slots of the plan") {
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(near(deepseek_v2_sequence(f0.view(), two), 1.383502));
    written_plan const moved(4, 1, {{{3, 1}}, {{3, 1}}}); // chosen with a correction, say
    CHECK(near(deepseek_v2_sequence(f0.view(), moved), 4 * 0.122091, 4e-6));
}

TEST_CASE("deepseek: each sequence by itself, then their mean") {
    auto const z = rows::normal(12, 6, 3);
    written_plan const plan(6, 2, chosen(z, 2));
    std::vector<index_t> const starts{0, 2, 9};
    double v2 = 0, v3 = 0;
    for (std::size_t s = 0; s < 3; ++s) {
        index_t const from = starts[s], to = s < 2 ? starts[s + 1] : 12;
        auto const own = z.part(from, to - from);
        written_plan const part(6, 2, chosen(own, 2));
        v2 += balance(own.view(), part) / 3;
        v3 += deepseek_v3_sequence(own.view(), 2) / 3;
    }
    CHECK(near(deepseek_v2_sequence(z.view(), plan, starts), v2, 1e-12));
    CHECK(near(deepseek_v3_sequence(z.view(), 2, starts), v3, 1e-12));
    CHECK(!near(deepseek_v2_sequence(z.view(), plan), v2));
}

TEST_CASE("deepseek: padding counts nowhere, a sequence of padding alone is none") {
    fixture::padded const all(f0, chosen(f0, 2));
    written_plan const two(4, 2, all.slots);
    auto const z = all.logits.view();
    CHECK(near(deepseek_expert(z, two, all.mask), 1.383502));
    CHECK(near(deepseek_device(z, two, 2, all.mask), 1.383502));
    CHECK(near(deepseek_v2_sequence(z, two, {}, all.mask), 1.383502));
    CHECK(near(deepseek_v3_sequence(z, 2, {}, all.mask), 1.167004));
    std::vector<index_t> const starts{0, 5}; // the last token is padding
    CHECK(near(deepseek_v2_sequence(z, two, starts, all.mask), 1.383502));
    CHECK(near(deepseek_v3_sequence(z, 2, starts, all.mask), 1.167004));
}

TEST_CASE("deepseek: one expert or no token give 0") {
    rows const lone(3, 1, 2), nobody(0, 4);
    written_plan const one(1, 1, chosen(lone, 1)), none(4, 2, {});
    CHECK(deepseek_expert(lone.view(), one) == 0);
    CHECK(deepseek_device(lone.view(), one, 1) == 0);
    CHECK(deepseek_v2_sequence(lone.view(), one) == 0);
    CHECK(deepseek_v3_sequence(lone.view(), 1) == 0);
    CHECK(deepseek_expert(nobody.view(), none) == 0);
    CHECK(deepseek_device(nobody.view(), none, 2) == 0);
    CHECK(deepseek_v2_sequence(nobody.view(), none) == 0);
    CHECK(deepseek_v3_sequence(nobody.view(), 2) == 0);
}

TEST_CASE("deepseek: NaN is not hidden") {
    rows z = f0;
    z.row(1)[3] = std::nanf("");
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(std::isnan(deepseek_expert(z.view(), two)));
    CHECK(std::isnan(deepseek_device(z.view(), two, 2)));
    CHECK(std::isnan(deepseek_v2_sequence(z.view(), two)));
    CHECK(std::isnan(deepseek_v3_sequence(z.view(), 2)));
}
