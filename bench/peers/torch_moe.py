#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A SwiGLU expert layer in PyTorch: transformers' loop over experts, and torch._grouped_mm.

    python3 bench/peers/torch_moe.py --experts 128 --k 8 --hidden 2048 --inter 768 \\
        --tokens 1,8,64,512 --threads 2 --dtype f32 --json torch.json

The router's product, softmax and top-k are in the time, as they are in ours.
"""

import sys

sys.dont_write_bytecode = True
import moe_rows

given = moe_rows.options(__doc__, ["f32", "bf16"])
try:
    import torch
    import torch.nn.functional as F
except (ImportError, OSError) as error:
    moe_rows.missing("PyTorch: pip install torch", error)

torch.set_num_threads(given.threads)
torch.manual_seed(1)
kind = {"f32": torch.float32, "bf16": torch.bfloat16}[given.dtype]
E, K, H, I = given.experts, given.k, given.hidden, given.inter


def same_in_all(rows, cols):
    """The same numbers for every expert, each with memory of its own."""
    one = ((torch.rand(rows, cols) * 2 - 1) * (3.0 / cols) ** 0.5).to(kind)
    return one.unsqueeze(0).repeat(E, 1, 1).contiguous()


gate_up, down = same_in_all(2 * I, H), same_in_all(H, I)
router = ((torch.rand(E, H) * 2 - 1) * (3.0 / H) ** 0.5).to(kind)


def route(x):
    weights, experts = torch.topk(F.softmax(F.linear(x, router), dim=1, dtype=torch.float), K, -1)
    return (weights / weights.sum(-1, keepdim=True)).to(x.dtype), experts


def swiglu(both):
    gate, up = both.chunk(2, dim=-1)
    return F.silu(gate) * up


def loop(x):
    """As transformers runs experts without a fused path."""
    weights, experts = route(x)
    out = torch.zeros_like(x)
    mask = F.one_hot(experts, num_classes=E).permute(2, 1, 0)
    for e in torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero():
        e = e[0]
        slot, token = torch.where(mask[e])
        inner = swiglu(F.linear(x[token], gate_up[e]))
        out.index_add_(0, token, F.linear(inner, down[e]) * weights[token, slot, None])
    return out


def grouped(x):
    """As transformers runs experts with grouped products: tokens sorted by expert."""
    weights, experts = route(x)
    order = torch.argsort(experts.reshape(-1))
    ends = torch.cumsum(torch.bincount(experts.reshape(-1), minlength=E), 0).to(torch.int32)
    token = order // K
    inner = swiglu(torch._grouped_mm(x[token], gate_up.transpose(-2, -1), offs=ends))
    rows = torch._grouped_mm(inner, down.transpose(-2, -1), offs=ends)
    rows = rows * weights.reshape(-1)[order, None]
    return torch.zeros_like(x).index_add_(0, token, rows)


rows = moe_rows.Rows(given, {"torch": torch.__version__, "torch_threads": torch.get_num_threads()})
with torch.inference_mode():
    ways = {"torch_loop": loop}
    try:
        few = (torch.rand(4, H) * 2 - 1).to(kind)
        error = (grouped(few).float() - loop(few).float()).norm() / loop(few).float().norm()
        if not error < 0.05:
            raise RuntimeError(f"another result than the loop, relative error {error:.2g}")
        ways["torch_grouped_mm"] = grouped
    except (AttributeError, RuntimeError, NotImplementedError) as error:
        print(f"left out: torch._grouped_mm ({str(error).splitlines()[0]})")
    for tokens in given.tokens:
        batches = (torch.rand(16, tokens, H) * 2 - 1).to(kind)
        for who, way in ways.items():
            rows.measure(who, tokens, lambda i, way=way: way(batches[i]))
rows.write()
