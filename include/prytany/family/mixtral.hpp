// SPDX-License-Identifier: MIT
// Mixtral.
#pragma once

#include <string>
#include <string_view>

#include "prytany/expert/ffn.hpp"
#include "prytany/family/config.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// Softmax over all experts, top-k, renormalised; SwiGLU experts, none shared.
///
/// Source    Jiang et al. 2024, arXiv:2401.04088
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/mixtral.test.cpp
struct mixtral {
    static constexpr std::string_view model_types[] = {"mixtral"};

    template <auto Format = dense<float>{}>
    using layer = moe<shape{}, top_k{}, ffn{swiglu}, Format>;

    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        return layer<Format>{{.model = from.integer("hidden_size"),
                              .hidden = from.integer("intermediate_size"),
                              .experts = from.experts()},
                             {.router = {.k = from.integer("num_experts_per_tok")}}};
    }
    static io::hub_names names(index_t layer) {
        return io::mixtral("model.layers." + std::to_string(layer) + ".block_sparse_moe.");
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
