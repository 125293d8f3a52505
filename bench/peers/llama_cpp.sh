#!/bin/bash
# SPDX-License-Identifier: MIT
# Side by side with llama.cpp: the bundled model, the same weight types, the same minutes.
#
#     bench/peers/llama_cpp.sh [CACHE_FOLDER]          default: build/peers of this repository
#
# The first run downloads the source archive of llama-cpp-python from PyPI and builds its llama-bench
# into the cache folder; later runs reuse it. Then ROUNDS times, alternately: llama-bench and
# prytany_bench, prompt of 256 and generation of 64, for each weight type and number of threads.
# Ends with 1 when generation is below 4 times llama.cpp's, or a prompt below 5 times.
#
#   PRYTANY_BENCH   our program                         (build/bench/bench/prytany_bench)
#   LLAMA_BENCH     a llama-bench that is already built (CACHE_FOLDER/build/bin/llama-bench)
#   GGUF_FOLDER     where f32.gguf, bf16.gguf, … are or will be written (CACHE_FOLDER)
#   PYTHON          a Python with gguf and numpy        (CACHE_FOLDER/python/bin/python)
#   MODEL           the checkpoint                      (examples/data/bytes-moe-3m)
#   TYPES THREADS ROUNDS REPEAT                         ("f32 bf16 f16 q8_0", 1,2, 5, 5)
#   GENERATION PROMPT                                   least ratios (4, 5)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${1:-$root/build/peers}
version=0.3.36
ours=${PRYTANY_BENCH:-$root/build/bench/bench/prytany_bench}
theirs=${LLAMA_BENCH:-$cache/build/bin/llama-bench}
ggufs=${GGUF_FOLDER:-$cache}
python=${PYTHON:-$cache/python/bin/python}
model=${MODEL:-$root/examples/data/bytes-moe-3m}
types=${TYPES:-f32 bf16 f16 q8_0}
threads=${THREADS:-1,2}
rounds=${ROUNDS:-5}
repeat=${REPEAT:-5}

if [[ ! -x $ours ]]; then
    echo "llama_cpp.sh: expected our program at $ours; build it: cmake --workflow --preset bench" >&2
    exit 2
fi
mkdir -p "$cache" "$ggufs"

if [[ ! -x $theirs ]]; then
    if [[ -n ${LLAMA_BENCH:-} ]]; then
        echo "llama_cpp.sh: expected a program at LLAMA_BENCH=$theirs" >&2
        exit 2
    fi
    echo "building llama-bench in $cache (some minutes, once)"
    archive=$cache/llama_cpp_python-$version.tar.gz
    if [[ ! -f $archive ]]; then
        python3 -m venv "$cache/python"
        "$cache/python/bin/pip" download --quiet --no-deps --no-binary :all: --dest "$cache" \
            "llama-cpp-python==$version"
    fi
    tar -xzf "$archive" -C "$cache"
    cmake -S "$cache/llama_cpp_python-$version/vendor/llama.cpp" -B "$cache/build" \
        -DCMAKE_BUILD_TYPE=Release -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF \
        -DLLAMA_USE_PREBUILT_UI=OFF >"$cache/build.log"
    cmake --build "$cache/build" --target llama-bench -j2 >>"$cache/build.log"
fi
for type in $types; do
    [[ -f $ggufs/$type.gguf ]] && continue
    if [[ ! -x $python ]]; then
        python3 -m venv "$cache/python"
        python=$cache/python/bin/python
    fi
    if ! "$python" -c "import gguf, numpy" 2>/dev/null; then
        "$python" -m pip install --quiet gguf numpy
    fi
    "$python" "$root/bench/peers/to_gguf.py" "$model" "$type" "$ggufs/$type.gguf"
done

runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
for ((round = 1; round <= rounds; ++round)); do
    echo "round $round of $rounds, load$(uptime | sed 's/.*load average//')" >&2
    for type in $types; do
        "$theirs" -m "$ggufs/$type.gguf" -p 256 -n 64 -r "$repeat" -t "$threads" -o json \
            >"$runs/llama.$type.$round" 2>/dev/null
        "$ours" --model "$model" --type "$type" --threads "$threads" --prompt 256 --generate 64 \
            --repeat "$repeat" >"$runs/ours.$type.$round"
    done
done

python3 - "$runs" "$rounds" "${GENERATION:-4}" "${PROMPT:-5}" $types <<'PYTHON'
import json
import statistics
import sys

folder, rounds, generation, prompt, *types = sys.argv[1:]
least = {"pp256": float(prompt), "tg64": float(generation)}
tests = {"pp256": "prompt of 256", "tg64": "generation of 64"}


def llama(kind, number):
    """Medians of one round by (test, threads)."""
    with open(f"{folder}/llama.{kind}.{number}") as file:
        return {("pp256" if run["n_prompt"] else "tg64", run["n_threads"]):
                statistics.median(run["samples_ts"]) for run in json.load(file)}


def ours(kind, number):
    with open(f"{folder}/ours.{kind}.{number}") as file:
        rows = [line.split() for line in file if line.split()[0] == kind]
    return {(row[2], int(row[1])): float(row[4]) for row in rows}


def best(reader, kind, test):
    """The number of threads with the best median over the rounds, and the medians of its rounds."""
    read = [reader(kind, number) for number in range(1, int(rounds) + 1)]
    counts = sorted({count for name, count in read[0] if name == test})
    return max(((count, [one[test, count] for one in read]) for count in counts),
               key=lambda entry: statistics.median(entry[1]))


short = []
print(f"tokens per second; medians over {rounds} rounds, threads in brackets; lowest: the ratio of the")
print("worst round; every side with the number of threads that suits it best\n")
print(f"| {'weights':7} | {'test':16} | {'llama.cpp':>13} | {'prytany':>13} | {'ratio':>5} | lowest | wanted |")
print("| --- | --- | --- | --- | --- | --- | --- |")
for kind in types:
    for test in tests:
        (their_threads, their), (our_threads, our) = best(llama, kind, test), best(ours, kind, test)
        ratio = statistics.median(our) / statistics.median(their)
        lowest = min(o / t for o, t in zip(our, their))
        print(f"| {kind:7} | {tests[test]:16} | {statistics.median(their):9.0f} ({their_threads}) |"
              f" {statistics.median(our):9.0f} ({our_threads}) | {ratio:5.2f} | {lowest:6.2f} |"
              f" {least[test]:6.1f} |")
        if ratio < least[test]:
            short.append(f"{kind}, {tests[test]}: {ratio:.2f} times, wanted {least[test]:g}")
for line in short:
    print("below:", line)
sys.exit(1 if short else 0)
PYTHON
