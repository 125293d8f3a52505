// SPDX-License-Identifier: MIT
// Where each family's files keep each matrix.
#include "prytany/io/bind.hpp"

#include <string>

#include "io/memory.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

/// A place as text: "name", and where they matter "#block", "@first:step", "T", "+scales".
template <class Names>
std::string at(Names const& names, files::memory const& source, tensor_name const& what,
               index_t rows = 24) {
    io::place const p = names(source, what, rows);
    std::string text = p.name;
    if (p.block != dynamic) text += " #" + std::to_string(p.block);
    if (p.first != 0 || p.step != 1)
        text += " @" + std::to_string(p.first) + ":" + std::to_string(p.step);
    if (p.transposed) text += " T";
    return text + (p.scales.empty() ? "" : " +" + p.scales);
}
files::memory with(std::vector<std::string> const& names) {
    files::memory some;
    for (auto const& name : names) some.put(name, {1}, std::vector<float>{0});
    return some;
}

} // namespace

TEST_CASE("bind: one tensor for each expert's matrix") {
    files::memory const none;
    auto const mixtral = io::mixtral("m.block_sparse_moe.");
    CHECK(at(mixtral, none, {"router", "weight"}) == "m.block_sparse_moe.gate.weight");
    CHECK(at(mixtral, none, {"expert", "gate", 0}) == "m.block_sparse_moe.experts.0.w1.weight");
    CHECK(at(mixtral, none, {"expert", "down", 7}) == "m.block_sparse_moe.experts.7.w2.weight");
    CHECK(at(mixtral, none, {"expert", "up", 12}) == "m.block_sparse_moe.experts.12.w3.weight");

    auto const qwen = io::qwen_moe("m.mlp.");
    CHECK(qwen.prefix == "m.mlp.");
    CHECK(at(qwen, none, {"router", "weight"}) == "m.mlp.gate.weight");
    CHECK(at(qwen, none, {"expert", "gate", 3}) == "m.mlp.experts.3.gate_proj.weight");
    CHECK(at(qwen, none, {"expert", "up", 3}) == "m.mlp.experts.3.up_proj.weight");
    CHECK(at(qwen, none, {"expert", "down", 3}) == "m.mlp.experts.3.down_proj.weight");
    CHECK(at(qwen, none, {"shared", "gate"}) == "m.mlp.shared_expert.gate_proj.weight");
    CHECK(at(qwen, none, {"shared", "up"}) == "m.mlp.shared_expert.up_proj.weight");
    CHECK(at(qwen, none, {"shared", "down"}) == "m.mlp.shared_expert.down_proj.weight");
    CHECK(at(qwen, none, {"shared", "weight"}) == "m.mlp.shared_expert_gate.weight");

    auto const deepseek = io::deepseek("m.mlp.");
    CHECK(at(deepseek, none, {"router", "weight"}) == "m.mlp.gate.weight");
    CHECK(at(deepseek, none, {"router", "correction"}) == "m.mlp.gate.e_score_correction_bias");
    CHECK(at(deepseek, none, {"expert", "up", 255}) == "m.mlp.experts.255.up_proj.weight");
    CHECK(at(deepseek, none, {"shared", "down"}) == "m.mlp.shared_experts.down_proj.weight");
}

TEST_CASE("bind: all experts in one tensor, where the file has it so") {
    auto const both = with({"m.mlp.experts.gate_up_proj", "m.mlp.experts.down_proj"});
    for (auto const& names :
         {io::qwen_moe("m.mlp."), io::deepseek("m.mlp."), io::mixtral("m.mlp.")}) {
        CHECK(at(names, both, {"expert", "gate", 5}) == "m.mlp.experts.gate_up_proj #5");
        CHECK(at(names, both, {"expert", "up", 5}) == "m.mlp.experts.gate_up_proj #5 @24:1");
        CHECK(at(names, both, {"expert", "down", 0}) == "m.mlp.experts.down_proj #0");
        CHECK(at(names, both, {"router", "weight"}) == "m.mlp.gate.weight");
    }
    // each of the two by itself: half a stacked file says what it lacks
    auto const half = with({"m.mlp.experts.gate_up_proj"});
    CHECK(at(io::qwen_moe("m.mlp."), half, {"expert", "up", 1}) ==
          "m.mlp.experts.gate_up_proj #1 @24:1");
    CHECK(at(io::qwen_moe("m.mlp."), half, {"expert", "down", 1}) ==
          "m.mlp.experts.1.down_proj.weight");
    // another layer's tensors decide nothing
    auto const other = with({"n.mlp.experts.gate_up_proj", "n.mlp.experts.down_proj"});
    CHECK(at(io::qwen_moe("m.mlp."), other, {"expert", "up", 1}) ==
          "m.mlp.experts.1.up_proj.weight");
}

TEST_CASE("bind: gpt-oss turns and interleaves floats, and does not turn codes") {
    io::gpt_oss const names{"m.mlp."};
    files::memory const floats;
    CHECK(at(names, floats, {"router", "weight"}) == "m.mlp.router.weight");
    CHECK(at(names, floats, {"router", "bias"}) == "m.mlp.router.bias");
    CHECK(at(names, floats, {"expert", "gate", 2}) == "m.mlp.experts.gate_up_proj #2 @0:2 T");
    CHECK(at(names, floats, {"expert", "up", 2}) == "m.mlp.experts.gate_up_proj #2 @1:2 T");
    CHECK(at(names, floats, {"expert", "down", 2}) == "m.mlp.experts.down_proj #2 T");
    CHECK(at(names, floats, {"expert", "gate_bias", 2}) ==
          "m.mlp.experts.gate_up_proj_bias #2 @0:2");
    CHECK(at(names, floats, {"expert", "up_bias", 2}) == "m.mlp.experts.gate_up_proj_bias #2 @1:2");
    CHECK(at(names, floats, {"expert", "down_bias", 2}) == "m.mlp.experts.down_proj_bias #2");

    auto const codes =
        with({"m.mlp.experts.gate_up_proj_blocks", "m.mlp.experts.down_proj_blocks"});
    CHECK(at(names, codes, {"expert", "up", 2}) ==
          "m.mlp.experts.gate_up_proj_blocks #2 @1:2 +m.mlp.experts.gate_up_proj_scales");
    CHECK(at(names, codes, {"expert", "down", 9}) ==
          "m.mlp.experts.down_proj_blocks #9 +m.mlp.experts.down_proj_scales");
    CHECK(at(names, codes, {"expert", "down_bias", 9}) == "m.mlp.experts.down_proj_bias #9");
}
