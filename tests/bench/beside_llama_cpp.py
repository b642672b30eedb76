# SPDX-License-Identifier: Apache-2.0
"""Troupe beside llama.cpp on one file: executor_bench and llama_cpp_bench.py in turns (ours, theirs, theirs, ours, …).

    beside_llama_cpp.py EXECUTOR_BENCH MODEL.gguf [--python PYTHON] [--pairs N] [--format FORMAT] [options of both]

Prints a table of the medians over all processes, their spread (median absolute deviation), and the ratio of each pair: median, least, most. Before and
after each process it looks at what else ran: a pair during which others used more than --others of the machine's time is void, and repeated.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path


def busy_seconds():
    """Processor time of the whole machine, idle time left out."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(w) for i, w in enumerate(words[:8]) if i not in (3, 4)) / os.sysconf("SC_CLK_TCK")


def run(command):
    """Results by (bench, batch, context), and the processor seconds that others used meanwhile."""
    before, own = busy_seconds(), os.times()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = os.times()
    own_s = after.children_user + after.children_system - own.children_user - own.children_system
    others = (busy_seconds() - before - own_s) / (after.elapsed - own.elapsed) / os.cpu_count()
    results, notes = {}, []
    for line in output.splitlines():
        row = json.loads(line)
        if "tokens_per_s" in row:
            results[row["bench"], row["batch"], row["context"]] = row["tokens_per_s"]
        else:
            notes.append(row)
    return results, notes, others


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("executor_bench")
    parser.add_argument("model")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--others", type=float, default=0.05)
    parser.add_argument("--format")
    parser.add_argument("--simd")
    o, shared = parser.parse_known_args()
    own = [x for name in ("format", "simd") if getattr(o, name) for x in (f"--{name}", getattr(o, name))]
    ours = [o.executor_bench, o.model, *own, *shared]
    theirs = [o.python, str(Path(__file__).with_name("llama_cpp_bench.py")), o.model, *shared]
    pairs, shares, loads, void = [], [], [], 0
    while len(pairs) < o.pairs and void <= o.pairs:
        first, second = (ours, theirs) if len(pairs) % 2 == 0 else (theirs, ours)
        a, b = run(first), run(second)
        if max(a[2], b[2]) > o.others:
            void += 1
            print(f"void: others used {max(a[2], b[2]):.0%} of the machine", file=sys.stderr)
            continue
        us, them = (a, b) if first is ours else (b, a)
        pairs.append((us[0], them[0]))
        shares += [n["share_of_it_that_decode_reads"] for n in us[1] if n["bench"] == "read"]
        loads += [n["seconds"] for n in us[1] if n["bench"] == "load"]
    print(f"{len(pairs)} pairs, {void} void\n\n| | Troupe | llama.cpp | ratio (least to most) |\n|---|---|---|---|")
    spread = lambda v: statistics.median(abs(x - statistics.median(v)) for x in v)
    for key in pairs[0][0]:
        us, them = [p[0][key] for p in pairs], [p[1][key] for p in pairs]
        ratios = [x / y for x, y in zip(us, them)]
        print(f"| {key[0]}, batch {key[1]}, context {key[2]} | {statistics.median(us):.0f} ± {spread(us):.0f} | {statistics.median(them):.0f} ± {spread(them):.0f}"
              f" | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")
    if shares:
        print(f"\nshare of the read rate at batch 1: {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})")
    print(f"load: {statistics.median(loads):.2f} s")


if __name__ == "__main__":
    main()
