// SPDX-License-Identifier: MIT
// gpt-oss.
#pragma once

#include <string>
#include <string_view>

#include "prytany/expert/ffn.hpp"
#include "prytany/family/config.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// Linear scores with biases, top-k, softmax over the chosen; clamped SwiGLU with biases.
///
/// Source    OpenAI 2025, arXiv:2508.10925
/// Throws    error, for a config.json that another rule governs
/// Test      tests/family/gpt_oss.test.cpp
struct gpt_oss {
    static constexpr std::string_view model_types[] = {"gpt_oss"};

    template <auto Format = dense<float>{}>
    using layer =
        moe<shape{}, scored{linear{.biases = true}, top_k{}}, ffn{swiglu_clamped, biases}, Format>;

    template <auto Format = dense<float>{}>
    static layer<Format> make(config const& from) {
        from.require("hidden_act", {"silu"}, "silu");
        return layer<Format>{
            {.model = from.integer("hidden_size"),
             .hidden = from.integer("intermediate_size"),
             .experts = from.experts()},
            {.router = {.router = {.k = from.integer("num_experts_per_tok")}},
             .expert = {.alpha = static_cast<float>(from.number("swiglu_alpha", 1.702)),
                        .limit = static_cast<float>(from.number("swiglu_limit", 7.0))}}};
    }
    static io::gpt_oss names(index_t layer) {
        return {"model.layers." + std::to_string(layer) + ".mlp."};
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
