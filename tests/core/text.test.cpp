// SPDX-License-Identifier: MIT
#include "prytany/core/text.hpp"

#include <string_view>
#include <type_traits>

#include "support/catch.hpp"

using namespace prytany;

namespace {

template <text Name>
struct named {
    static constexpr std::string_view name() { return Name.value; }
};
template <class T>
concept has_size = requires(T x) {
    x.size();
}
|| unsatisfied<"a box needs size(): how many it holds">();

} // namespace

TEST_CASE("text: a literal is a template argument, equal literals make one type") {
    STATIC_REQUIRE(named<"expert">::name() == "expert");
    STATIC_REQUIRE(named<"">::name().empty());
    STATIC_REQUIRE(std::is_same_v<named<"a">, named<"a">>);
    STATIC_REQUIRE(!std::is_same_v<named<"a">, named<"b">>);
    STATIC_REQUIRE(!std::is_same_v<named<"a">, named<"ab">>);
}

TEST_CASE("text: the sentence of a requirement never satisfies it") {
    STATIC_REQUIRE(!unsatisfied<"whatever it says">());
    STATIC_REQUIRE(has_size<std::string_view>);
    STATIC_REQUIRE(!has_size<int>);
}
