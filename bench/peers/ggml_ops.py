#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ggml's product of tokens with the chosen experts, measured by llama.cpp's own test-backend-ops.

    LLAMA_TEST_BACKEND_OPS=…/test-backend-ops python3 bench/peers/ggml_ops.py --json ggml.json

Writes kernel/ggml/<type>/E128_k8_K2048_N768/…: one MUL_MAT_ID of the shape that the program has in its
list (128 experts, 8 chosen, 2048 x 768). It repeats one routing with the same weights, so few tokens may
find them in a cache, gives every chosen expert a row of its own, and uses all cores. A whole layer of
ggml is the contender `ggml` of bench_layer.
"""

import argparse
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", default=os.environ.get("LLAMA_TEST_BACKEND_OPS"))
parser.add_argument("--types", default="f32,f16,q8_0,q4_0")
parser.add_argument("--tokens", default="1,8,64,512")
parser.add_argument("--repetitions", type=int, default=3)
parser.add_argument("--json")
given = parser.parse_args()
if not given.program or not os.access(given.program, os.X_OK):
    print("left out: ggml (name llama.cpp's test-backend-ops in LLAMA_TEST_BACKEND_OPS)",
          file=sys.stderr)
    sys.exit(0)

threads = os.cpu_count()
rows = []
for repetition in range(given.repetitions):
    for kind in given.types.split(","):
        which = (f"type_a={kind},type_b=f32,n_mats=128,n_used=8,b=0,m=768,"
                 f"n=({given.tokens.replace(',', '|')}),k=2048")
        run = subprocess.run([given.program, "perf", "-o", "MUL_MAT_ID", "-b", "CPU", "-p", which,
                              "--output", "sql"], capture_output=True, text=True, check=False)
        base = sqlite3.connect(":memory:")
        base.executescript("\n".join(
            re.findall(r"^(?:CREATE TABLE|INSERT INTO).*?\);$", run.stdout, re.M | re.S)) or
            "CREATE TABLE test_backend_ops (op_name, op_params, time_us);")
        for params, spent in base.execute(
                "SELECT op_params, time_us FROM test_backend_ops WHERE op_name = 'MUL_MAT_ID'"):
            count = int(re.search(r"\bn=(\d+)", params)[1])
            spent = 1e-6 * float(spent)
            if spent <= 0:
                continue
            name = f"kernel/ggml/{kind}/E128_k8_K2048_N768/T:{count}/threads:{threads}"
            rows.append({"name": name, "run_name": name, "run_type": "iteration",
                         "repetition_index": repetition, "tokens_per_second": count / spent,
                         "gflops": 2e-9 * 8 * 768 * 2048 * count / spent})
for name in dict.fromkeys(row["name"] for row in rows):
    rates = [row["tokens_per_second"] for row in rows if row["name"] == name]
    print(f"{name}  {statistics.median(rates):.1f} tokens/s ({min(rates):.1f} - {max(rates):.1f})")
if not rows:
    print("left out: ggml (the program printed no MUL_MAT_ID of this shape)", file=sys.stderr)
elif given.json:
    with open(given.json, "w") as file:
        json.dump({"context": {"program": os.path.basename(given.program)}, "benchmarks": rows},
                  file, indent=1)
