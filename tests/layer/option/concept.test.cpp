// SPDX-License-Identifier: MIT
#include "prytany/layer/option/concept.hpp"

#include "prytany/core/aspect.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/layer/option/shared.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {
struct aspectless {};
} // namespace

TEST_CASE("layer_option: its models, and what is none") {
    STATIC_REQUIRE(layer_option<dense<float>>);
    STATIC_REQUIRE(layer_option<dense<bf16>>);
    STATIC_REQUIRE(layer_option<shared_as<dense<float>>>);
    STATIC_REQUIRE(layer_option<shared_gate>);
    STATIC_REQUIRE(!layer_option<int>);
    STATIC_REQUIRE(!layer_option<aspectless>);
}

TEST_CASE("options: counted and found by their aspect, in any order") {
    STATIC_REQUIRE(options_for<format_aspect> == 0);
    STATIC_REQUIRE(options_for<format_aspect, dense<bf16>{}> == 1);
    STATIC_REQUIRE(options_for<format_aspect, dense<bf16>{}, shared_gate{}, dense<float>{}> == 2);
    STATIC_REQUIRE(options_for<gate_aspect, dense<bf16>{}, shared_gate{}> == 0);

    STATIC_REQUIRE(option_for<format_aspect, dense<float>{}> == dense<float>{});
    STATIC_REQUIRE(option_for<format_aspect, dense<float>{}, shared_gate{}, dense<bf16>{}> ==
                   dense<bf16>{});
    STATIC_REQUIRE(option_for<shared_format_aspect, 7, dense<bf16>{}> == 7);
    STATIC_REQUIRE(
        option_for<shared_format_aspect, 7, dense<bf16>{}, shared_as{dense<f16>{}}>.format ==
        dense<f16>{});
}
