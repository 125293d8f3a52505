// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/importance.hpp"

#include "grad/loss/fixture.hpp"
#include "prytany/router/every_expert.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::chosen, fixture::f0, fixture::near, fixture::written_plan, numbers::rows;

TEST_CASE("importance: the numbers of the literature, with both variances") {
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(near(shazeer_importance(two), 1.508148));
    CHECK(near(shazeer_importance(two, variance::population), 1.131111));
    CHECK(near(shazeer_importance(two) * 3 / 4, shazeer_importance(two, variance::population),
               1e-12));
    CHECK(near(v_moe_importance(f0.view()), 0.240452));
}

TEST_CASE("importance: of the sparse weights, or of all of the softmax") {
    written_plan const two(4, 2, chosen(f0, 2));
    CHECK(near(fixture::weights_of_each(two), {1.256038, .743962, 0, 0}));
    numbers::asked<every_expert{}> router(4, 2);
    auto const& all = router(f0.view());
    CHECK(near(fixture::weights_of_each(all), {.898111, .485390, .372317, .244181}, 2e-6));
    CHECK(near(shazeer_importance(all, variance::population), 0.240452));
}

TEST_CASE("importance: padding and slots that do not run count nowhere") {
    fixture::padded const all(f0, chosen(f0, 2));
    written_plan const two(4, 2, all.slots);
    CHECK(near(shazeer_importance(two, variance::unbiased, all.mask), 1.508148));
    CHECK(near(v_moe_importance(all.logits.view(), all.mask), 0.240452));
    written_plan const idle(2, 2, {{{0, 1, 0}, {1, 5, 1}}, {{1, 1, 0}}});
    CHECK(shazeer_importance(idle) == 0);
}

TEST_CASE("importance: equal sums, one expert and no token give 0") {
    written_plan const even(2, 1, {{{0, 0.5f}}, {{1, 0.5f}}}), none(4, 2, {});
    CHECK(shazeer_importance(even) == 0);
    CHECK(near(v_moe_importance(rows(3, 4, 2).view()), 0, 1e-12));
    rows const lone(3, 1, 2);
    written_plan const one(1, 1, chosen(lone, 1));
    CHECK(shazeer_importance(one) == 0);
    CHECK(v_moe_importance(lone.view()) == 0);
    CHECK(shazeer_importance(none) == 0);
    CHECK(v_moe_importance(rows(0, 4).view()) == 0);
}

TEST_CASE("importance: NaN is not hidden") {
    rows z = f0;
    z.row(1)[3] = std::nanf("");
    written_plan const lost(2, 1, {{{0, std::nanf("")}}, {{1, 0.5f}}});
    CHECK(std::isnan(v_moe_importance(z.view())));
    CHECK(std::isnan(shazeer_importance(lost)));
}
