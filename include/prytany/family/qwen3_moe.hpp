// SPDX-License-Identifier: MIT
// Qwen3-MoE.
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

/// Softmax over all experts, top-k, renormalised where config.json says so; SwiGLU, none shared.
///
/// Source    Qwen team 2025, arXiv:2505.09388
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/qwen3_moe.test.cpp
struct qwen3_moe {
    static constexpr std::string_view model_types[] = {"qwen3_moe"};

    template <auto Format = dense<float>{}>
    using layer = moe<shape{}, top_k{}, ffn{swiglu}, Format>;

    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        return layer<Format>{{.model = from.integer("hidden_size"),
                              .hidden = from.integer("moe_intermediate_size"),
                              .experts = from.experts()},
                             {.router = {.k = from.integer("num_experts_per_tok"),
                                         .renormalise = from.flag("norm_topk_prob", false)}}};
    }
    static io::hub_names names(index_t layer) {
        return io::qwen_moe("model.layers." + std::to_string(layer) + ".mlp.");
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
