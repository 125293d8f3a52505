// SPDX-License-Identifier: MIT
// Products with ternary weights and with four-bit floats.
#include "kernel/coded_held.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

using namespace prytany;

TEST_CASE("gemm: ternary") { coded::keeps<ternary{}>(); }
TEST_CASE("gemm: ternary, 8-bit activations") {
    coded::keeps<ternary{.activations = activations::int8}>();
    coded::equals_integers<ternary{.activations = activations::int8}>(
        {1, 0, 512, false, false, true});
}
TEST_CASE("gemm: mxfp4") { coded::keeps<mxfp4{}>(); }
TEST_CASE("gemm: mxfp4, 8-bit activations") {
    coded::keeps<mxfp4{.activations = activations::int8}>();
    coded::equals_integers<mxfp4{.activations = activations::int8}>({12, 32, 32, false, true});
}

TEST_CASE("gemm: the golden numbers of ternary weights and 8-bit activations") {
    auto const g = [](int s, int i) {
        return static_cast<float>((73 * i + 151 * s + 17) % 257 - 128) / 128.0f;
    };
    constexpr ternary format{.activations = activations::int8};
    packed<format> w(1, 32); // one scale for the whole matrix [4, 8]
    std::vector<float> all, x(4 * 32);
    for (int i = 0; i < 32; ++i) all.push_back(g(1, i));
    for (int r = 0; r < 4; ++r) // picks row r of it
        for (int k = 0; k < 8; ++k) x[static_cast<std::size_t>(32 * r + 8 * r + k)] = g(2, k);
    w.pack(0, all);
    coded::inputs<format> const in(x, 32);
    auto const y = coded::product<format>(in.rows, 4, w);
    double const wanted[] = {-1.51509082, -0.545571695, 1.7826642, -0.159849032};
    for (std::size_t r = 0; r < 4; ++r) CHECK(static_cast<double>(y[r]) == Approx(wanted[r]));
    int const q[] = {-73, 8, 88, -115, -34, 46, 127, -76};
    for (int k = 0; k < 8; ++k) CHECK(int{in.rows[0][k]} == q[k]);
}
