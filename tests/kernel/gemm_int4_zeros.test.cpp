// SPDX-License-Identifier: MIT
// Products with 4-bit weights and zero points.
#include "kernel/coded_held.hpp"
#include "prytany/format/int4_blocks.hpp"

using namespace prytany;

namespace {
constexpr auto bytes = activations::int8;
} // namespace

TEST_CASE("gemm: int4_blocks with zero points") {
    coded::keeps<int4_blocks{.zero_point = true}>();
    coded::keeps<int4_blocks{.size = 64, .zero_point = true}>();
}
TEST_CASE("gemm: int4_blocks with zero points, 8-bit activations") {
    coded::keeps<int4_blocks{.zero_point = true, .activations = bytes}>();
    coded::keeps<int4_blocks{.size = 128, .zero_point = true, .activations = bytes}>();
    coded::equals_integers<int4_blocks{.zero_point = true, .activations = bytes}>(
        {15, 32, 32, true});
    coded::equals_integers<int4_blocks{.size = 64, .zero_point = true, .activations = bytes}>(
        {15, 64, 32, true});
    coded::equals_integers<int4_blocks{.size = 128, .zero_point = true, .activations = bytes}>(
        {15, 128, 32, true});
}
