#!/usr/bin/env python3
"""Writes a folder for `parity`: one Mixture-of-Experts block of a model, and what transformers computes with it.

    make_golden.py MODEL LAYER FOLDER     MODEL: a folder with config.json and safetensors files, as on the hub
    make_golden.py --tiny FOLDER          the small random models of other sizes that the tests use, each in a folder

Needs torch, transformers 5 and safetensors; docs/parity.md explains what is written.
"""

import glob
import os
import shutil
import sys
import tempfile

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file


def write(model_folder, layer, folder, tokens=37, seed=2026):
    """The block of one layer, with its weights as the files have them, run in float32 and in double."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        model_folder, dtype=torch.float32, experts_implementation="eager").eval()
    block = model.model.layers[layer].mlp
    gate = block.gate if hasattr(block, "gate") else block.router
    hidden = gate.weight.shape[1]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4 * tokens, hidden, generator=generator)
    with torch.no_grad():
        # Tokens whose experts rounding could change are left out: of those, two right programs may differ.
        sure = torch.ones(len(x), dtype=torch.bool)
        for _ in range(8):
            noise = 1 + 1e-5 * torch.randn(x.shape, generator=generator)
            sure &= (gate(x * noise)[2].sort().values == gate(x)[2].sort().values).all(-1)
        x = x[sure][:tokens].contiguous()
        logits, weights, ids = gate(x)
        ids, order = ids.sort()
        output, double = (out[0] if isinstance(out, tuple) else out
                          for out in (block(x[None]), block.double()(x.double()[None])))
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(model_folder, "config.json"), folder)
    save_file({"input": x, "router_logits": logits, "ids": ids, "weights": weights.gather(1, order).float(),
               "output": output[0].contiguous(), "output_f64": double[0].contiguous()},
              os.path.join(folder, "expected.safetensors"))
    tensors = {}
    for file in glob.glob(os.path.join(model_folder, "*.safetensors")):
        with safe_open(file, "pt") as source:
            for name in source.keys():
                if name.startswith((f"model.layers.{layer}.mlp.", f"model.layers.{layer}.block_sparse_moe.")):
                    tensors[name] = source.get_tensor(name)
    save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})


# Sizes that no vector width divides, numbers of experts from 5 to 71, k from 1 to 8.
TINY = {
    "mixtral_40": ("mixtral", 1, dict(
        hidden_size=40, intermediate_size=36, num_local_experts=5, num_experts_per_tok=2)),
    "mixtral_one": ("mixtral", 0, dict(
        hidden_size=17, intermediate_size=33, num_local_experts=6, num_experts_per_tok=1)),
    "qwen2_moe_56": ("qwen2_moe", 1, dict(
        hidden_size=56, moe_intermediate_size=20, shared_expert_intermediate_size=44, num_experts=9,
        num_experts_per_tok=3, norm_topk_prob=True)),
    "qwen3_moe_30": ("qwen3_moe", 3, dict(
        hidden_size=30, moe_intermediate_size=7, num_experts=33, num_experts_per_tok=7, norm_topk_prob=False)),
    "olmoe_71": ("olmoe", 1, dict(
        hidden_size=20, intermediate_size=12, num_experts=71, num_experts_per_tok=8)),
    "deepseek_v2_three": ("deepseek_v2", 1, dict(
        hidden_size=36, moe_intermediate_size=20, n_routed_experts=7, num_experts_per_tok=3, n_shared_experts=3,
        topk_method="greedy", routed_scaling_factor=1.0, first_k_dense_replace=1, n_group=1, topk_group=1)),
    "deepseek_v3_24": ("deepseek_v3", 12, dict(
        hidden_size=44, moe_intermediate_size=12, n_routed_experts=24, num_experts_per_tok=5, n_group=3,
        topk_group=2, n_shared_experts=2, routed_scaling_factor=1.75, first_k_dense_replace=1)),
    "gpt_oss_96": ("gpt_oss", 1, dict(
        hidden_size=96, intermediate_size=40, num_local_experts=5, num_experts_per_tok=2)),
}
SMALL = dict(num_attention_heads=2, num_key_value_heads=2, head_dim=8, vocab_size=16, max_position_embeddings=64,
             pad_token_id=0, bos_token_id=1, eos_token_id=2)
LATENT = dict(kv_lora_rank=8, q_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8)


def tiny(folder):
    """Random weights with logits of order 1, biases that are not zero, and clamps that are reached."""
    for seed, (name, (kind, layer, sizes)) in enumerate(TINY.items()):
        torch.manual_seed(seed)
        small = SMALL | (LATENT if kind.startswith("deepseek") else {})
        if sizes["hidden_size"] % 2:
            small |= dict(num_attention_heads=1, num_key_value_heads=1)
        config = transformers.AutoConfig.for_model(kind, num_hidden_layers=layer + 1, **(small | sizes))
        model = transformers.AutoModelForCausalLM.from_config(config)
        for key, value in [*model.named_parameters(), *model.named_buffers()]:
            if ".mlp." not in key:
                continue
            fan_in = value.shape[-2 if kind == "gpt_oss" and value.dim() == 3 else -1]
            scale = 0.3 if key.endswith("bias") else 1.5 / fan_in**0.5
            torch.nn.init.normal_(value.data, std=scale * (3 if kind == "gpt_oss" and "gate_up" in key else 1))
        with tempfile.TemporaryDirectory() as whole:
            model.save_pretrained(whole)
            write(whole, layer, os.path.join(folder, name))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--tiny":
        tiny(sys.argv[2])
    elif len(sys.argv) == 4:
        write(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(__doc__)
