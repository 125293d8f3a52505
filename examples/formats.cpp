// SPDX-License-Identifier: MIT
// One matrix in every weight format: what a weight takes, and what rounding costs.
#include <cstdint>
#include <cstdio>
#include <vector>

#include <prytany/prytany.hpp>

using namespace prytany;

constexpr index_t outputs = 64, inputs = 16384;

/// Numbers in the shape of a bell, the same on every machine: sums of four uniform ones.
std::vector<float> matrix() {
    std::vector<float> all(static_cast<std::size_t>(outputs * inputs));
    std::uint32_t state = 1;
    for (float& w : all) {
        std::int32_t sum = 0;
        for (int i = 0; i < 4; ++i) {
            state = state * 1664525u + 1013904223u;
            sum += static_cast<std::int32_t>(state >> 16) - 32768;
        }
        w = static_cast<float>(sum) / 4194304.0f;
    }
    return all;
}

template <auto Format>
void show(char const* name, std::vector<float> const& from) {
    packed<Format> weights(outputs, inputs);
    std::vector<float> back(static_cast<std::size_t>(inputs));
    double error = 0, all = 0;
    for (index_t r = 0; r < outputs; ++r) {
        std::span const row(from.data() + r * inputs, static_cast<std::size_t>(inputs));
        weights.pack(r, row);
        weights.unpack(r, back);
        for (std::size_t k = 0; k < row.size(); ++k) {
            double const off = double{back[k]} - double{row[k]};
            error += off * off;
            all += double{row[k]} * double{row[k]};
        }
    }
    std::printf("%-30s %5.2f bits a weight, square error %.1e\n", name,
                8.0 * static_cast<double>(weights.bytes()) / double{outputs * inputs}, error / all);
}

int main() {
    auto const w = matrix();
    show<dense<float>{}>("dense<float>", w);
    show<dense<bf16>{}>("dense<bf16>", w);
    show<dense<f16>{}>("dense<f16>", w);
    show<int8_rows{}>("int8_rows", w);
    show<int8_blocks{}>("int8_blocks", w);
    show<int4_blocks{.size = 128}>("int4_blocks, size 128", w);
    show<int4_blocks{}>("int4_blocks", w);
    show<int4_blocks{.zero_point = true}>("int4_blocks, zero_point", w);
    show<mxfp4{}>("mxfp4", w);
    show<ternary{}>("ternary", w);
}
