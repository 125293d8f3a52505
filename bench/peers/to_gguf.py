# SPDX-License-Identifier: MIT
"""Writes the bundled Qwen2-MoE byte model as GGUF, so that llama.cpp can run it.

    to_gguf.py MODEL_FOLDER {f32,bf16,f16,q8_0} OUT.gguf

Needs the PyPI packages gguf and numpy.
"""
import json
import struct
import sys

import gguf
import numpy as np


def tensors(path):
    """Every tensor of a BF16 safetensors file, as float32."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", f"{name}: expected BF16, got {entry['dtype']}"
        begin, end = entry["data_offsets"]
        words = np.frombuffer(data[begin:end], "<u2").astype(np.uint32) << 16
        found[name] = words.view(np.float32).reshape(entry["shape"])
    return found


def main(folder, kind, target):
    config = json.load(open(folder + "/config.json"))
    weights = tensors(folder + "/model.safetensors")
    out = gguf.GGUFWriter(target, "qwen2moe")
    out.add_block_count(config["num_hidden_layers"])
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    out.add_expert_count(config["num_experts"])
    out.add_expert_used_count(config["num_experts_per_tok"])
    out.add_expert_feed_forward_length(config["moe_intermediate_size"])
    out.add_expert_shared_feed_forward_length(config["shared_expert_intermediate_size"])
    out.add_vocab_size(config["vocab_size"])
    out.add_tokenizer_model("no_vocab")

    def put(name, value, always_f32=False):
        types = gguf.GGMLQuantizationType
        if kind == "f32" or always_f32 or value.ndim == 1:
            out.add_tensor(name, np.ascontiguousarray(value))
        elif kind == "f16":
            out.add_tensor(name, value.astype(np.float16))
        else:
            stored = types.BF16 if kind == "bf16" else types.Q8_0
            out.add_tensor(name, gguf.quants.quantize(value, stored), raw_dtype=stored)

    put("token_embd.weight", weights["model.embed_tokens.weight"])
    put("output_norm.weight", weights["model.norm.weight"])
    put("output.weight", weights["lm_head.weight"])
    for layer in range(config["num_hidden_layers"]):
        here, there = f"model.layers.{layer}.", f"blk.{layer}."
        put(there + "attn_norm.weight", weights[here + "input_layernorm.weight"])
        put(there + "ffn_norm.weight", weights[here + "post_attention_layernorm.weight"])
        for part in "qkv":
            for kind_of in ("weight", "bias"):
                put(f"{there}attn_{part}.{kind_of}", weights[f"{here}self_attn.{part}_proj.{kind_of}"])
        put(there + "attn_output.weight", weights[here + "self_attn.o_proj.weight"])
        put(there + "ffn_gate_inp.weight", weights[here + "mlp.gate.weight"], True)
        put(there + "ffn_gate_inp_shexp.weight", weights[here + "mlp.shared_expert_gate.weight"][0], True)
        for part in ("gate", "up", "down"):
            experts = [weights[f"{here}mlp.experts.{e}.{part}_proj.weight"]
                       for e in range(config["num_experts"])]
            put(f"{there}ffn_{part}_exps.weight", np.stack(experts))
            put(f"{there}ffn_{part}_shexp.weight", weights[f"{here}mlp.shared_expert.{part}_proj.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
