// SPDX-License-Identifier: MIT
// Products with 4-bit weights.
#include "kernel/coded_held.hpp"
#include "prytany/format/int4_blocks.hpp"

using namespace prytany;

namespace {
constexpr auto bytes = activations::int8;
} // namespace

TEST_CASE("gemm: int4_blocks") {
    coded::keeps<int4_blocks{}>();
    coded::keeps<int4_blocks{.size = 128}>();
}
TEST_CASE("gemm: int4_blocks, 8-bit activations") {
    coded::keeps<int4_blocks{.activations = bytes}>();
    coded::keeps<int4_blocks{.size = 128, .activations = bytes}>();
    coded::equals_integers<int4_blocks{.activations = bytes}>({7, 32, 32});
    coded::equals_integers<int4_blocks{.size = 64, .activations = bytes}>({7, 64, 64});
    coded::equals_integers<int4_blocks{.size = 128, .activations = bytes}>({7, 128, 64});
}
