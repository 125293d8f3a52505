// SPDX-License-Identifier: MIT
#include "prytany/core/config.hpp"

#include <limits>
#include <string>
#include <type_traits>
#include <typeinfo>

#include "support/catch.hpp"

namespace {

namespace inside = prytany::PRYTANY_ABI;

} // namespace

namespace prytany::inline PRYTANY_ABI {
struct config_probe {};
} // namespace prytany::inline PRYTANY_ABI

TEST_CASE("config: a count is signed and has 64 bits") {
    STATIC_REQUIRE(std::is_signed_v<prytany::index_t>);
    STATIC_REQUIRE(std::numeric_limits<prytany::index_t>::digits == 63);
    STATIC_REQUIRE(prytany::dynamic < 0);
    STATIC_REQUIRE(prytany::panel_lanes == 2 * prytany::lanes);
    STATIC_REQUIRE(std::is_same_v<prytany::index_t, inside::index_t>);
}

TEST_CASE("config: the version and the instruction set are in the name of every symbol") {
    std::string const name(typeid(prytany::config_probe).name()); // as the linker sees it
    INFO(name);
    CHECK(name.find("v" + std::to_string(PRYTANY_VERSION_MAJOR) + "_") != std::string::npos);
#if defined(__AVX512F__)
    CHECK(name.find("avx512") != std::string::npos);
    STATIC_REQUIRE(prytany::lanes == 16);
#elif defined(__AVX2__)
    CHECK(name.find("avx2") != std::string::npos);
    STATIC_REQUIRE(prytany::lanes == 8);
#elif defined(__SSE2__)
    CHECK(name.find("sse") != std::string::npos);
    STATIC_REQUIRE(prytany::lanes == 4);
#endif
#if defined(__FMA__) && !defined(__AVX512F__)
    CHECK(name.find("fma") != std::string::npos);
#endif
#if defined(__FAST_MATH__)
    CHECK(name.find("fast") != std::string::npos);
#else
    CHECK(name.find("strict") != std::string::npos);
#endif
}
