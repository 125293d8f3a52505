// SPDX-License-Identifier: MIT
// How every contender's product is named, fed, checked and timed.
//
// A contender is a class with the weights of one matrix, copyable, and a function that multiplies:
//
//     matrix(matrix_size, plain weights [outputs, inputs])     bytes()
//     static void multiply(rows, matrix, y)                    y [tokens, outputs]
//
// `rows(x, tokens, inputs)` is what the contender makes of the rows before the product; a layer
// does that once for all of its experts, so it is not part of the time. `prepare(rows, matrices)`,
// where a contender has it, may change the layout of the weights for a number of rows; it is not
// timed either.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "support/session.hpp"

namespace bench {

struct matrix_size {
    index_t inputs, outputs;

    std::string name() const {
        return joined({"K", std::to_string(inputs), "_N", std::to_string(outputs)});
    }
    double weights() const { return static_cast<double>(inputs * outputs); }
};
inline constexpr matrix_size expert_matrices[] = {
    {512, 1024}, {1024, 3584}, {2048, 768}, {2048, 1024}, {4096, 14336}};
/// Matrices rotate, so that weights come from memory.
inline constexpr double rotation_bytes = 256 * 1048576.0;

/// Rows as they are.
struct plain_rows {
    float const* x;
    index_t tokens, inputs;
};

template <class Contender>
std::vector<typename Contender::matrix> rotation(matrix_size const& size, bool ternary) {
    using matrix = typename Contender::matrix;
    auto const plain = weights(1, size.outputs, size.inputs, ternary);
    std::vector<matrix> all;
    all.emplace_back(size, plain.data());
    auto const count =
        static_cast<std::size_t>(rotation_bytes / static_cast<double>(all[0].bytes())) + 1;
    all.reserve(count);
    while (all.size() < count) all.push_back(all[0]);
    return all;
}
/// Compares a few outputs of the last token with sums in double.
inline double error_of(matrix_size const& size, bool ternary, float const* x, float const* y) {
    auto const plain = weights(1, size.outputs, size.inputs, ternary);
    std::vector<double> wanted, got;
    for (index_t n = 0; n < size.outputs; n += size.outputs / 64) {
        double sum = 0;
        for (index_t k = 0; k < size.inputs; ++k)
            sum += double{x[k]} * double{plain[static_cast<std::size_t>(n * size.inputs + k)]};
        wanted.push_back(sum);
        got.push_back(double{y[n]});
    }
    return square_error(wanted, got);
}

template <class Contender>
void run_product(benchmark::State& state, std::string const& key, matrix_size const& size,
                 bool ternary, bound unit, index_t tokens) {
    using matrix = typename Contender::matrix;
    auto const held =
        in_memory().get<std::vector<matrix>>(key, rotation_bytes + 4 * size.weights(), [&] {
            return std::make_shared<std::vector<matrix>>(rotation<Contender>(size, ternary));
        });
    auto& matrices = *held;
    thread_pool alone(1);
    pinned const own_core(alone, chosen().pin);
    buffer<float> x(tokens * size.inputs), y(tokens * size.outputs);
    noise random(7);
    for (index_t i = 0; i < x.size(); ++i) x[i] = random();
    typename Contender::rows rows{x.data(), tokens, size.inputs};
    if constexpr (requires { Contender::prepare(rows, matrices); })
        Contender::prepare(rows, matrices);
    Contender::multiply(rows, matrices[0], y.data());
    index_t const last = tokens - 1;
    if (!(error_of(size, ternary, x.data() + last * size.inputs, y.data() + last * size.outputs) <
          most_square_error))
        return state.SkipWithError("another result than the sums in double");
    double const t = static_cast<double>(tokens);
    std::size_t next = 0;
    time_calls(state,
               {t, 2 * t * size.weights(), static_cast<double>(matrices[0].bytes()), unit, 1}, [&] {
                   Contender::multiply(rows, matrices[next], y.data());
                   benchmark::DoNotOptimize(y.data());
                   next = next + 1 == matrices.size() ? 0 : next + 1;
               });
}

/// Adds a contender for all matrices and numbers of tokens, those up to `most_tokens`.
template <class Contender>
void add_product(std::string const& who, std::string const& format, bound unit = bound::fma,
                 index_t most_tokens = 512) {
    std::vector<index_t> tokens = chosen().tokens;
    if (tokens.empty()) tokens = {1, 2, 4, 8, 16, 32, 64, 128, 512};
    bool const ternary = is_ternary(format);
    for (matrix_size const size : expert_matrices)
        for (index_t const count : tokens) {
            if (count > most_tokens) continue;
            std::string const key = joined({"kernel/", who, "/", format, "/", size.name()});
            benchmark::RegisterBenchmark(joined({key, ending(count, 1)}).c_str(),
                                         [=](benchmark::State& state) {
                                             run_product<Contender>(state, key, size, ternary, unit,
                                                                    count);
                                         })
                ->Unit(benchmark::kMicrosecond);
        }
}

/// Weights as a checkpoint has them, one row an output.
struct plain_matrix {
    matrix_size size;
    buffer<float> numbers;

    plain_matrix(matrix_size const& of, float const* from)
        : size(of), numbers(of.inputs * of.outputs) {
        std::copy_n(from, numbers.size(), numbers.data());
    }
    index_t bytes() const { return numbers.size() * index_t{sizeof(float)}; }
};

} // namespace bench
