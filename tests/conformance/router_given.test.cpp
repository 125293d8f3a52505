// SPDX-License-Identifier: MIT
// What every router must keep: experts by what the caller knows of a token, not by its scores.
#include "conformance/router_suite.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/hash_table.hpp"
#include "prytany/router/label_gated.hpp"
#include "prytany/router/labelled.hpp"
#include "prytany/router/top_k.hpp"

using namespace prytany;
using namespace properties;

TEST_CASE("every router: hash_table") {
    suite<hash_table{}>({.vocabulary = question::words});
    suite<hash_table{}>({.vocabulary = 3, .seed = 5});
    std::int32_t const table[] = {0, 0, 0, 0};
    suite<hash_table{}>({.table = table});
}

TEST_CASE("every router: labelled, label_gated") {
    suite<labelled{}>({});
    suite<label_gated{3, top_k{.k = 2}}>({}); // of four labels: one is outside
    suite<label_gated{4, biased{top_k{.k = 1}}}>({});
}
