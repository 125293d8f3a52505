// SPDX-License-Identifier: MIT
// Runs the same layer as compiled for two processors.
#include <cmath>
#include <cstdio>

float unit_v2();
float unit_v3();

int main() {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 77;
    float const old_flags = unit_v2(), new_flags = unit_v3();
    std::printf("%.7g %.7g\n", double(old_flags), double(new_flags));
    return std::isfinite(old_flags) && std::abs(old_flags - new_flags) <= 1e-5f ? 0 : 1;
}
