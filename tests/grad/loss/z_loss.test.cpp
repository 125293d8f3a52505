// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/z_loss.hpp"

#include <limits>

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::f0, fixture::near, numbers::rows;

TEST_CASE("z_loss: the number of the literature, and large logits") {
    CHECK(near(z_loss(f0.view()), 4.302674));
    CHECK(near(std::sqrt(z_loss(f0.part(0, 1).view())), 2.495182));
    CHECK(near(std::sqrt(z_loss(f0.part(1, 1).view())), 1.542536));
    CHECK(near(z_loss(rows(2, 4, 1000).view()), std::pow(1000 + std::log(4.0), 2)));
    CHECK(near(z_loss(rows(2, 4, -std::log(4.0f)).view()), 0));
    rows shut(1, 4);
    shut.row(0)[2] = -std::numeric_limits<float>::infinity();
    CHECK(near(z_loss(shut.view()), std::pow(std::log(3.0), 2)));
}

TEST_CASE("z_loss: what a logit does to it") {
    auto const got = fixture::slopes(f0, [](rows const& z) { return z_loss(z.view()); });
    CHECK(near(got, {1.520714, .559439, .339317, .075712, .445255, .402883, .364544, .329853}));
}

TEST_CASE("z_loss: padding, one expert and no token count for nothing") {
    fixture::padded const all(f0, fixture::chosen(f0, 2));
    CHECK(near(z_loss(all.logits.view(), all.mask), 4.302674));
    CHECK(!near(z_loss(all.logits.view()), 4.302674));
    CHECK(z_loss(rows(2, 1, 3).view()) == 0);
    CHECK(z_loss(rows(0, 4).view()) == 0);
}

TEST_CASE("z_loss: NaN is not hidden") {
    for (index_t const e : {0, 3}) {
        rows z = f0;
        z.row(1)[e] = std::nanf("");
        CHECK(std::isnan(z_loss(z.view())));
    }
}
