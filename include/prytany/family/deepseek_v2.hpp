// SPDX-License-Identifier: MIT
// DeepSeek-MoE and DeepSeek-V2.
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

/// Softmax over all experts, groups scored by their best expert, top-k, scaled; shared experts
/// fused.
///
/// DeepSeek-V2 never renormalises; DeepSeek-MoE does where config.json says so.
/// Source    Dai et al. 2024, arXiv:2401.06066; DeepSeek-AI 2024, arXiv:2405.04434
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/deepseek_v2.test.cpp
struct deepseek_v2 {
    static constexpr std::string_view model_types[] = {"deepseek", "deepseek_v2"};

    template <auto Format = dense<float>{}>
    using layer = moe<shape{.shared = dynamic}, top_k{}, ffn{swiglu}, Format>;

    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        from.require("scoring_func", {"softmax"}, "softmax");
        from.require("topk_method", {"greedy", "group_limited_greedy"}, "greedy");
        bool const groups = from.text("topk_method", "greedy") == "group_limited_greedy";
        bool const first = from.text("model_type", "deepseek_v2") == "deepseek";
        return layer<Format>{
            {.model = from.integer("hidden_size"),
             .hidden = from.integer("moe_intermediate_size"),
             .experts = from.experts(),
             .shared = from.integer("n_shared_experts", 0)},
            {.router = {.k = from.integer("num_experts_per_tok"),
                        .renormalise = first && from.flag("norm_topk_prob", false),
                        .scale = static_cast<float>(from.number("routed_scaling_factor", 1.0)),
                        .groups = groups ? from.integer("n_group") : 1,
                        .kept_groups = groups ? from.integer("topk_group") : 1}}};
    }
    static io::hub_names names(index_t layer) {
        return io::deepseek("model.layers." + std::to_string(layer) + ".mlp.");
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
