// SPDX-License-Identifier: MIT
// Under which names, and where in them, checkpoints of real models keep a layer's matrices.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "prytany/format/tensor.hpp"
#include "prytany/io/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// Where one logical matrix lies in a file.
///
///     row r of the matrix is row first + r · step of the file's tensor, of its block `block`
///
/// `transposed`: the file keeps [inputs, outputs]. `scales` names the scales of a 4-bit tensor.
struct place {
    std::string name;
    index_t block = dynamic;
    index_t first = 0, step = 1;
    bool transposed = false;
    std::string scales{};
};

/// The names of most families on the hub: one tensor for each expert's matrix, or all experts
/// stacked in `experts.gate_up_proj` [experts, 2 · hidden, model] and `experts.down_proj`; the
/// file decides.
///
///     load(layer, file, deepseek{"model.layers.3.mlp."})
///
/// Test      tests/io/bind.test.cpp
struct hub_names {
    std::string prefix;
    std::string_view gate = "gate_proj", up = "up_proj", down = "down_proj";
    std::string_view shared = "shared_expert";

    template <tensor_source S>
    place operator()(S const& source, tensor_name const& what, index_t rows) const {
        if (what.part == "router")
            return {prefix + (what.role == "correction" ? "gate.e_score_correction_bias"
                                                        : "gate." + std::string(what.role))};
        if (what.part == "shared" && what.role == "weight")
            return {prefix + "shared_expert_gate.weight"};
        std::string_view const matrix = what.role == "gate" ? gate : what.role == "up" ? up : down;
        if (what.part == "shared")
            return {prefix + std::string(shared) + "." + std::string(matrix) + ".weight"};
        std::string const experts = prefix + "experts.";
        std::string const stacked = experts + (what.role == "down" ? "down_proj" : "gate_up_proj");
        if (source.find(stacked) != nullptr)
            return {stacked, what.expert, what.role == "up" ? rows : 0};
        return {experts + std::to_string(what.expert) + "." + std::string(matrix) + ".weight"};
    }
};

/// w1 is the gate, w3 the up, w2 the down matrix; "model.layers.3.block_sparse_moe.".
inline hub_names mixtral(std::string prefix) { return {std::move(prefix), "w1", "w3", "w2"}; }
/// Qwen2-MoE, Qwen3-MoE and OLMoE; "model.layers.3.mlp.".
inline hub_names qwen_moe(std::string prefix) { return {std::move(prefix)}; }
/// DeepSeek-MoE, V2, V3 and what follows their names; "model.layers.3.mlp.".
inline hub_names deepseek(std::string prefix) {
    hub_names names{std::move(prefix)};
    names.shared = "shared_experts";
    return names;
}

/// gpt-oss: gate and up interleaved, all experts stacked; [experts, inputs, outputs] in floats, or
/// 4-bit blocks [experts, outputs, inputs / 32, 16] with a scale for each; "model.layers.3.mlp.".
///
/// Test      tests/io/bind.test.cpp
struct gpt_oss {
    std::string prefix;

    template <tensor_source S>
    place operator()(S const& source, tensor_name const& what, index_t) const {
        if (what.part == "router") return {prefix + "router." + std::string(what.role)};
        bool const down = what.role.starts_with("down"), up = what.role.starts_with("up");
        std::string const stem = prefix + "experts." + (down ? "down_proj" : "gate_up_proj");
        place at{stem, what.expert, up ? 1 : 0, down ? 1 : 2};
        if (what.role.ends_with("bias")) at.name += "_bias";
        else if (source.find(stem + "_blocks") != nullptr) {
            at.name += "_blocks";
            at.scales = stem + "_scales";
        } else at.transposed = true;
        return at;
    }
};

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
