# SPDX-License-Identifier: Apache-2.0
"""Seeded moments at which processes of a disaggregated cluster are killed, stopped or told to end, under load.

    kill_grid.py build/release/bin/troupe [--moments N] [--seed S] [--first I] [--rest-seconds S]

Two frontends, two prefill and three decode workers, mock engine, each a process. At each moment both frontends have four
streams of new prompts; a victim (a decode worker, a prefill worker, one of each, or a frontend) gets SIGKILL, SIGTERM, or
SIGSTOP for 0.2 to 5 s. Every stream must have the text, the usage and the one end of a node that nobody disturbs; only those of a
killed frontend may break, and a frontend that is told to end may refuse what it had not accepted. Afterwards (the victim is
started again) the cluster must be whole within --rest-seconds (10): healthy, nothing running, all KV blocks free. Nodes find each other by seeds, by a
shared folder and with certificates in turn. A moment is drawn from the seed and its number alone: --first I --moments 1 plays it again.

Prints one JSON object per 50 moments, one per failed moment, and a summary; exit code 1 if a moment failed. A stall is the longest
wait of a stream for an event after the signal; streams that the signal could not touch count as well, and are short.
"""
import argparse
import collections
import http.client
import json
import random
import signal
import sys
import threading
import time

from grid_cluster import DECODES, FLAVOURS, FRONTS, MODEL, PREFILLS, GridCluster, make_undisturbed_node

import history
from text_stream import Stream

STREAMS_PER_FRONT = 4
#: Moments for which a cluster lives.
LIFE = 20
REPORT_EVERY = 50
SIGNALS = [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM]
VICTIMS = ["decode", "prefill", "prefill and decode", "front"]


class Moment:
    """What happens, by seed and number."""

    def __init__(self, seed, index):
        draw = random.Random(f"{seed}:{index}")
        self.index = index
        self.flavour = FLAVOURS[index // LIFE % len(FLAVOURS)]
        self.victim, self.how = draw.choice(VICTIMS), draw.choice(SIGNALS)
        self.names = {"decode": [draw.choice(DECODES)], "prefill": [draw.choice(PREFILLS)],
                      "prefill and decode": [draw.choice(PREFILLS), draw.choice(DECODES)], "front": [draw.choice(FRONTS)]}[self.victim]
        self.delay, self.pause = draw.uniform(0, 0.5), draw.uniform(0.2, 5)
        self.requests = [(front, self.request(draw, f"{seed} {index} {front} {k}")) for front in FRONTS for k in range(STREAMS_PER_FRONT)]

    def request(self, draw, name):
        fields = {"prompt": name + " once upon a time" * draw.choice([1, 20, 150]), "tokens": draw.randint(40, 120)}
        if draw.random() < 0.5:
            fields |= {"temperature": 0.8, "seed": draw.randrange(1000)}
        return fields

    def describe(self):
        return {"moment": self.index, "nodes": self.names, "signal": self.how.name, "cluster": self.flavour,
                "after_s": round(self.delay, 3)} | ({"for_s": round(self.pause, 2)} if self.how == signal.SIGSTOP else {})


class Reader(threading.Thread):
    """Makes a request, reads its stream, and notes when its events came."""

    def __init__(self, name, node, request):
        super().__init__(daemon=True)
        self.front, self.node, self.request = name, node, request
        self.stream, self.broken, self.times = None, None, [time.monotonic()]
        self.start()

    def run(self):
        try:
            self.stream = Stream(self.node, **self.request)
            while self.stream.read_event():
                self.times.append(time.monotonic())
        except (OSError, http.client.HTTPException) as error:
            self.broken = repr(error)

    def stall_after(self, moment):
        """None if it was over before."""
        times = [moment] + [t for t in self.times if t > moment]
        return max((b - a for a, b in zip(times, times[1:])), default=None)

    def find_faults(self):
        if self.is_alive():
            return "it never ended"
        if self.broken:
            return f"it broke: {self.broken}"
        got = self.stream
        if got.failure or got.finish != "length" or not got.done or len(got.ends) != 1:
            return f"ends {got.ends}, [DONE] {got.done}"
        return None


def read_all(pairs):
    return [Reader(name, node, request) for name, node, request in pairs]


def join(readers, seconds=60):
    until = time.monotonic() + seconds
    for reader in readers:
        reader.join(max(0, until - time.monotonic()))


def strike(cluster, moment):
    processes = [cluster.nodes[name].process for name in moment.names]
    for process in processes:
        process.send_signal(moment.how)
    if moment.how == signal.SIGSTOP:
        time.sleep(moment.pause)
        for process in processes:
            process.send_signal(signal.SIGCONT)


def repair(cluster, moment):
    """Faults of how the victims ended."""
    if moment.how == signal.SIGSTOP:
        return []
    want = 0 if moment.how == signal.SIGTERM else -signal.SIGKILL
    codes = {name: cluster.replace(name) for name in moment.names}
    return [f"{name} ended with {code}" for name, code in codes.items() if code != want]


def judge(options, cluster, moment, readers, expected):
    """Sentences about what is wrong with the streams and the cluster after a moment."""
    faults = []
    for reader, want in zip(readers, expected):
        hit = reader.front in moment.names
        if reader.stream is None and hit and moment.how == signal.SIGTERM:
            continue # refused: it was told to end
        if hit and moment.how == signal.SIGKILL:
            if reader.stream:
                reader.stream.excuse = "its frontend was killed"
        elif fault := reader.find_faults():
            faults.append(f"a stream of {reader.front}: {fault}")
        if reader.stream:
            reader.stream.expected_text, reader.stream.expected_tokens = want, reader.request["tokens"]
    broken = cluster.find_faults_after(options.rest_seconds)
    faults += broken
    try:
        history.check(options.troupe, [reader.stream for reader in readers if reader.stream],
                      [] if broken else cluster.workers())
    except (AssertionError, OSError) as error:
        faults.append(str(error))
    for name in FRONTS:
        cluster.nodes[name].streams.clear() # judged
    return faults


def texts_of(undisturbed, requests):
    readers = read_all([("undisturbed", undisturbed, request) for _, request in requests])
    join(readers)
    undisturbed.streams.clear()
    if faults := [fault for reader in readers if (fault := reader.find_faults())]:
        raise SystemExit(f"the undisturbed node failed: {faults}\n{''.join(undisturbed.log[-20:])}")
    return [reader.stream.text for reader in readers]


def live_through(options, cluster, moment, expected):
    """Faults, and the stalls of streams that the frontends' ends did not break."""
    readers = read_all([(front, cluster.nodes[front], request) for front, request in moment.requests])
    time.sleep(moment.delay)
    struck = time.monotonic()
    strike(cluster, moment)
    join(readers)
    faults = repair(cluster, moment)
    faults += judge(options, cluster, moment, readers, expected)
    stalls = [stall for reader in readers if not reader.broken and (stall := reader.stall_after(struck)) is not None]
    return faults, stalls


class Report:
    def __init__(self, seed):
        self.seed, self.counts, self.failed, self.streams = seed, collections.Counter(), [], 0
        self.stalls, self.began = collections.defaultdict(list), time.monotonic()

    def add(self, moment, faults, stalls, logs):
        self.counts[f"{moment.victim}, {moment.how.name}"] += 1
        self.streams += len(moment.requests)
        self.stalls[moment.how.name] += stalls
        if faults:
            self.failed.append(moment.index)
            print(json.dumps(moment.describe() | {"seed": self.seed, "wrong": faults, "logs": logs}), flush=True)

    def line(self):
        return {"moments": sum(self.counts.values()), "streams": self.streams, "failed": len(self.failed),
                "seconds": round(time.monotonic() - self.began)}

    def summary(self):
        result = self.line() | {"seed": self.seed, "counts": dict(sorted(self.counts.items())), "failed_moments": self.failed}
        for name, stalls in sorted(self.stalls.items()):
            stalls.sort()
            if stalls:
                result[f"stall_{name}_ms"] = {"p50": round(1e3 * stalls[len(stalls) // 2]),
                                              "p99": round(1e3 * stalls[len(stalls) * 99 // 100]), "most": round(1e3 * stalls[-1])}
        return result | {"passed": not self.failed}


def play(options, cluster, moment, undisturbed):
    """Faults and stalls of a moment, exceptions included."""
    faults, stalls = [], []
    try:
        expected = texts_of(undisturbed, moment.requests)
        faults = cluster.find_faults_after(options.rest_seconds)
        if not faults:
            faults, stalls = live_through(options, cluster, moment, expected)
    except Exception as error: # whatever it is, it is this moment's, and the next ones are still wanted
        faults.append(f"{type(error).__name__}: {error}")
    return faults, stalls


def run(options):
    report, cluster = Report(options.seed), None
    undisturbed = make_undisturbed_node(options.troupe)
    try:
        for index in range(options.first, options.first + options.moments):
            moment = Moment(options.seed, index)
            cluster = cluster or GridCluster(options.troupe, moment.flavour)
            faults, stalls = play(options, cluster, moment, undisturbed)
            logs = cluster.logs() if faults else {}
            if faults:
                cluster.kill()
                cluster = None
            elif (index + 1) % LIFE == 0 or index + 1 == options.first + options.moments:
                ended, cluster = cluster, None
                faults = [f"{name} ended with {code} at the end of its cluster" for name, code in ended.end().items()]
            report.add(moment, faults, stalls, logs)
            if report.line()["moments"] % REPORT_EVERY == 0:
                print(json.dumps(report.line()), flush=True)
    finally:
        if cluster:
            cluster.kill()
        undisturbed.end()
    print(json.dumps(report.summary()), flush=True)
    return 0 if not report.failed else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("troupe")
    parser.add_argument("--moments", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rest-seconds", type=float, default=10)
    options = parser.parse_args()
    if not MODEL.exists():
        print("SKIPPED: the demo model is not there: run scripts/setup")
        return 77
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
