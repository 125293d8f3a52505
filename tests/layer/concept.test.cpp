// SPDX-License-Identifier: MIT
#include "prytany/layer/concept.hpp"

#include "conformance/archetypes.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

struct without_sizes : archetype::layer {
    void sizes() const {}
};
struct changes_when_run : archetype::layer {
    template <class X, class Observer = unobserved>
    void forward(input const&, matrix_view<float>, workspace&, X&&, Observer&& = {}) {} // not const
};

} // namespace

TEST_CASE("moe_layer: its models, and what is none") {
    STATIC_REQUIRE(moe_layer<moe<shape{8, 8, 4}, top_k{.k = 2}, ffn{swiglu}>>);
    STATIC_REQUIRE(moe_layer<moe<shape{}, top_k{}, ffn{swiglu}, dense<bf16>{}>>);
    STATIC_REQUIRE(moe_layer<archetype::layer>);
    STATIC_REQUIRE(!moe_layer<int>);
    STATIC_REQUIRE(!moe_layer<without_sizes>);
    STATIC_REQUIRE(!moe_layer<changes_when_run>);
}

TEST_CASE("unobserved: looks at nothing and costs nothing") {
    STATIC_REQUIRE(std::is_empty_v<unobserved>);
    input const in;
    plan const none;
    unobserved{}(routing{in, {}, none});
}
