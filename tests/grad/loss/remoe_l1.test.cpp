// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/remoe_l1.hpp"

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::f0, fixture::near, numbers::rows;

TEST_CASE("remoe_l1: the numbers of the literature") {
    CHECK(near(remoe_l1(f0.view(), 2), 4.1));
    CHECK(remoe_sparsity(f0.view()) == 0.25); // a logit of 0 is shut
}

TEST_CASE("remoe_l1: what an open gate does to it: E n_e / (k T²), n = 2, 2, 2, 0") {
    auto const got = fixture::slopes(f0, [](rows const& z) { return remoe_l1(z.view(), 2); });
    for (std::size_t const i : {0u, 1u, 2u, 4u, 5u, 6u}) CHECK(near(got[i], 1));
    CHECK(got[3] == 0); // shut
}

TEST_CASE("remoe_l1: the coefficient follows the sparsity") {
    remoe_coefficient c;
    CHECK(c.lambda == 1e-8);
    c.update(0.25, 2, 4); // too many gates are open
    CHECK(near(c.lambda, 1.2e-8, 1e-20));
    c.update(0.75, 2, 4);
    CHECK(near(c.lambda, 1e-8, 1e-20));
    c.update(0.5, 2, 4); // just as asked for
    CHECK(near(c.lambda, 1e-8 / 1.2, 1e-20));
}

TEST_CASE("remoe_l1: padding, one expert and no token count for nothing") {
    fixture::padded const all(f0, fixture::chosen(f0, 2));
    CHECK(near(remoe_l1(all.logits.view(), 2, all.mask), 4.1));
    CHECK(remoe_sparsity(all.logits.view(), all.mask) == 0.25);
    CHECK(!near(remoe_l1(all.logits.view(), 2), 4.1));
    CHECK(remoe_l1(rows(2, 1, 3).view(), 1) == 0);
    CHECK(remoe_l1(rows(0, 4).view(), 2) == 0);
    CHECK(remoe_sparsity(rows(0, 4).view()) == 0);
    CHECK(remoe_l1(rows(3, 4, -1).view(), 2) == 0);
    CHECK(remoe_sparsity(rows(3, 4, -1).view()) == 1);
}

TEST_CASE("remoe_l1: NaN is not hidden") {
    rows z = f0;
    z.row(1)[3] = std::nanf("");
    CHECK(std::isnan(remoe_l1(z.view(), 2)));
}
