#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who against who, from files that the benchmarks wrote with --benchmark_out.

    bench/compare.py out.json [more.json …] ours prototype [--format f32] [--min 1.0]

Benchmarks are paired by all of their name but the contender's part. With repetitions, the ratio is the
median over pairs of the i-th repetitions, the spread their least and greatest. `--min` ends with 1 if
a median is lower. `ours:bf16 eigen:f32` compares two formats.
"""

import argparse
import json
import re
import statistics
import sys

NAME = re.compile(r"^(?P<folder>kernel|layer|router|expert)/(?P<who>[^/]+)/(?P<format>[^/]+)/"
                  r"(?P<shape>[^/]+)/T:(?P<tokens>\d+)/threads:(?P<threads>\d+)$")


def read(paths):
    """Rows by name in the order of their repetitions, and the limits of the first file."""
    rows, limits = {}, {}
    for path in paths:
        with open(path) as file:
            report = json.load(file)
        for key, value in report.get("context", {}).items():
            if re.search(r"_(gflops|gops|gbytes)(_1)?$|^limits_of_threads$", key):
                limits.setdefault(key, value)
        for row in report["benchmarks"]:
            if row.get("run_type", "iteration") != "iteration" or row.get("error_occurred"):
                continue
            if "tokens_per_second" in row:
                rows.setdefault(row.get("run_name", row["name"]), []).append(row)
    return rows, limits


def natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="JSON files, then two contenders")
    parser.add_argument("--format", help="only this one")
    parser.add_argument("--filter", default="", help="a regular expression on the rest of the name")
    parser.add_argument("--min", type=float, help="the least median ratio that is not a failure")
    parser.add_argument("--markdown", action="store_true", help="a table for a page")
    given = parser.parse_args()
    if len(given.files) < 3:
        parser.error("expected one or more files, then two contenders")
    *files, one, other = given.files
    rows, limits = read(files)

    def side(text):
        who, _, form = text.partition(":")
        found = {}
        for name, all_of in rows.items():
            parts = NAME.match(name)
            if not parts or parts["who"] != who:
                continue
            if (form or given.format) and parts["format"] != (form or given.format):
                continue
            key = (parts["folder"], "" if form else parts["format"], parts["shape"],
                   parts["tokens"], parts["threads"])
            if re.search(given.filter, "/".join(
                    (key[0], key[1], key[2], "T:" + key[3], "threads:" + key[4]))):
                found[key] = [row["tokens_per_second"] for row in all_of], all_of
        return found

    ours, theirs = side(one), side(other)
    pairs = sorted(set(ours) & set(theirs), key=lambda key: [natural(part) for part in key])
    if not pairs:
        print(f"no benchmark has both {one} and {other}", file=sys.stderr)
        return 2
    if limits:
        print("limits:", ", ".join(f"{key} {value}" for key, value in sorted(limits.items())))
    head = ["benchmark", "format", "T", "threads", one, other, "ratio", "spread", "share", "n"]
    table = []
    low = 0
    for key in pairs:
        (mine, my_rows), (their, _) = ours[key], theirs[key]
        ratios = [a / b for a, b in zip(mine, their)]
        ratio = statistics.median(ratios)
        short = given.min is not None and ratio < given.min
        low += short
        share = [row["share_of_limit"] for row in my_rows if "share_of_limit" in row]
        table.append([f"{key[0]} {key[2]}", key[1], key[3], key[4],
                      f"{statistics.median(mine):.0f}", f"{statistics.median(their):.0f}",
                      f"{ratio:.2f}{' <' if short else ''}", f"{min(ratios):.2f}-{max(ratios):.2f}",
                      f"{statistics.median(share):.2f}" if share else "", str(len(ratios))])
    print("tokens per second, medians; ratio:", one, "/", other)
    if given.markdown:
        for line in [head, ["---"] * len(head), *table]:
            print("| " + " | ".join(line) + " |")
    else:
        widths = [max(len(line[i]) for line in [head, *table]) for i in range(len(head))]
        for line in [head, *table]:
            print("  ".join(word.ljust(width) if i < 2 else word.rjust(width)
                            for i, (word, width) in enumerate(zip(line, widths))).rstrip())
    if low:
        print(f"{low} of {len(pairs)} below {given.min:g}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
