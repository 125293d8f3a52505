// SPDX-License-Identifier: MIT
// Runs the same layer as compiled for two processors; ends with 77 where only one of them runs.
#include <cmath>
#include <cstdio>

float unit_v2();
float unit_v3();

int main() {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 77;
    float const one = unit_v2(), other = unit_v3();
    std::printf("%.7g %.7g\n", double(one), double(other));
    return std::abs(one) > 0.1f && std::abs(one - other) <= 1e-4f * std::abs(one) ? 0 : 1;
}
