// SPDX-License-Identifier: MIT
// The sizes that routers are compared at, and the tokens that all of them get.
#pragma once

#include <string>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/core/input.hpp"
#include "support/session.hpp"

namespace bench {

/// A layer of the literature; `hidden` is the width of an expert, for the time of the layer.
struct routed_size {
    std::string name;
    index_t experts, k, model, hidden;
    index_t groups = 1, kept_groups = 1;
    float p = 0.4f;
};
inline std::vector<routed_size> const& routed_sizes() {
    static std::vector<routed_size> const all{
        {"mixtral_E8_k2_d4096", 8, 2, 4096, 14336},
        {"deepseek_E64_k6_d2048", 64, 6, 2048, 1408},
        {"v3_E256_k8_d7168", 256, 8, 7168, 2048, 8, 4},
        {"dynamic_E16_d1024", 16, 2, 1024, 2816},
        {"promoe_E12_k1_d1024", 12, 1, 1024, 4096},
        {"moh_h32_k24_d4096", 32, 24, 4096, 171}, // a head has 4 · 4096 · 128 weights
        {"bytes_E16_k4_d128", 16, 4, 128, 64},    // the bundled model
    };
    return all;
}
inline bool is_bundled(routed_size const& size) { return size.model == 128; }

/// What the tokens are like: `states` are those of the bundled model, at its own size.
inline std::vector<std::string> kinds_of(routed_size const& size) {
    if (is_bundled(size)) return {"states"};
    return {"uniform", "zipf", "k_hot"};
}

/// The router's row of an expert: random with length 1, or the trained one.
std::vector<float> router_row(routed_size const& size, index_t expert);

/// Tokens with all that a router may ask for.
struct token_batch {
    matrix_view<float const> x;
    std::vector<std::int32_t> labels, ids;
    std::vector<matrix_view<float const>> attention, heads;
    index_t first = 0;

    input in() const {
        input all{x};
        all.labels = labels;
        all.ids = ids;
        all.attention = attention;
        all.heads = heads;
        all.seed = 1;
        all.first = first;
        return all;
    }
};
/// Batches in turn, so that no processor learns one of them by heart.
///
///     uniform   x = noise                        every expert is as likely as any other
///     zipf      x = noise + 4 Σ G_e              for k experts, the r-th as likely as r^-1.2
///     k_hot     x = 4 Σ G_e                      for k experts, all alike
///     states    what layer 3 of the bundled model reads, from a text of its validation
struct batches_of {
    buffer<float> x, map;
    std::vector<token_batch> all;

    static index_t count(index_t tokens) { return tokens < 16 ? 64 : tokens < 256 ? 16 : 4; }
    batches_of(routed_size const& size, std::string const& kind, index_t tokens);
};

} // namespace bench
