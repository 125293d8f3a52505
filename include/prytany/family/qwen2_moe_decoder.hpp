// SPDX-License-Identifier: MIT
// A whole Qwen2-MoE language model.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "prytany/family/qwen2_moe.hpp"
#include "prytany/io/load.hpp"
#include "prytany/layer/decoder.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// Where the hub's checkpoints keep the parts of a decoder outside its Mixtures of Experts.
///
/// Test      tests/family/qwen2_moe_decoder.test.cpp
struct decoder_names {
    bool tied = false; ///< the head is the embedding

    io::place operator()(tensor_name const& what, index_t layer) const {
        if (layer == dynamic) {
            if (what.role == "norm") return {"model.norm.weight"};
            bool const embedding = what.role == "embedding" || tied;
            return {embedding ? "model.embed_tokens.weight" : "lm_head.weight"};
        }
        std::string const here = "model.layers." + std::to_string(layer) + ".";
        if (what.role == "norm")
            return {here + (what.part == "attention" ? "input_layernorm.weight"
                                                     : "post_attention_layernorm.weight")};
        std::string_view const role = what.role;
        return {here + "self_attn." + std::string(role.substr(0, 1)) + "_proj." +
                (role.ends_with("_bias") ? "bias" : "weight")};
    }
};

/// The language model of Qwen1.5-MoE and Qwen2-MoE, every size from its config.json.
///
/// `Layer` is made of (shape, params): a layer, or an `any_layer` with a form of fixed sizes first.
/// Throws    error: another rule in config.json; tensors missing, of other sizes or left over
/// Example   examples/language_model        Test   tests/family/qwen2_moe_decoder.test.cpp
template <auto Format = dense<float>{}, class Layer = qwen2_moe::layer<Format>>
struct qwen2_moe_decoder {
    using model = decoder<Layer, Format>;

    static decoder_shape sizes(config const& from) {
        from.require("model_type", {"qwen2_moe"});
        config const rope = from.inner("rope_parameters");
        rope.require("rope_type", {"default"}, "default");
        config const scaling = from.inner("rope_scaling"); // where older files have it
        scaling.require(scaling.has("type") ? "type" : "rope_type", {"default"}, "default");
        for (auto const& [what, good] :
             {std::pair{"decoder_sparse_step", from.integer("decoder_sparse_step", 1) == 1},
              {"mlp_only_layers", from.entries("mlp_only_layers") == 0},
              {"use_sliding_window", !from.flag("use_sliding_window", false)}})
            if (!good)
                throw error(from.where() + ": " + what,
                            "a Mixture of Experts and full attention in every layer",
                            "another layout");
        index_t const size = from.integer("hidden_size"),
                      heads = from.integer("num_attention_heads");
        if (heads < 1)
            throw error(from.where() + ": num_attention_heads", "at least 1",
                        std::to_string(heads));
        return {.vocabulary = from.integer("vocab_size"),
                .layers = from.integer("num_hidden_layers"),
                .attention = {.model = size,
                              .heads = heads,
                              .kv_heads = from.integer("num_key_value_heads", heads),
                              .head = from.integer("head_dim", size / heads),
                              .positions = from.integer("max_position_embeddings"),
                              .biases = from.flag("qkv_bias", true),
                              .rope_base =
                                  rope.number("rope_theta", from.number("rope_theta", 10000.0)),
                              .epsilon = static_cast<float>(from.number("rms_norm_eps", 1e-6))}};
    }
    template <io::tensor_source Source>
    static model load(Source const& source, config const& from) {
        model whole(sizes(from), [&](index_t) {
            return Layer(qwen2_moe::sizes(from), qwen2_moe::params(from));
        });
        io::loader<Source> reader(source);
        decoder_names const names{from.flag("tie_word_embeddings", false)};
        whole.for_each_tensor([&](auto const& t, index_t layer) {
            bool const outer = t.name.part == "decoder" || t.name.part == "attention";
            if (names.tied && t.name.role == "head") return reader.share(t, names(t.name, layer));
            reader.take(t, outer ? names(t.name, layer)
                                 : qwen2_moe::names(layer)(source, t.name, t.rows));
        });
        reader.finish("");
        return whole;
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
