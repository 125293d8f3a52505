// SPDX-License-Identifier: MIT
// Walks over dense panels.
#include "kernel/coded_held.hpp"

using namespace prytany;

TEST_CASE("gemm: dense formats give the same bits by any walk") {
    coded::same_bits_any_walk<dense<float>{}>();
    coded::same_bits_any_walk<dense<bf16>{}>();
    coded::same_bits_any_walk<dense<f16>{}>();
}
TEST_CASE("gemm: dense formats in the tests of codes") {
    coded::near_double<dense<bf16>{}>();
    coded::same_bits_everywhere<dense<float>{}>();
    coded::same_bits_everywhere<dense<f16>{}>();
    coded::isolates<dense<float>{}>();
}
