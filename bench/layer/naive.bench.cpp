// SPDX-License-Identifier: MIT
// The plain loop over experts, tokens, outputs, inputs, on one core.
#include "layer/plain.hpp"

namespace bench {
namespace {

void product(float const* w, float const* x, float* y, index_t outputs, index_t inputs) {
    for (index_t n = 0; n < outputs; ++n) {
        float sum = 0;
        for (index_t i = 0; i < inputs; ++i) sum += x[i] * w[n * inputs + i];
        y[n] = sum;
    }
}

int const added = add_later([] {
    for (layer_size const& size : sizes::all) {
        contender<plain_layer> who{"naive", "f32"};
        who.store = "plain";
        who.tokens = {1, 8};
        who.threads = {1};
        add_layer(size, who);
    }
});

} // namespace

void plain_layer::forward(batch const& in, matrix_view<float> y, thread_pool&) {
    group(in, by_expert);
    std::vector<float> gate(static_cast<std::size_t>(size.hidden)), up(gate.size()),
        out(static_cast<std::size_t>(size.model));
    for (index_t t = 0; t < y.rows; ++t) std::fill_n(y.row(t), y.cols, 0.0f);
    for (std::size_t e = 0; e < experts.size(); ++e)
        for (auto const& one : by_expert[e]) {
            float const* const x = in.x.row(one.token);
            product(experts[e].gate.data(), x, gate.data(), size.hidden, size.model);
            product(experts[e].up.data(), x, up.data(), size.hidden, size.model);
            for (std::size_t i = 0; i < gate.size(); ++i)
                gate[i] *= up[i] / (1 + std::exp(-gate[i]));
            product(experts[e].down.data(), gate.data(), out.data(), size.model, size.hidden);
            for (index_t c = 0; c < size.model; ++c)
                y.row(one.token)[c] += one.weight * out[static_cast<std::size_t>(c)];
        }
}

} // namespace bench
