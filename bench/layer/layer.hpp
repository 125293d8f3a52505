// SPDX-License-Identifier: MIT
// How every contender's layer is named, made, fed, checked and timed.
//
// A contender is a class: Layer(layer_size, expert_numbers) packs one expert and copies it to the
// others, so that every expert has memory of its own;
//
//     bytes_of_expert()
//     forward(batch, y, pool)         the routing of the batch is given; ours makes its own
//     open(threads), close()          around each benchmark, where it has threads of its own
//
// All experts being equal and their weights adding up to one, the layer must give f(x) of one.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "prytany/core/matrix_view.hpp"
#include "support/session.hpp"

namespace bench {

struct layer_size {
    index_t experts, k, model, hidden;

    std::string name() const {
        return joined({"E", std::to_string(experts), "_k", std::to_string(k), "_h",
                       std::to_string(model), "_i", std::to_string(hidden)});
    }
    /// Weights of one expert.
    double weights() const { return 3.0 * static_cast<double>(model * hidden); }
};
namespace sizes {
inline constexpr layer_size qwen3_30b_a3b{128, 8, 2048, 768}, mixtral_8x7b{8, 2, 4096, 14336},
    olmoe{64, 8, 2048, 1024}, granite_1b{32, 8, 1024, 512}, few_wide{8, 2, 1024, 3584},
    bytes_moe{16, 4, 128, 64};
inline constexpr std::array all{qwen3_30b_a3b, mixtral_8x7b, olmoe,
                                granite_1b,    few_wide,     bytes_moe};
} // namespace sizes

/// One expert as a checkpoint has it: gate and up [hidden, model], down [model, hidden].
struct expert_numbers {
    std::vector<float> gate, up, down;

    expert_numbers(layer_size const& size, bool ternary)
        : gate(weights(1, size.hidden, size.model, ternary)),
          up(weights(2, size.hidden, size.model, ternary)),
          down(weights(3, size.model, size.hidden, ternary)) {}
};
/// The router's row of one expert.
inline std::vector<float> router_row(layer_size const& size, index_t expert) {
    return weights(static_cast<std::uint32_t>(100 + expert), 1, size.model, false);
}

/// Tokens and where they go.
struct batch {
    matrix_view<float const> x;
    std::vector<std::int32_t> experts; // [tokens, k]
    std::vector<float> weights;
    index_t busy; // experts with at least one token
};
/// Sixteen batches in turn, so that a layer reads other experts each time.
struct batches {
    buffer<float> x;
    std::vector<batch> all;
    double busy; // experts, mean

    static constexpr index_t count = 16;
    batches(layer_size const& size, index_t tokens); // in batches.cpp
};

/// act(x G^T) ⊙ (x U^T) · D^T of one token, in double.
inline std::vector<double> expert_of(layer_size const& size, expert_numbers const& numbers,
                                     float const* x) {
    auto const product = [](float const* row, auto const* in, index_t count) {
        double sums[4] = {};
        for (index_t i = 0; i < count; ++i) sums[i % 4] += double{row[i]} * double{in[i]};
        return sums[0] + sums[1] + sums[2] + sums[3];
    };
    std::vector<double> inner, out;
    for (index_t i = 0; i < size.hidden; ++i) {
        double const gate = product(numbers.gate.data() + i * size.model, x, size.model);
        inner.push_back(gate / (1 + std::exp(-gate)) *
                        product(numbers.up.data() + i * size.model, x, size.model));
    }
    for (index_t i = 0; i < size.model; ++i)
        out.push_back(product(numbers.down.data() + i * size.hidden, inner.data(), size.hidden));
    return out;
}

template <class Layer>
void open(Layer& layer, index_t threads) {
    if constexpr (requires { layer.open(threads); }) layer.open(threads);
}
template <class Layer>
void close(Layer& layer) {
    if constexpr (requires { layer.close(); }) layer.close();
}

/// A layer that has shown that it computes what it should; else `error` is large.
template <class Layer>
struct checked_layer {
    std::unique_ptr<Layer> layer;
    double error = 0;

    checked_layer(layer_size const& size, bool ternary) {
        expert_numbers const numbers(size, ternary);
        layer = std::make_unique<Layer>(size, numbers);
        batches const few(size, 3);
        thread_pool pool(2);
        buffer<float> y(3 * size.model);
        open(*layer, 2);
        layer->forward(few.all[0], {y.data(), 3, size.model}, pool);
        close(*layer);
        std::vector<double> got(y.data() + 2 * size.model, y.data() + 3 * size.model);
        error = square_error(expert_of(size, numbers, few.all[0].x.row(2)), got);
    }
};

/// How a layer that is shared by several contenders is called.
template <class Layer>
using caller = void (*)(Layer&, batch const&, matrix_view<float>, thread_pool&);
template <class Layer>
void call_forward(Layer& layer, batch const& in, matrix_view<float> y, thread_pool& pool) {
    layer.forward(in, y, pool);
}

template <class Layer>
struct contender {
    std::string who, format; ///< as in the names of benchmarks
    bound unit = bound::fma;
    double bytes_of_weight = 4; ///< about, to plan memory
    std::string store = "";     ///< of the layer; by default its own
    caller<Layer> call = call_forward<Layer>;
    std::vector<index_t> tokens = {}; ///< instead of those of all contenders
    std::vector<index_t> threads = {};
};

template <class Layer>
void run_layer(benchmark::State& state, contender<Layer> const& who, std::string const& key,
               layer_size const& size, index_t tokens, index_t threads) {
    double const bytes = static_cast<double>(size.experts) * size.weights() * who.bytes_of_weight;
    auto const feed =
        in_memory().get<batches>(joined({"batches/", size.name(), ending(tokens, 1)}),
                                 static_cast<double>(batches::count * tokens * size.model * 4),
                                 [&] { return std::make_shared<batches>(size, tokens); });
    auto const held = in_memory().get<checked_layer<Layer>>(key, bytes, [&] {
        return std::make_shared<checked_layer<Layer>>(size, is_ternary(who.format));
    });
    if (!(held->error < most_square_error))
        return state.SkipWithError("another result than the expert in double");
    auto& layer = *held->layer;
    buffer<float> y(tokens * size.model);
    double const t = static_cast<double>(tokens);
    {
        thread_pool pool(threads);
        pinned const own_cores(pool, chosen().pin);
        open(layer, threads);
        std::size_t next = 0;
        time_calls(state,
                   {t, 2 * t * static_cast<double>(size.k) * size.weights(),
                    feed->busy * layer.bytes_of_expert(), who.unit, threads},
                   [&] {
                       who.call(layer, feed->all[next], {y.data(), tokens, size.model}, pool);
                       next = (next + 1) % feed->all.size();
                   });
        close(layer);
    }
}

/// Adds a contender at one size.
template <class Layer>
void add_layer(layer_size const& size, contender<Layer> who) {
    std::vector<index_t> tokens = chosen().tokens;
    if (tokens.empty())
        tokens = who.tokens.empty() ? std::vector<index_t>{1, 8, 64, 512} : who.tokens;
    auto const& threads = who.threads.empty() ? chosen().threads : who.threads;
    std::string const name = joined({"layer/", who.who, "/", who.format, "/", size.name()});
    std::string const key = who.store.empty() ? name : joined({who.store, "/", size.name()});
    if (!has_room(name, static_cast<double>(size.experts) * size.weights() * who.bytes_of_weight))
        return;
    for (index_t const count : tokens)
        for (index_t const width : threads)
            benchmark::RegisterBenchmark(
                joined({name, ending(count, width)}).c_str(),
                [=](benchmark::State& state) { run_layer(state, who, key, size, count, width); })
                ->Unit(benchmark::kMicrosecond);
}

} // namespace bench
