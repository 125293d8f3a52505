// SPDX-License-Identifier: MIT
// DeepSeek-V3 and R1.
#pragma once

#include <string>
#include <string_view>

#include "prytany/expert/ffn.hpp"
#include "prytany/family/config.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// Sigmoid scores; a correction and groups (by their two best) choose, the scores alone weigh.
///
/// Weights are renormalised where config.json says so, then scaled; shared experts are fused.
/// Source    DeepSeek-AI 2024, arXiv:2412.19437
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/deepseek_v3.test.cpp
struct deepseek_v3 {
    static constexpr std::string_view model_types[] = {"deepseek_v3"};

    template <auto Format = dense<float>{}>
    using layer = moe<shape{.shared = dynamic},
                      biased{top_k{.score = scoring::sigmoid, .group = group_score::two_best}},
                      ffn{swiglu}, Format>;

    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        from.require("scoring_func", {"sigmoid"}, "sigmoid");
        from.require("topk_method", {"noaux_tc"}, "noaux_tc");
        top_k::params const chosen{
            .k = from.integer("num_experts_per_tok"),
            .renormalise = from.flag("norm_topk_prob", true),
            .scale = static_cast<float>(from.number("routed_scaling_factor", 1.0)),
            .groups = from.integer("n_group", 1),
            .kept_groups = from.integer("topk_group", 1)};
        return layer<Format>{{.model = from.integer("hidden_size"),
                              .hidden = from.integer("moe_intermediate_size"),
                              .experts = from.experts(),
                              .shared = from.integer("n_shared_experts", 0)},
                             {.router = {.router = chosen}}};
    }
    static io::hub_names names(index_t layer) {
        return io::deepseek("model.layers." + std::to_string(layer) + ".mlp.");
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
