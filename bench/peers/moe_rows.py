# SPDX-License-Identifier: MIT
"""What the Python peers share: options, weights, batches, timing, and rows that compare.py reads."""

import argparse
import json
import statistics
import sys
import time


def options(description, dtypes):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--experts", type=int, default=128)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=2048, help="the width of a token")
    parser.add_argument("--inter", type=int, default=768, help="the width of an expert")
    parser.add_argument("--tokens", default="1,8,64,512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=dtypes, default="f32")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", help="where the rows go")
    given = parser.parse_args()
    given.tokens = [int(count) for count in given.tokens.split(",")]
    return given


def missing(what, error):
    """A peer that is not there is a message, not a failure."""
    print(f"left out: {what} ({error})", file=sys.stderr)
    sys.exit(0)


class Rows:
    """Times calls and keeps a row for each repetition, named as bench_layer names its own."""

    def __init__(self, given, context):
        self.given, self.context, self.rows = given, context, []

    def measure(self, who, tokens, call):
        """call(i) runs the layer on batch i of 16; the rate is that of the median call."""
        given = self.given
        name = (f"layer/{who}/{given.dtype}/E{given.experts}_k{given.k}_h{given.hidden}"
                f"_i{given.inter}/T:{tokens}/threads:{given.threads}")
        flops = 6.0 * given.k * given.hidden * given.inter * tokens
        number = 0
        for repetition in range(given.repetitions):
            call(number % 16)
            times, begin = [], time.perf_counter()
            while time.perf_counter() - begin < given.seconds or len(times) < 3:
                number += 1
                start = time.perf_counter()
                call(number % 16)
                times.append(time.perf_counter() - start)
            median = statistics.median(times)
            self.rows.append({"name": name, "run_name": name, "run_type": "iteration",
                              "repetition_index": repetition, "iterations": len(times),
                              "tokens_per_second": tokens / median, "gflops": 1e-9 * flops / median})
        rates = [row["tokens_per_second"] for row in self.rows[-given.repetitions:]]
        print(f"{name}  {statistics.median(rates):.1f} tokens/s "
              f"({min(rates):.1f} - {max(rates):.1f})", flush=True)

    def write(self):
        if self.given.json:
            with open(self.given.json, "w") as file:
                json.dump({"context": self.context, "benchmarks": self.rows}, file, indent=1)
