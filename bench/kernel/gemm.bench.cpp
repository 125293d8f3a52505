// SPDX-License-Identifier: MIT
// Rows times the weights of one expert matrix on one core: ours, a plain loop, Eigen, OpenBLAS where it
// is found. Weights rotate over a set larger than the caches, as in a layer with many experts.
//
// Counters: GFLOP/s and GB/s of weights read; fma_% and read_% are their shares of what this process
// measured the core to do on registers alone and when reading 256 MiB as four streams.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <benchmark/benchmark.h>
#if defined(PRYTANY_BENCH_OPENBLAS)
#include <cblas.h>
extern "C" void openblas_set_num_threads(int);
#endif

#include "prytany/kernel/gemm.hpp"
#include "support/machine.hpp"

namespace {

using namespace bench;

struct problem {
    index_t tokens, inputs, outputs;
};

/// Matrices of one product, made once for all numbers of tokens; those of another size are freed.
template <class Matrix, class Make>
std::vector<Matrix> const& rotation(problem const& size, index_t bytes_of_one, Make&& make) {
    static std::vector<Matrix> matrices;
    static index_t inputs = 0, outputs = 0;
    if (size.inputs == inputs && size.outputs == outputs) return matrices;
    matrices.clear();
    inputs = size.inputs;
    outputs = size.outputs;
    index_t const count = (index_t{96} << 20) / bytes_of_one + 1;
    for (index_t i = 0; i < count; ++i) matrices.push_back(make(i));
    return matrices;
}
/// A matrix as a checkpoint has it, one row an output.
buffer<float> plain(problem const& size, index_t seed) {
    buffer<float> all(size.inputs * size.outputs);
    noise random(static_cast<std::uint32_t>(seed));
    for (index_t i = 0; i < all.size(); ++i) all[i] = random();
    return all;
}

template <auto Format>
struct ours {
    using element = typename packed<Format>::element;
    using matrix = packed<Format>;
    static matrix make(problem const& size, index_t seed) {
        matrix one(size.outputs, size.inputs);
        auto const from = plain(size, seed);
        for (index_t r = 0; r < size.outputs; ++r)
            one.pack(r, {from.data() + r * size.inputs, static_cast<std::size_t>(size.inputs)});
        return one;
    }
    static void multiply(problem const& size, float const* x, matrix const& w, float* y) {
        kernel::multiply(kernel::picked_rows{x, size.inputs}, size.tokens, w, 0, w.panels(),
                         [&](index_t row, index_t panel, simd::float_pair sum) {
                             index_t const column = panel * panel_lanes;
                             simd::store_pair(y + row * size.outputs + column, sum,
                                              size.outputs - column);
                         });
    }
};

struct stored_plainly {
    using element = float;
    using matrix = buffer<float>;
    static matrix make(problem const& size, index_t seed) { return plain(size, seed); }
};

struct naive : stored_plainly {
    static void multiply(problem const& size, float const* x, matrix const& w, float* y) {
        for (index_t t = 0; t < size.tokens; ++t)
            for (index_t n = 0; n < size.outputs; ++n) {
                float sum = 0;
                for (index_t k = 0; k < size.inputs; ++k)
                    sum += x[t * size.inputs + k] * w[n * size.inputs + k];
                y[t * size.outputs + n] = sum;
            }
    }
};

struct eigen : stored_plainly {
    static void multiply(problem const& size, float const* x, matrix const& w, float* y) {
        using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        Eigen::Map<rows const> const input(x, size.tokens, size.inputs);
        Eigen::Map<rows const> const weights(w.data(), size.outputs, size.inputs);
        if (size.tokens == 1) { // else Eigen runs a matrix product on one row
            Eigen::Map<Eigen::VectorXf>(y, size.outputs).noalias() =
                weights * input.row(0).transpose();
            return;
        }
        Eigen::Map<rows>(y, size.tokens, size.outputs).noalias() = input * weights.transpose();
    }
};

#if defined(PRYTANY_BENCH_OPENBLAS)
struct openblas : stored_plainly {
    static void multiply(problem const& size, float const* x, matrix const& w, float* y) {
        auto const m = static_cast<int>(size.tokens), k = static_cast<int>(size.inputs),
                   n = static_cast<int>(size.outputs);
        if (m == 1)
            return cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0f, w.data(), k, x, 1, 0.0f, y,
                               1);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, x, k, w.data(), k, 0.0f,
                    y, n);
    }
};
#endif

template <class Product>
void run(benchmark::State& state, problem const& size) {
    using matrix = typename Product::matrix;
    index_t const weights = size.inputs * size.outputs;
    double const bytes =
        static_cast<double>(weights) * static_cast<double>(sizeof(typename Product::element));
    double const fma = fma_peak(), read = read_peak();
    auto const& matrices = rotation<matrix>(size, static_cast<index_t>(bytes), [&](index_t seed) {
        return Product::make(size, seed + 1);
    });
    buffer<float> x(size.tokens * size.inputs), y(size.tokens * size.outputs);
    noise random(7);
    for (index_t i = 0; i < x.size(); ++i) x[i] = random();
    std::size_t next = 0;
    auto const start = clock::now();
    for (auto _ : state) {
        Product::multiply(size, x.data(), matrices[next], y.data());
        benchmark::DoNotOptimize(y.data());
        benchmark::ClobberMemory();
        next = next + 1 == matrices.size() ? 0 : next + 1;
    }
    double const seconds = seconds_since(start) / static_cast<double>(state.iterations());
    double const gflops = 2e-9 * static_cast<double>(weights * size.tokens) / seconds,
                 gigabytes = 1e-9 * bytes / seconds;
    state.counters["GFLOP/s"] = gflops;
    state.counters["fma_%"] = 100 * gflops / fma;
    state.counters["GB/s"] = gigabytes;
    state.counters["read_%"] = 100 * gigabytes / read;
}

template <class Product>
void add(std::string const& name, index_t most_tokens = 512) {
    for (problem size : {problem{0, 512, 1024}, {0, 2048, 768}, {0, 1024, 3584}})
        for (index_t const tokens : {1, 4, 16, 64, 512}) {
            if (tokens > most_tokens) continue;
            size.tokens = tokens;
            benchmark::RegisterBenchmark(
                (std::to_string(size.inputs) + "x" + std::to_string(size.outputs) + "/" + name +
                 "/" + std::to_string(tokens))
                    .c_str(),
                [=](benchmark::State& state) { run<Product>(state, size); })
                ->MinTime(0.2)
                ->UseRealTime()
                ->Unit(benchmark::kMicrosecond);
        }
}

int const registered = [] {
    add<ours<dense<float>{}>>("prytany_f32");
    add<ours<dense<bf16>{}>>("prytany_bf16");
    add<ours<dense<f16>{}>>("prytany_f16");
    add<eigen>("eigen_f32");
#if defined(PRYTANY_BENCH_OPENBLAS)
    openblas_set_num_threads(1);
    add<openblas>("openblas_f32");
#endif
    add<naive>("naive_f32", 16);
    return 0;
}();

} // namespace
