// SPDX-License-Identifier: MIT
#include "prytany/format/activations.hpp"

#include <type_traits>

#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("activations: no format rounds them unless it is asked to") {
    STATIC_REQUIRE(std::is_enum_v<activations>);
    STATIC_REQUIRE(int8_rows{}.activations == activations::float32);
    STATIC_REQUIRE(int8_blocks{}.activations == activations::float32);
    STATIC_REQUIRE(int4_blocks{}.activations == activations::float32);
    STATIC_REQUIRE(ternary{}.activations == activations::float32);
    STATIC_REQUIRE(mxfp4{}.activations == activations::float32);
    STATIC_REQUIRE(int8_rows{.activations = activations::int16}.activations == activations::int16);
    STATIC_REQUIRE(activations::int8 != activations::int16);
}

TEST_CASE("activations: formats that differ in them alone store the same bytes") {
    packed<mxfp4{}> const a(40, 70);
    packed<mxfp4{.activations = activations::int8}> const b(40, 70);
    STATIC_REQUIRE(!std::is_same_v<decltype(a), decltype(b)>);
    CHECK(a.bytes() == b.bytes());
}
