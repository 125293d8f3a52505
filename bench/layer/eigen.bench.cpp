// SPDX-License-Identifier: MIT
// A loop over experts with Eigen's products, the experts in parallel on our pool.
#include <Eigen/Core>

#include "layer/plain.hpp"

namespace {

using namespace bench;
using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void eigen(plain_layer& layer, batch const& in, matrix_view<float> y, thread_pool& pool) {
    layer_size const& size = layer.size;
    group(in, layer.by_expert);
    Eigen::Map<rows const> const input(in.x.data, in.x.rows, in.x.cols);
    static std::vector<rows> results;
    results.resize(layer.experts.size());
    pool.for_each(size.experts, [&](index_t e, index_t) {
        auto const at = static_cast<std::size_t>(e);
        auto const& mine = layer.by_expert[at];
        auto const count = std::ssize(mine);
        if (count == 0) return;
        auto const& weights = layer.experts[at];
        Eigen::Map<rows const> const gate(weights.gate.data(), size.hidden, size.model),
            up(weights.up.data(), size.hidden, size.model),
            down(weights.down.data(), size.model, size.hidden);
        results[at].resize(count, size.model);
        if (count == 1) { // products of a matrix and a vector: Eigen streams those
            Eigen::VectorXf const row = input.row(mine[0].token).transpose();
            Eigen::VectorXf const g = gate * row, u = up * row;
            Eigen::VectorXf const inner = g.array() / (1.0f + (-g.array()).exp()) * u.array();
            results[at].row(0).noalias() = (down * inner).transpose();
        } else {
            rows some(count, size.model);
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
        for (std::size_t i = 0; i < layer.by_expert[e].size(); ++i)
            out.row(layer.by_expert[e][i].token) +=
                layer.by_expert[e][i].weight * results[e].row(static_cast<index_t>(i));
}

int const added = add_later([] {
    for (layer_size const& size : sizes::all) {
        contender<plain_layer> who{"eigen", "f32"};
        who.store = "plain";
        who.call = eigen;
        add_layer(size, who);
    }
});

} // namespace
