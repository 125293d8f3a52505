// SPDX-License-Identifier: MIT
#include "prytany/core/error.hpp"

#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("error: one sentence of what was wrong, expected and got") {
    error const e{"model.layers.3.mlp.gate.weight", "[64, 2048]", "[60, 2048]"};
    CHECK(std::string(e.what()) ==
          "model.layers.3.mlp.gate.weight: expected [64, 2048], got [60, 2048]");
    CHECK(e.subject() == "model.layers.3.mlp.gate.weight");
    CHECK(e.expected() == "[64, 2048]");
    CHECK(e.got() == "[60, 2048]");
}

TEST_CASE("error: a plain sentence has no subject") {
    error const e{"the file ends early"};
    CHECK(std::string(e.what()) == "the file ends early");
    CHECK(e.subject().empty());
    CHECK(e.expected().empty());
    CHECK(e.got().empty());
}

TEST_CASE("error: is caught as a runtime_error and survives a copy") {
    STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, error>);
    try {
        throw error{"a", "b", "c"};
    } catch (std::runtime_error const& caught) {
        auto const* const mine = dynamic_cast<error const*>(&caught);
        REQUIRE(mine != nullptr);
        error const copy = *mine;
        CHECK(copy.got() == "c");
        CHECK(std::string(copy.what()) == "a: expected b, got c");
    }
}

TEST_CASE("error: sizes print as [rows, cols]") {
    CHECK(dims_text(64, 2048) == "[64, 2048]");
    CHECK(dims_text(0, -1) == "[0, -1]");
}
