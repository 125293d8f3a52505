// SPDX-License-Identifier: MIT
#include "prytany/core/aspect.hpp"

#include <type_traits>

#include "support/catch.hpp"

using namespace prytany;

namespace {

template <class T>
concept complete = requires {
    sizeof(T);
};
template <class T, class... Others>
constexpr bool unlike = (!std::is_same_v<T, Others> && ...);

} // namespace

TEST_CASE("aspect: tags are distinct and only names") {
    STATIC_REQUIRE(unlike<format_aspect, shared_format_aspect, gate_aspect, shared_gate_aspect,
                          capacity_aspect>);
    STATIC_REQUIRE(unlike<shared_format_aspect, gate_aspect, shared_gate_aspect, capacity_aspect>);
    STATIC_REQUIRE(unlike<gate_aspect, shared_gate_aspect, capacity_aspect>);
    STATIC_REQUIRE(unlike<shared_gate_aspect, capacity_aspect>);
    STATIC_REQUIRE(!complete<format_aspect>);
    STATIC_REQUIRE(!complete<shared_format_aspect>);
    STATIC_REQUIRE(!complete<gate_aspect>);
    STATIC_REQUIRE(!complete<shared_gate_aspect>);
    STATIC_REQUIRE(!complete<capacity_aspect>);
}
