// SPDX-License-Identifier: MIT
// A loop over experts with oneDNN, the experts in parallel on our pool: gate and up as one
// product, weights packed beforehand in the layout that oneDNN likes best for 16 rows.
#if defined(PRYTANY_BENCH_ONEDNN)
#include <mutex>

#include "layer/plain.hpp"
#include "support/onednn.hpp"

namespace {

using namespace bench;

struct onednn {
    struct expert {
        buffer<float> gate_up, down;
    };
    struct products {
        std::unique_ptr<one_product> gate_up, down;
    };
    layer_size size;
    std::vector<expert> experts;
    visits by_expert;
    std::map<index_t, products> made; // by the number of rows
    std::mutex making;
    dnnl::memory::desc gate_up_layout, down_layout;
    std::vector<std::vector<float>> results;

    onednn(layer_size const& of, expert_numbers const& numbers)
        : size(of), by_expert(static_cast<std::size_t>(of.experts)),
          results(static_cast<std::size_t>(of.experts)) {
        one_thread_here();
        one_product const gate_up(16, size.model, 2 * size.hidden, true),
            down(16, size.hidden, size.model, true);
        gate_up_layout = gate_up.weights();
        down_layout = down.weights();
        auto both = numbers.gate;
        both.insert(both.end(), numbers.up.begin(), numbers.up.end());
        experts.push_back({gate_up.pack(both.data()), down.pack(numbers.down.data())});
        for (index_t e = 1; e < size.experts; ++e) {
            expert copy = experts[0];
            experts.push_back(std::move(copy));
        }
    }
    double bytes_of_expert() const { return 4 * size.weights(); }
    products const& products_of(index_t rows) {
        std::lock_guard const lock(making);
        auto& own = made[rows];
        if (!own.down)
            own = {std::make_unique<one_product>(rows, size.model, 2 * size.hidden, gate_up_layout),
                   std::make_unique<one_product>(rows, size.hidden, size.model, down_layout)};
        return own;
    }
    void forward(batch const& in, matrix_view<float> y, thread_pool& pool) {
        group(in, by_expert);
        pool.for_each(size.experts, [&](index_t e, index_t) {
            one_thread_here();
            auto const at = static_cast<std::size_t>(e);
            auto const& mine = by_expert[at];
            auto const count = std::ssize(mine);
            if (count == 0) return;
            thread_local std::vector<float> some, both;
            some.resize(static_cast<std::size_t>(count * size.model));
            both.resize(static_cast<std::size_t>(count * 2 * size.hidden));
            results[at].resize(static_cast<std::size_t>(count * size.model));
            for (index_t i = 0; i < count; ++i)
                std::copy_n(in.x.row(mine[static_cast<std::size_t>(i)].token), size.model,
                            some.data() + i * size.model);
            auto const& product = products_of(count);
            product.gate_up->run(some.data(), experts[at].gate_up.data(), both.data());
            some.resize(static_cast<std::size_t>(count * size.hidden));
            for (index_t i = 0; i < count; ++i)
                swiglu(both.data() + i * 2 * size.hidden, some.data() + i * size.hidden);
            product.down->run(some.data(), experts[at].down.data(), results[at].data());
        });
        for (index_t t = 0; t < y.rows; ++t) std::fill_n(y.row(t), y.cols, 0.0f);
        for (std::size_t e = 0; e < experts.size(); ++e)
            for (std::size_t i = 0; i < by_expert[e].size(); ++i) {
                float* const to = y.row(by_expert[e][i].token);
                float const weight = by_expert[e][i].weight;
                float const* const from = results[e].data() + static_cast<index_t>(i) * size.model;
                for (index_t c = 0; c < size.model; ++c) to[c] += weight * from[c];
            }
    }
    void swiglu(float const* both, float* to) const {
        for (index_t i = 0; i < size.hidden; i += lanes) {
            auto const gate = simd::load(both + i), up = simd::load(both + size.hidden + i);
            simd::store(to + i, gate / (simd::fill(1.0f) + xsimd::exp(-gate)) * up);
        }
    }
};

int const added = add_later([] {
    for (layer_size const& size : sizes::all) add_layer<onednn>(size, {"onednn", "f32"});
});

} // namespace
#endif
