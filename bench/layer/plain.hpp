// SPDX-License-Identifier: MIT
// A layer with weights as a checkpoint has them, for contenders that read rows.
#pragma once

#include "layer/layer.hpp"

namespace bench {

/// The slots of one expert.
struct visit {
    index_t token;
    float weight;
};
using visits = std::vector<std::vector<visit>>;

inline void group(batch const& in, visits& by_expert) {
    for (auto& list : by_expert) list.clear();
    auto const k = std::ssize(in.experts) / in.x.rows;
    for (std::size_t i = 0; i < in.experts.size(); ++i)
        by_expert[static_cast<std::size_t>(in.experts[i])].push_back(
            {static_cast<index_t>(i) / k, in.weights[i]});
}

struct plain_layer {
    struct expert {
        buffer<float> gate, up, down;
    };
    layer_size size;
    std::vector<expert> experts;
    visits by_expert;

    plain_layer(layer_size const& of, expert_numbers const& numbers)
        : size(of), by_expert(static_cast<std::size_t>(of.experts)) {
        auto const copy = [](std::vector<float> const& from) {
            buffer<float> to(std::ssize(from));
            std::copy(from.begin(), from.end(), to.data());
            return to;
        };
        for (index_t e = 0; e < size.experts; ++e)
            experts.push_back({copy(numbers.gate), copy(numbers.up), copy(numbers.down)});
    }
    double bytes_of_expert() const { return 4 * size.weights(); }
    /// A plain loop on one core.
    void forward(batch const& in, matrix_view<float> y, thread_pool&);
};

} // namespace bench
