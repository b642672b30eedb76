# SPDX-License-Identifier: Apache-2.0
"""How long streams stand still when the process of their worker is killed or stopped: one JSON object a line.

    stalls.py build/release/bin/troupe [--kills N] [--stops N]

Two workers with the mock engine behind one frontend, 16 streams at a time; one worker, drawn by seed, gets the signal in
mid-stream. Every text must equal the undisturbed one. A stall is the longest wait of a stream for an event after the
signal; those of the other worker's streams count as well, and are short.
"""
import argparse
import json
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
PROMPTS = [f"Number {number}" for number in range(16)]
TOKENS = 200
#: Longest stall in seconds of 99 of 100 streams, by signal.
BOUNDS = {signal.SIGKILL: 1.0, signal.SIGSTOP: 4.0}


class Timed(threading.Thread):
    """Reads a stream and notes when its events came."""

    def __init__(self, stream):
        super().__init__()
        self.stream, self.times = stream, [time.monotonic()]
        self.start()

    def run(self):
        while self.stream.read_event():
            self.times.append(time.monotonic())

    def stall_after(self, moment):
        times = [moment] + [t for t in self.times if t > moment]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)


def read_all(front):
    from text_stream import Stream
    return [Timed(Stream(front, TOKENS, prompt=prompt)) for prompt in PROMPTS]


def texts_of(readers):
    for reader in readers:
        reader.join()
    return [reader.stream.text for reader in readers]


def strike(cluster, how, moments, undisturbed):
    """Stalls of one round, and how many texts were wrong."""
    victim = moments.choice(sorted(cluster.workers))
    readers = read_all(cluster.front)
    time.sleep(moments.uniform(0.1, 0.6))
    process = cluster.workers[victim].process
    process.send_signal(how)
    moment = time.monotonic()
    wrong = sum(text != want for text, want in zip(texts_of(readers), undisturbed))
    if how == signal.SIGKILL:
        cluster.kill(victim)
        cluster.start(victim)
    else:
        process.send_signal(signal.SIGCONT)
    cluster.expect(2)
    return [reader.stall_after(moment) for reader in readers], wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=20)
    options = parser.parse_args()
    sys.argv = [sys.argv[0], options.troupe] # where cluster_test looks for it
    from cluster_test import Cluster
    cluster = Cluster(step="10ms")
    failed = False
    try:
        undisturbed = texts_of(read_all(cluster.front))
        for how, rounds in [(signal.SIGKILL, options.kills), (signal.SIGSTOP, options.stops)]:
            moments, stalls, wrong = random.Random(9), [], 0
            for _ in range(rounds):
                found, differing = strike(cluster, how, moments, undisturbed)
                stalls += found
                wrong += differing
            stalls.sort()
            p99 = stalls[len(stalls) * 99 // 100]
            passed = wrong == 0 and p99 <= BOUNDS[how]
            failed |= not passed
            print(json.dumps({"fault": how.name, "rounds": rounds, "streams": len(stalls), "wrong_texts": wrong,
                              "stall_p50_ms": round(1e3 * stalls[len(stalls) // 2]), "stall_p99_ms": round(1e3 * p99),
                              "stall_max_ms": round(1e3 * stalls[-1]), "passed": passed}), flush=True)
    finally:
        cluster.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
