// SPDX-License-Identifier: MIT
#include "prytany/format/concept.hpp"

#include <string_view>
#include <vector>

#include "prytany/core/scalar.hpp"
#include "prytany/format/dense.hpp"
#include "support/catch.hpp"

namespace {

// The least a format is.
struct least {
    using aspect = prytany::format_aspect;
    static constexpr std::string_view name() noexcept { return "least"; }
};
struct without_aspect {
    static constexpr std::string_view name() noexcept { return "x"; }
};
struct of_another_aspect {
    using aspect = prytany::gate_aspect;
    static constexpr std::string_view name() noexcept { return "x"; }
};
struct without_name {
    using aspect = prytany::format_aspect;
};
struct without_packed {
    using aspect = prytany::format_aspect;
    static constexpr std::string_view name() noexcept { return "x"; }
};
struct matrix {
    void resize(prytany::index_t, prytany::index_t) {}
    void pack(prytany::index_t, std::span<float const>) {}
    void unpack(prytany::index_t, std::span<float>) const {}
    prytany::index_t rows() const { return 0; }
    prytany::index_t cols() const { return 0; }
    prytany::index_t bytes() const { return 0; }
};

} // namespace

template <>
class prytany::packed<least{}> : public matrix {};
template <>
class prytany::packed<without_aspect{}> : public matrix {};
template <>
class prytany::packed<of_another_aspect{}> : public matrix {};
template <>
class prytany::packed<without_name{}> : public matrix {};

using namespace prytany;

TEST_CASE("format: dense formats and the archetype model weight_format") {
    STATIC_REQUIRE(weight_format<least>);
    STATIC_REQUIRE(weight_format<dense<float>>);
    STATIC_REQUIRE(weight_format<dense<bf16>>);
    STATIC_REQUIRE(weight_format<dense<f16>>);
}

TEST_CASE("format: each requirement is required") {
    STATIC_REQUIRE(!weight_format<without_aspect>);
    STATIC_REQUIRE(!weight_format<of_another_aspect>);
    STATIC_REQUIRE(!weight_format<without_name>);
    STATIC_REQUIRE(!weight_format<without_packed>);
    STATIC_REQUIRE(!weight_format<int>);
    STATIC_REQUIRE(has_packed<without_aspect>); // it fails for the reason it was made for
    STATIC_REQUIRE(has_packed<without_name>);
    STATIC_REQUIRE(has_format_name<without_packed>);
}
