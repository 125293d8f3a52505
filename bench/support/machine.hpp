// SPDX-License-Identifier: MIT
// What the machine can do, measured in the process that measures everything else.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/simd/batch.hpp"

namespace bench {

using namespace prytany;
using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
}
inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    auto const middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}
/// Numbers in [-1, 1), cheap enough for gigabytes of weights.
class noise {
public:
    explicit noise(std::uint32_t seed) : state_(seed * 2654435761u + 1) {}
    float operator()() noexcept {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return static_cast<float>(static_cast<std::int32_t>(state_)) * 0x1p-31f;
    }

private:
    std::uint32_t state_;
};

/// Keeps a value that nobody reads.
template <class T>
void keep(T const& value) {
    asm volatile("" : : "r,m"(value) : "memory");
}

/// Reads 4 · quarter floats as four streams.
inline void read_streams(float const* memory, index_t quarter) {
    constexpr index_t line = 4 * panel_lanes; // floats of one stream and step
    simd::floats sums[8];
    for (auto& sum : sums) sum = simd::fill(0);
    for (index_t i = 0; i + line <= quarter; i += line) {
        PRYTANY_UNROLL
        for (index_t s = 0; s < 4; ++s) {
            float const* const from = memory + s * quarter + i;
            PRYTANY_UNROLL
            for (index_t j = 0; j < line / lanes; ++j)
                sums[static_cast<std::size_t>(j)] =
                    sums[static_cast<std::size_t>(j)] + simd::load(from + j * lanes);
        }
    }
    for (auto const& sum : sums) keep(simd::sum(sum));
}
/// GB/s of one core reading a buffer again and again as four streams: the best of several times.
inline double read_rate(index_t bytes, double seconds) {
    constexpr index_t line = 4 * panel_lanes;
    index_t const quarter = bytes / (4 * index_t{sizeof(float)}) / line * line;
    buffer<float> memory(4 * quarter);
    for (index_t i = 0; i < memory.size(); i += 1024) memory[i] = 1.0f; // own pages
    double best = 0;
    auto const begin = clock::now();
    for (int round = 0; round < 3 || seconds_since(begin) < seconds; ++round) {
        auto const start = clock::now();
        read_streams(memory.data(), quarter);
        best = std::max(best, 4e-9 * static_cast<double>(memory.size()) / seconds_since(start));
    }
    return best;
}

} // namespace bench
