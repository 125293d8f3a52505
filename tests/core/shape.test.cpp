// SPDX-License-Identifier: MIT
#include "prytany/core/shape.hpp"

#include <string>
#include <type_traits>

#include "support/catch.hpp"

using namespace prytany;

namespace {

constexpr shape known{.model = 2048, .hidden = 1408, .experts = 64, .shared = 2};
constexpr shape half_known{.model = 32, .experts = 8};

template <shape Fixed>
std::string complaint(shape given) {
    try {
        extents<Fixed> const e(given);
        return "none: " + std::to_string(e.model());
    } catch (error const& e) {
        return e.what();
    }
}
template <auto Value>
using kind_here = kind_of<Value>;

} // namespace

TEST_CASE("shape: what is left out is dynamic, but the shared experts are none") {
    constexpr shape s{};
    STATIC_REQUIRE(s.model == dynamic);
    STATIC_REQUIRE(s.hidden == dynamic);
    STATIC_REQUIRE(s.experts == dynamic);
    STATIC_REQUIRE(s.shared == 0);
    STATIC_REQUIRE(s.shared_hidden == dynamic);
    STATIC_REQUIRE(known == shape{.model = 2048, .hidden = 1408, .experts = 64, .shared = 2});
    STATIC_REQUIRE(!(known == half_known));
    STATIC_REQUIRE(std::is_same_v<kind_here<known>, shape>); // not const shape
}

TEST_CASE("shape: fixed sizes need nothing at run time") {
    extents<known> const e;
    CHECK(e.model() == 2048);
    CHECK(e.hidden() == 1408);
    CHECK(e.experts() == 64);
    CHECK(e.shared() == 2);
    CHECK(e.shared_hidden() == 1408); // left out: hidden
    CHECK(extents<known>(shape{.shared = 2}).all() == e.all());
    CHECK(e.all() == shape{2048, 1408, 64, 2, 1408});
}

TEST_CASE("shape: dynamic sizes come from the constructor") {
    extents<half_known> const e({.model = 32, .hidden = 100, .experts = 8});
    CHECK(e.hidden() == 100);
    CHECK(e.shared_hidden() == 100);
    extents<shape{.shared = dynamic}> const all(
        {.model = 1, .hidden = 2, .experts = 3, .shared = 4, .shared_hidden = 5});
    CHECK(all.all() == shape{1, 2, 3, 4, 5});
    extents<shape{.shared = 1}> const given({.model = 7, .hidden = 8, .experts = 9, .shared = 1});
    CHECK(given.shared_hidden() == 8);
    extents<shape{.model = 4, .hidden = 4, .experts = 4, .shared = 1, .shared_hidden = 12}> const
        own;
    CHECK(own.shared_hidden() == 12);
}

TEST_CASE(
    "shape: a size that is missing, contradicts or is not positive is an error with its name") {
    CHECK(complaint<half_known>({.model = 32, .experts = 8}) ==
          "shape.hidden: expected a size, since it is dynamic, got none");
    CHECK(complaint<half_known>({.model = 33, .hidden = 1, .experts = 8}) ==
          "shape.model: expected 32, got 33");
    CHECK(complaint<half_known>({.hidden = 1, .experts = 9}) == "shape.experts: expected 8, got 9");
    CHECK(complaint<half_known>({.hidden = 0}) == "shape.hidden: expected at least 1, got 0");
    CHECK(complaint<half_known>({.hidden = -7}) == "shape.hidden: expected at least 1, got -7");
    CHECK(complaint<shape{.model = 0}>({.hidden = 1, .experts = 1}) ==
          "shape.model: expected at least 1, got 0");
    CHECK(complaint<shape{}>({.model = 1, .hidden = 1, .experts = 2, .shared = 3}) ==
          "shape.shared: expected 0, got 3");
    CHECK(complaint<shape{.shared = dynamic}>(
              {.model = 1, .hidden = 1, .experts = 2, .shared = -2}) ==
          "shape.shared: expected at least 0, got -2");
    CHECK(complaint<shape{}>({.model = 1, .hidden = 1, .experts = 2, .shared_hidden = 0}) ==
          "shape.shared_hidden: expected at least 1, got 0");
    CHECK(complaint<half_known>({.hidden = 5}) == "none: 32");
    index_t const most = index_t{1} << 30; // no product of two sizes overflows
    CHECK(complaint<half_known>({.hidden = most}) == "none: 32");
    CHECK(complaint<half_known>({.hidden = most + 1}) ==
          "shape.hidden: expected at most 1073741824, got 1073741825");
}
