// SPDX-License-Identifier: MIT
#include "prytany/grad/loss/entropy.hpp"

#include <limits>

#include "grad/loss/fixture.hpp"
#include "support/catch.hpp"

using namespace prytany;
using namespace prytany::grad::loss;
using fixture::f0, fixture::near, numbers::rows;

TEST_CASE("entropy: the numbers of the literature") {
    CHECK(near(entropy(f0.view()), 1.197237));
    CHECK(near(entropy(f0.part(0, 1).view()), 1.014403));
    CHECK(near(entropy(f0.part(1, 1).view()), 1.380071));
    CHECK(near(entropy(rows(3, 4).view()), std::log(4.0), 1e-12));
}

TEST_CASE("entropy: what a logit does to it") {
    auto const got = fixture::slopes(f0, [](rows const& z) { return entropy(z.view()); });
    CHECK(near(got, {-.158222, .053897, .066688, .037637, -.019850, -.004902, .007381, .017371}));
}

TEST_CASE("mutual_information: minus what the experts tell of the tokens") {
    double marginal = 0;
    for (double const p : {0.449056, 0.242695, 0.186158, 0.122091}) marginal -= p * std::log(p);
    CHECK(near(mutual_information(f0.view()), 1.197237 - marginal, 3e-6));
    CHECK(near(mutual_information(rows(3, 4).view()), 0, 1e-12));
    rows sure(4, 4, -std::numeric_limits<float>::infinity());
    for (index_t t = 0; t < 4; ++t) sure.row(t)[t] = 0;
    CHECK(near(mutual_information(sure.view()), -std::log(4.0), 1e-12)); // its least
}

TEST_CASE("entropy and mutual_information: padding, one expert and no token count for nothing") {
    fixture::padded const all(f0, fixture::chosen(f0, 2));
    CHECK(near(entropy(all.logits.view(), all.mask), 1.197237));
    CHECK(near(mutual_information(all.logits.view(), all.mask), mutual_information(f0.view()),
               1e-12));
    CHECK(!near(entropy(all.logits.view()), 1.197237));
    CHECK(entropy(rows(2, 1, 3).view()) == 0);
    CHECK(mutual_information(rows(2, 1, 3).view()) == 0);
    CHECK(entropy(rows(0, 4).view()) == 0);
    CHECK(mutual_information(rows(0, 4).view()) == 0);
}

TEST_CASE("entropy and mutual_information: NaN is not hidden") {
    rows z = f0;
    z.row(1)[3] = std::nanf("");
    CHECK(std::isnan(entropy(z.view())));
    CHECK(std::isnan(mutual_information(z.view())));
}
