// SPDX-License-Identifier: MIT
#include "prytany/expert/concept.hpp"

#include "conformance/archetypes.hpp"
#include "prytany/expert/ffn.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

template <class E>
struct changed : E {
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, typename E::scratch&,
                      matrix_view<float>) {} // not noexcept
};
struct without_scratch : archetype::expert {
    struct scratch {};
};
struct without_weights {
    struct params {};
    struct weights {}; // of no format
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
};

using gated = kind_of<ffn{swiglu}>;
using plain = kind_of<ffn{gelu}>;

} // namespace

TEST_CASE("expert_kind: its models, and what is none") {
    STATIC_REQUIRE(expert_kind<gated>);
    STATIC_REQUIRE(expert_kind<plain>);
    STATIC_REQUIRE(expert_kind<archetype::expert>);
    STATIC_REQUIRE(expert_kind<written::untiled<gated>>);
    STATIC_REQUIRE(!expert_kind<int>);
    STATIC_REQUIRE(!expert_kind<changed<archetype::expert>>);
    STATIC_REQUIRE(!expert_kind<without_scratch>);
    STATIC_REQUIRE(!expert_kind<without_weights>);
}

TEST_CASE("tiled_expert: refines expert_kind") {
    STATIC_REQUIRE(tiled_expert<gated>);
    STATIC_REQUIRE(tiled_expert<plain>);
    STATIC_REQUIRE(!tiled_expert<archetype::expert>);
    STATIC_REQUIRE(!tiled_expert<written::untiled<gated>>);
}

TEST_CASE("expert_kit: knows the sizes that its type fixes") {
    using kit = expert_kit<ffn{swiglu}, dense<float>{}, shape{.model = 8}>;
    STATIC_REQUIRE(kit::fixed.model == 8);
    STATIC_REQUIRE(kit::fixed.hidden == dynamic);
    STATIC_REQUIRE(std::is_same_v<kit::kind, gated>);
}
