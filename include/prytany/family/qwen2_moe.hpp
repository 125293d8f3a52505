// SPDX-License-Identifier: MIT
// Qwen1.5-MoE and Qwen2-MoE.
#pragma once

#include <string>
#include <string_view>

#include "prytany/expert/ffn.hpp"
#include "prytany/family/config.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/layer/option/shared.hpp"
#include "prytany/router/top_k.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// Softmax over all experts, top-k, renormalised where config.json says so; one shared expert of
/// its own width behind a sigmoid gate.
///
/// Source    Qwen team 2024, arXiv:2407.10671, §2.2.2
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/qwen2_moe.test.cpp
struct qwen2_moe {
    static constexpr std::string_view model_types[] = {"qwen2_moe"};

    template <auto Format = dense<float>{}>
    using layer = moe<shape{.shared = 1}, top_k{}, ffn{swiglu}, Format, shared_gate{}>;

    static shape sizes(config const& from) {
        return {.model = from.integer("hidden_size"),
                .hidden = from.integer("moe_intermediate_size"),
                .experts = from.experts(),
                .shared = 1,
                .shared_hidden = from.integer("shared_expert_intermediate_size")};
    }
    static layer<>::params params(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        return {.router = {.k = from.integer("num_experts_per_tok"),
                           .renormalise = from.flag("norm_topk_prob", false)}};
    }
    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        return layer<Format>{sizes(from), params(from)};
    }
    static io::hub_names names(index_t layer) {
        return io::qwen_moe("model.layers." + std::to_string(layer) + ".mlp.");
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
