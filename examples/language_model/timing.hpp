// SPDX-License-Identifier: MIT
// How fast the model is, where the time of a byte goes, and how fast memory can be read.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "generate.hpp"
#include "model.hpp"

#include "prytany/core/buffer.hpp"
#include "prytany/simd/batch.hpp"

namespace example {

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
}
/// Adds up how long each part of one pass takes; the part after the last is the caller's own.
class stopwatch final : public listener {
public:
    void passed(std::size_t part) override {
        auto const now = clock::now();
        spent_[part] += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }
    void start() { last_ = clock::now(); }
    /// Ends a pass: keeps its sums.
    void keep() {
        passed(parts);
        for (std::size_t i = 0; i <= parts; ++i) all_[i].push_back(std::exchange(spent_[i], 0.0));
    }
    index_t passes() const noexcept { return std::ssize(all_[0]); }
    std::array<double, parts + 1> medians() const {
        std::array<double, parts + 1> of{};
        std::transform(all_.begin(), all_.end(), of.begin(), median);
        return of;
    }

private:
    clock::time_point last_{};
    std::array<double, parts + 1> spent_{};
    std::array<std::vector<double>, parts + 1> all_;
};

struct speeds {
    double prompt = 0, generation = 0;     ///< bytes a second
    std::array<double, parts + 1> spent{}; ///< seconds of one byte, by part; the last: choosing
    index_t passes = 0;                    ///< of which these are the medians
};

/// Writes the same text again and again for about `seconds`, every other time with a stopwatch.
inline speeds measure(model& with, generation const& done, double seconds) {
    std::array<float, byte_values> memory;
    prytany::matrix_view<float> const logits(memory.data(), 1, byte_values);
    listener nobody;
    stopwatch watch;
    chooser choose(0, 0);
    std::vector<double> prompts, passes;
    std::int32_t volatile chosen = 0; // so that choosing is not left out
    auto const start = clock::now();
    progress bar("measuring", std::ssize(done.written));
    for (int round = 0; round < 2 || seconds_since(start) < seconds; ++round) {
        with.restart();
        auto const first = clock::now();
        with.feed(done.prompt, logits, nobody);
        chosen = choose(memory);
        prompts.push_back(seconds_since(first));
        auto const then = clock::now();
        index_t fed = 0;
        for (auto const& byte : done.written) {
            if (round > 1 && seconds_since(start) > 2 * seconds) break; // a large model
            if (round % 2 == 0) {
                with.feed({&byte, 1}, logits, nobody);
                chosen = choose(memory);
            } else {
                watch.start();
                with.feed({&byte, 1}, logits, watch);
                chosen = choose(memory);
                watch.keep();
            }
            ++fed;
            bar.advance(round < 2);
        }
        if (round % 2 == 0 && fed > 0)
            passes.push_back(seconds_since(then) / static_cast<double>(fed));
    }
    (void)chosen;
    return {static_cast<double>(done.prompt.size()) / median(prompts), 1 / median(passes),
            watch.medians(), watch.passes()};
}

/// Bytes a second of reading a buffer of this size from start to end, again and again: the best of
/// several times. What fits in a cache is read from there.
inline double reading_rate(prytany::thread_pool& pool, index_t bytes, double seconds) {
    using namespace prytany;
    constexpr index_t floats = 4096; // of one item: 16 kB
    index_t const items = std::max<index_t>(1, bytes / (floats * index_t{sizeof(float)}));
    buffer<float> const memory(items * floats);
    buffer<float> sums(pool.width() * floats);
    double best = 0;
    auto const begin = clock::now();
    for (int round = 0; round < 3 || seconds_since(begin) < seconds; ++round) {
        auto const start = clock::now();
        index_t const together = std::max<index_t>(1, items / (8 * pool.width()));
        pool.for_each((items + together - 1) / together, [&](index_t i, index_t worker) {
            simd::floats a = simd::fill(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
            float const* from = memory.data() + i * together * floats;
            float const* const to = memory.data() + std::min(items, (i + 1) * together) * floats;
            for (; from != to; from += 8 * lanes) {
                a = a + simd::load(from);
                b = b + simd::load(from + lanes);
                c = c + simd::load(from + 2 * lanes);
                d = d + simd::load(from + 3 * lanes);
                e = e + simd::load(from + 4 * lanes);
                f = f + simd::load(from + 5 * lanes);
                g = g + simd::load(from + 6 * lanes);
                h = h + simd::load(from + 7 * lanes);
            }
            sums[worker * floats] += simd::sum(((a + b) + (c + d)) + ((e + f) + (g + h)));
        });
        best = std::max(best,
                        static_cast<double>(memory.size()) * sizeof(float) / seconds_since(start));
    }
    float volatile kept = sums[0]; // so that reading is not left out
    (void)kept;
    return best;
}

} // namespace example
