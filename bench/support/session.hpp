// SPDX-License-Identifier: MIT
// One run of a benchmark program: what the user chose, what lies in memory, how calls are counted.
#pragma once

#include <cmath>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "support/limits.hpp"
#include "support/machine.hpp"

namespace bench {

/// What the command line says beyond Google Benchmark's own options.
struct choices {
    std::vector<index_t> tokens;  ///< --tokens=1,8,64; else each program's own
    std::vector<index_t> threads; ///< --threads=1,2; else 1 and the number of cores
    double memory = 12e9;         ///< --gigabytes=12; at most what is free, less 2 GB
    bool pin = true;              ///< --pin=off
    std::map<index_t, std::unique_ptr<meter>> meters = {}; ///< by threads
};
inline choices& chosen() {
    static choices one;
    return one;
}

/// A source's list of benchmarks, added once the command line is read.
using registration = void (*)();
inline std::vector<registration>& registrations() {
    static std::vector<registration> all;
    return all;
}
inline int add_later(registration add) {
    registrations().push_back(add);
    return 0;
}

/// Layers and matrices between benchmarks, the least recently used given back when memory is short.
class store {
public:
    /// The object of this name; `make()` returns a shared_ptr to a new one of about `bytes`.
    template <class T, class Make>
    std::shared_ptr<T> get(std::string const& name, double bytes, Make&& make) {
        auto found = held_.find(name);
        if (found == held_.end()) {
            while (!held_.empty() && bytes + total() > chosen().memory) give_back();
            found = held_.emplace(name, entry{make(), bytes, 0}).first;
        }
        found->second.used = ++clock_;
        return std::static_pointer_cast<T>(found->second.object);
    }

private:
    struct entry {
        std::shared_ptr<void> object;
        double bytes;
        long used;
    };
    std::map<std::string, entry> held_;
    long clock_ = 0;

    double total() const {
        double sum = 0;
        for (auto const& [name, one] : held_) sum += one.bytes;
        return sum;
    }
    void give_back() {
        auto oldest = held_.begin();
        for (auto it = held_.begin(); it != held_.end(); ++it)
            if (it->second.used < oldest->second.used) oldest = it;
        held_.erase(oldest);
    }
};
inline store& in_memory() {
    static store one;
    return one;
}
/// Whether there is room for something so large; says so where not.
inline bool has_room(std::string const& name, double bytes) {
    if (bytes <= chosen().memory) return true;
    std::fprintf(stderr, "left out: %s needs %.1f GB, %.1f are free\n", name.c_str(), 1e-9 * bytes,
                 1e-9 * chosen().memory);
    return false;
}

/// What one call does.
struct cost {
    double tokens, operations, bytes;
    bound unit;
    index_t threads;
};
/// Times every call; the counters come from the median call, and its share of the limits from their
/// means just before and just after: on shared machines all of them drift together.
template <class Call>
void time_calls(benchmark::State& state, cost const& of, Call&& call) {
    auto const& limit = chosen().meters[of.threads];
    call(); // brings its own data in, and pages
    std::vector<double> times;
    times.reserve(1 << 12);
    auto const before = limit ? limit->now(of.unit) : meter::moment{};
    for (auto _ : state) {
        auto const start = clock::now();
        call();
        benchmark::ClobberMemory();
        times.push_back(seconds_since(start));
    }
    double const seconds = median(times);
    double const operations = 1e-9 * of.operations / seconds, bytes = 1e-9 * of.bytes / seconds;
    state.counters["tokens_per_second"] = of.tokens / seconds;
    state.counters["gflops"] = operations;
    state.counters["gbytes_per_second"] = bytes;
    if (!limit) return;
    auto const after = limit->now(of.unit);
    double const limit_gops = (before.operations + after.operations) / 2,
                 limit_gbytes = (before.bytes + after.bytes) / 2;
    state.counters["limit_gops"] = limit_gops;
    state.counters["limit_gbytes"] = limit_gbytes;
    state.counters["share_of_limit"] = std::max(operations / limit_gops, bytes / limit_gbytes);
}
/// Words in a row (g++ 12 warns of its own operator+).
inline std::string joined(std::initializer_list<std::string_view> words) {
    std::string all;
    for (auto const word : words) all += word;
    return all;
}
inline std::string ending(index_t tokens, index_t threads) {
    return joined({"/T:", std::to_string(tokens), "/threads:", std::to_string(threads)});
}

/// Weights with the variance of an initialised layer, the same for every contender.
inline std::vector<float> weights(std::uint32_t seed, index_t rows, index_t cols, bool ternary) {
    std::vector<float> all(static_cast<std::size_t>(rows * cols));
    noise random(seed);
    float const scale = std::sqrt(3.0f / static_cast<float>(cols));
    for (auto& value : all) {
        float const drawn = random();
        value = ternary ? std::copysign(scale, drawn) : scale * drawn;
    }
    return all;
}
/// Whether a format keeps only -1, 0 and 1: it gets -1 and 1, which every quantiser keeps.
inline bool is_ternary(std::string_view format) {
    return format.starts_with("ternary") || format.starts_with("tq");
}
/// The square error of `got` in units of the square of `wanted`.
inline double square_error(std::vector<double> const& wanted, std::vector<double> const& got) {
    double error = 0, all = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        error += (wanted[i] - got[i]) * (wanted[i] - got[i]);
        all += wanted[i] * wanted[i];
    }
    return error / all;
}
/// Coarse formats round; a contender that is further off computes something else.
inline constexpr double most_square_error = 0.1;

} // namespace bench
