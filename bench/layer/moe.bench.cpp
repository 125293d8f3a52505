// SPDX-License-Identifier: MIT
// Whole layers, router included: ours, its dynamic twin, an Eigen loop with the experts in parallel on
// the same pool, a plain loop on one core. Each call brings other tokens, so other experts.
//
// Counters: tokens/s; GFLOP/s of the routed experts (6 · k · model · hidden a token); GB/s of the
// expert weights that a call reads, each expert once.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <benchmark/benchmark.h>

#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/machine.hpp"

namespace {

using namespace bench;
using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct sizes {
    index_t model, hidden, experts, k;
};
/// The numbers of a layer as a checkpoint has them, the same for every contender.
template <class Visit>
void numbers_of(std::uint32_t seed, index_t cols, index_t count, Visit&& visit) {
    std::vector<float> row(static_cast<std::size_t>(cols));
    noise random(seed);
    float const scale = std::sqrt(3.0f / static_cast<float>(cols));
    for (index_t r = 0; r < count; ++r) {
        for (auto& value : row) value = scale * random();
        visit(r, std::span<float const>(row));
    }
}

template <sizes S, auto Format, bool Fixed>
struct ours {
    static constexpr shape fixed =
        Fixed ? shape{.model = S.model, .hidden = S.hidden, .experts = S.experts} : shape{};
    static constexpr index_t k = Fixed ? S.k : dynamic;
    using layer = moe<fixed, top_k{.k = k}, ffn{swiglu}, Format>;
    static constexpr index_t element = sizeof(typename packed<Format>::element);

    layer held{shape{.model = S.model, .hidden = S.hidden, .experts = S.experts},
               {.router = {.k = S.k}}};
    workspace ws;

    ours() {
        std::uint32_t seed = 0;
        held.for_each_tensor([&](auto const& t) {
            numbers_of(++seed, t.cols, t.rows,
                       [&](index_t r, std::span<float const> row) { t.pack_row(r, row); });
        });
    }
    void forward(matrix_view<float const> x, matrix_view<float> y, thread_pool& pool) {
        held.forward(x, y, ws, pool);
    }
};

/// Weights as rows, and the routing that the loops share.
template <sizes S>
struct plain_layer {
    static constexpr index_t element = sizeof(float);
    struct expert {
        buffer<float> gate{S.hidden * S.model}, up{S.hidden * S.model}, down{S.model * S.hidden};
    };
    struct slot {
        index_t token;
        float weight;
    };
    rows router{S.experts, S.model};
    std::vector<expert> experts{static_cast<std::size_t>(S.experts)};
    std::vector<std::vector<slot>> slots{static_cast<std::size_t>(S.experts)};

    plain_layer() {
        std::uint32_t seed = 0;
        auto const fill = [&](float* to, index_t count, index_t cols) {
            numbers_of(++seed, cols, count, [&](index_t r, std::span<float const> row) {
                std::copy(row.begin(), row.end(), to + r * cols);
            });
        };
        fill(router.data(), S.experts, S.model);
        for (auto& one : experts) {
            fill(one.gate.data(), S.hidden, S.model);
            fill(one.up.data(), S.hidden, S.model);
            fill(one.down.data(), S.model, S.hidden);
        }
    }
    void route(matrix_view<float const> x) {
        for (auto& list : slots) list.clear();
        rows const logits = Eigen::Map<rows const>(x.data, x.rows, x.cols) * router.transpose();
        std::vector<index_t> order(static_cast<std::size_t>(S.experts));
        for (index_t t = 0; t < x.rows; ++t) {
            std::iota(order.begin(), order.end(), index_t{0});
            std::partial_sort(order.begin(), order.begin() + S.k, order.end(),
                              [&](index_t a, index_t b) { return logits(t, a) > logits(t, b); });
            float sum = 0;
            for (index_t i = 0; i < S.k; ++i)
                sum +=
                    std::exp(logits(t, order[static_cast<std::size_t>(i)]) - logits(t, order[0]));
            for (index_t i = 0; i < S.k; ++i) {
                index_t const e = order[static_cast<std::size_t>(i)];
                slots[static_cast<std::size_t>(e)].push_back(
                    {t, std::exp(logits(t, e) - logits(t, order[0])) / sum});
            }
        }
    }
};

template <sizes S>
struct eigen : plain_layer<S> {
    std::vector<rows> results{static_cast<std::size_t>(S.experts)};

    void forward(matrix_view<float const> x, matrix_view<float> y, thread_pool& pool) {
        this->route(x);
        Eigen::Map<rows const> const input(x.data, x.rows, x.cols);
        pool.for_each(S.experts, [&](index_t e, index_t) {
            auto const at = static_cast<std::size_t>(e);
            auto const& mine = this->slots[at];
            auto const count = std::ssize(mine);
            if (count == 0) return;
            auto const& weights = this->experts[at];
            Eigen::Map<rows const> const gate(weights.gate.data(), S.hidden, S.model),
                up(weights.up.data(), S.hidden, S.model),
                down(weights.down.data(), S.model, S.hidden);
            results[at].resize(count, S.model);
            if (count == 1) { // products of a matrix and a vector: Eigen streams those
                Eigen::VectorXf const row = input.row(mine[0].token).transpose();
                Eigen::VectorXf const g = gate * row, u = up * row;
                Eigen::VectorXf const inner = g.array() / (1.0f + (-g.array()).exp()) * u.array();
                results[at].row(0).noalias() = (down * inner).transpose();
            } else {
                rows some(count, S.model);
                for (index_t i = 0; i < count; ++i)
                    some.row(i) = input.row(mine[static_cast<std::size_t>(i)].token);
                rows const g = some * gate.transpose(), u = some * up.transpose();
                rows const inner = g.array() / (1.0f + (-g.array()).exp()) * u.array();
                results[at].noalias() = inner * down.transpose();
            }
        });
        Eigen::Map<rows> out(y.data, y.rows, y.cols);
        out.setZero();
        for (std::size_t e = 0; e < results.size(); ++e)
            for (std::size_t i = 0; i < this->slots[e].size(); ++i)
                out.row(this->slots[e][i].token) +=
                    this->slots[e][i].weight * results[e].row(static_cast<index_t>(i));
    }
};

template <sizes S>
struct naive : plain_layer<S> {
    static void product(float const* w, float const* x, float* y, index_t outputs, index_t inputs) {
        for (index_t n = 0; n < outputs; ++n) {
            float sum = 0;
            for (index_t i = 0; i < inputs; ++i) sum += x[i] * w[n * inputs + i];
            y[n] = sum;
        }
    }
    void forward(matrix_view<float const> x, matrix_view<float> y, thread_pool&) {
        this->route(x);
        for (index_t t = 0; t < y.rows; ++t) std::fill_n(y.row(t), y.cols, 0.0f);
        std::vector<float> g(static_cast<std::size_t>(S.hidden)), u(g.size()),
            out(static_cast<std::size_t>(S.model));
        for (std::size_t e = 0; e < this->experts.size(); ++e)
            for (auto const& one : this->slots[e]) {
                product(this->experts[e].gate.data(), x.row(one.token), g.data(), S.hidden,
                        S.model);
                product(this->experts[e].up.data(), x.row(one.token), u.data(), S.hidden, S.model);
                for (std::size_t i = 0; i < g.size(); ++i) g[i] *= u[i] / (1 + std::exp(-g[i]));
                product(this->experts[e].down.data(), g.data(), out.data(), S.model, S.hidden);
                for (index_t c = 0; c < S.model; ++c)
                    y.row(one.token)[c] += one.weight * out[static_cast<std::size_t>(c)];
            }
    }
};

/// The one layer in memory: a large one is several gigabytes.
struct {
    std::shared_ptr<void> layer;
    void const* kind = nullptr;
} in_memory;

template <class Layer>
Layer& get_layer() {
    static char const kind = 0;
    if (in_memory.kind != &kind) {
        in_memory.layer.reset(); // before the next one is made
        in_memory.layer = std::make_shared<Layer>();
        in_memory.kind = &kind;
    }
    return *static_cast<Layer*>(in_memory.layer.get());
}

template <sizes S, class Layer>
void run(benchmark::State& state, index_t tokens, index_t threads) {
    Layer& layer = get_layer<Layer>();
    thread_pool pool(threads);
    constexpr index_t batches = 16;
    buffer<float> x(batches * tokens * S.model), y(tokens * S.model);
    noise random(99);
    for (index_t i = 0; i < x.size(); ++i) x[i] = random();
    index_t next = 0;
    auto const call = [&] {
        layer.forward({x.data() + next * tokens * S.model, tokens, S.model},
                      {y.data(), tokens, S.model}, pool);
        next = (next + 1) % batches;
    };
    call();
    auto const start = clock::now();
    for (auto _ : state) {
        call();
        benchmark::ClobberMemory();
    }
    double const t = static_cast<double>(tokens),
                 one = 3.0 * static_cast<double>(S.model * S.hidden),
                 experts = static_cast<double>(S.experts), k = static_cast<double>(S.k);
    double const used = experts * (1 - std::pow(1 - k / experts, t)); // of a uniform router
    double const seconds = seconds_since(start) / static_cast<double>(state.iterations());
    state.counters["tokens/s"] = t / seconds;
    state.counters["GFLOP/s"] = 2e-9 * t * k * one / seconds;
    state.counters["GB/s"] = 1e-9 * used * one * static_cast<double>(Layer::element) / seconds;
}

template <sizes S, class Layer>
void add(std::string const& name, std::vector<index_t> const& tokens,
         std::vector<index_t> const& threads, double seconds = 0.4) {
    for (index_t const width : threads)
        for (index_t const count : tokens)
            benchmark::RegisterBenchmark(
                (std::to_string(S.model) + "x" + std::to_string(S.hidden) + "_" +
                 std::to_string(S.k) + "of" + std::to_string(S.experts) + "/" + name + "/T" +
                 std::to_string(count) + "/" + std::to_string(width))
                    .c_str(),
                [=](benchmark::State& state) { run<S, Layer>(state, count, width); })
                ->MinTime(seconds)
                ->UseRealTime()
                ->Unit(benchmark::kMicrosecond);
}

template <sizes S>
void add_all(std::vector<index_t> const& tokens, std::vector<index_t> const& slow) {
    add<S, ours<S, dense<float>{}, true>>("prytany_f32", tokens, {1, 2});
    add<S, ours<S, dense<float>{}, false>>("dynamic_f32", tokens, {1, 2});
    add<S, ours<S, dense<bf16>{}, true>>("prytany_bf16", tokens, {1, 2});
    add<S, ours<S, dense<bf16>{}, false>>("dynamic_bf16", tokens, {1, 2});
    add<S, eigen<S>>("eigen_f32", tokens, {1, 2});
    add<S, naive<S>>("naive_f32", slow, {1});
}

int const registered = [] {
    add_all<sizes{.model = 2048, .hidden = 768, .experts = 128, .k = 8}>({1, 8, 64, 512}, {1, 8});
    add_all<sizes{.model = 1024, .hidden = 3584, .experts = 8, .k = 2}>({1, 8, 64, 512}, {1, 8});
    add_all<sizes{.model = 128, .hidden = 64, .experts = 16, .k = 4}>({1, 8, 64, 512}, {1, 8, 64});
    return 0;
}();

} // namespace
