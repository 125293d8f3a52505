// SPDX-License-Identifier: MIT
// Products with 8-bit weights.
#include "kernel/coded_held.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"

using namespace prytany;

namespace {
constexpr auto pairs = activations::int16, bytes = activations::int8;
} // namespace

TEST_CASE("gemm: int8_rows") { coded::keeps<int8_rows{}>(); }
TEST_CASE("gemm: int8_rows, 16-bit activations") {
    coded::keeps<int8_rows{.activations = pairs}>();
    coded::equals_integers<int8_rows{.activations = pairs}>({127, 0, 512});
}
TEST_CASE("gemm: int8_rows, 8-bit activations") {
    coded::keeps<int8_rows{.activations = bytes}>();
    coded::equals_integers<int8_rows{.activations = bytes}>({127, 0, 512});
}
TEST_CASE("gemm: int8_blocks") {
    coded::keeps<int8_blocks{}>();
    coded::keeps<int8_blocks{.size = 128}>();
}
TEST_CASE("gemm: int8_blocks, 16-bit activations") {
    coded::keeps<int8_blocks{.activations = pairs}>();
    coded::equals_integers<int8_blocks{.activations = pairs}>({127, 32, 32});
    coded::equals_integers<int8_blocks{.size = 128, .activations = pairs}>({127, 128, 128});
}
TEST_CASE("gemm: int8_blocks, 8-bit activations") {
    coded::keeps<int8_blocks{.size = 64, .activations = bytes}>();
    coded::equals_integers<int8_blocks{.activations = bytes}>({127, 32, 32});
    coded::equals_integers<int8_blocks{.size = 64, .activations = bytes}>({127, 64, 64});
}
