# SPDX-License-Identifier: Apache-2.0
"""256 mock workers on eight nodes of one machine, behind one frontend; one of them becomes five times slower.

    fleet.py build/release/bin/troupe [--streams 512] [--step-ms 100] [--trials 10]

Seven nodes have 255 workers, the eighth has one, whose mock is told to become slow after some steps of its life (executor.mock.fault =
slow); so it is the eighth node that is started anew for each trial. A closed loop of streams, all of the same length, runs all the
time. What a worker was given is read from its metrics: prompt tokens, computed or cached, are as many for each request. Its share is
that number over a time, relative to the average of the other workers; all trials are added up, counted from the step at which
the worker became slow (read every 0.25 s).

Prints JSON lines, the last one the result. Passes if all 256 workers registered and generated tokens, every stream was whole, and
the slow one's share was below a third from 2 s after its slowness on.
"""
import argparse
import asyncio
import bisect
import concurrent.futures
import json
import pathlib
import re
import resource
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import mock_node
import soak

CONFIG = """
troupe {{
  model {{
    path = "{model}"
    name = "mock"
  }}
  cluster {{
    name = "fleet"
    node = "{node}"
    listen = "127.0.0.1:0"
    seeds = [{seed}]
  }}
  admin {{
    listen = "127.0.0.1:0"
  }}
  {role}
  executor {{
    kind = "mock"
    mock {{
      step-base = {step_us}us
      per-row = 0us
      per-prompt-token = 0us
      {fault}
    }}
  }}
  kv {{
    block-tokens = 4
  }}
  limits {{
    connections = {connections}
    header-timeout = 60s
  }}
  log {{
    level = "warning"
  }}
}}
"""
GATEWAY = 'http {\n    listen = "127.0.0.1:0"\n  }'
#: Workers of the first seven nodes; the eighth has one.
COUNTS = [37, 37, 37, 36, 36, 36, 36]
ALL = sum(COUNTS) + 1
TOKENS = 12
SAMPLE_SECONDS = 0.25
#: Before and after the slowness, of each trial.
BEFORE_SECONDS, AFTER_SECONDS = 3, 8
SETTLED_SECONDS = 2
THIRD = 1 / 3


def config_of(options, node, role, seed="", fault=""):
    return CONFIG.format(model=mock_node.MODEL, node=node, role=role, seed=seed and f'"{seed}"', fault=fault,
                         step_us=round(options.step_ms * 1000), connections=2 * options.streams + 64)


def decode_role(count):
    return f"decode-worker {{\n    count = {count}\n  }}"


def slow_fault(options):
    """A worker with little to do takes a step for each token of its requests, so it becomes slow some seconds after its start."""
    steps = round((BEFORE_SECONDS + 4) * 1000 / options.step_ms)
    return steps, f'fault = "slow"\n      fault-after-steps = {steps}'


def why_not_slow(options):
    """What the binary says about a configuration that asks for slowness; empty if nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "slow.conf"
        path.write_text(config_of(options, "slow", decode_role(1), fault=slow_fault(options)[1]))
        checked = subprocess.run([options.binary, "check", "-c", str(path)], capture_output=True, text=True, timeout=60)
    return checked.stdout + checked.stderr if checked.returncode != 0 else ""


class FleetNode:
    """A node, the addresses that it prints, and what its processes and metrics say."""

    def __init__(self, options, name, role, seed="", fault="", kind=mock_node.Node):
        self.process_node = kind(options.binary, config_of(options, name, role, seed, fault))
        out = self.process_node.process.stdout
        self.plane = re.search(r"127\.0\.0\.1:\d+", out.readline()).group()
        self.admin = re.search(r"http://\S+", out.readline()).group()
        self.pid = self.process_node.process.pid

    def metrics(self):
        with urllib.request.urlopen(self.admin + "/metrics", timeout=30) as answer:
            return mock_node.Metrics(answer.read().decode())

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self):
        return round(int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6, 1)

    def end(self):
        return self.process_node.end()


def prompt_tokens_of(metrics):
    return sum(metrics.sum(f"troupe_worker_prompt_tokens_{how}_total") for how in ("computed", "cached"))


def idle_workers_of(metrics):
    """Those that have generated nothing."""
    return [labels["worker"] for name, labels, value in metrics.samples if name == "troupe_worker_output_tokens_total" and value == 0]


class Fleet:
    def __init__(self, options):
        self.options, self.nodes, self.slow = options, [], None
        self.steps, self.fault = slow_fault(options)
        self.front = FleetNode(options, "front", GATEWAY)
        self.front.host, self.front.port = (lambda url: (url.hostname, url.port))(urllib.parse.urlsplit(self.front.process_node.url))

    def start(self):
        """Seconds until the frontend knew all workers."""
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            starting = [pool.submit(self.start_node, f"node-{i}", count) for i, count in enumerate(COUNTS)]
            self.start_slow()
            for node in concurrent.futures.as_completed(starting):
                self.nodes.append(node.result())
        self.wait_for(ALL)
        return time.monotonic() - began

    def start_node(self, name, count, fault=""):
        from node_process import NodeProcess
        return FleetNode(self.options, name, decode_role(count), self.front.plane, fault, NodeProcess)

    def start_slow(self):
        self.slow = self.start_node("slow", 1, self.fault)

    def end_slow(self):
        slow, self.slow = self.slow, None
        return slow.end()

    def wait_for(self, workers, seconds=120):
        until = time.monotonic() + seconds
        while f'"workers":{workers},' not in self.front.process_node.get("/health")[1]:
            if time.monotonic() > until:
                raise RuntimeError(f"not {workers} workers after {seconds} s: {self.front.process_node.get('/health')}")
            time.sleep(0.02)

    def sample(self):
        """(time, prompt tokens of the slow one, its steps, prompt tokens of all others)"""
        slow = self.slow.metrics()
        at = time.monotonic()
        return at, prompt_tokens_of(slow), slow.sum("troupe_worker_steps_total"), sum(prompt_tokens_of(n.metrics()) for n in self.nodes)

    def idle_workers(self):
        return [f"{node.pid} {worker}" for node in [*self.nodes, self.slow] for worker in idle_workers_of(node.metrics())]

    def end(self):
        return [node.end() for node in [*self.nodes, self.slow, self.front] if node]


class Load:
    """Streams in a closed loop."""

    def __init__(self, fleet, streams):
        self.fleet, self.streams, self.whole, self.faults, self.ending, self.prompt_tokens = fleet, streams, 0, [], False, set()

    async def keep_asking(self, index):
        connection, number = None, 0
        while not self.ending:
            if connection is None or connection.transport.is_closing():
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(soak.Stream, self.fleet.front.host, self.fleet.front.port)
            number += 1
            result = await asyncio.wait_for(connection.ask(f"{index:04d} {number:06d}", TOKENS, None), 120)
            if result == "whole":
                self.whole += 1
                self.prompt_tokens.add(connection.usage["prompt_tokens"])
            else:
                self.faults.append(result)
                connection.transport.abort()
        if connection:
            connection.transport.close()

    async def run(self, script):
        """Keeps asking while `script`, in a thread of its own, runs."""
        tasks = [asyncio.create_task(self.keep_asking(i)) for i in range(self.streams)]
        try:
            return await asyncio.to_thread(script)
        finally:
            self.ending = True
            _, late = await asyncio.wait(tasks, timeout=120)
            self.faults += [repr(task.exception()) for task in tasks if task not in late and task.exception()]
            self.faults += [f"{len(late)} streams did not end"] if late else []


class Trial:
    """What the workers were given, by the time since the slow one became slow."""

    def __init__(self, samples, steps, prompt_tokens):
        crossing = next(i for i, sample in enumerate(samples) if sample[2] >= steps)
        (t0, _, s0, _), (t1, _, s1, _) = samples[crossing - 1], samples[crossing]
        moment = t0 + (t1 - t0) * (steps - s0) / (s1 - s0)
        self.times = [sample[0] - moment for sample in samples]
        self.slow = [sample[1] / prompt_tokens for sample in samples]
        self.others = [sample[3] / prompt_tokens / (ALL - 1) for sample in samples]

    def given(self, values, start, end):
        return self.at(values, end) - self.at(values, start)

    def at(self, values, when):
        """Linear between samples."""
        i = min(max(bisect.bisect_left(self.times, when), 1), len(self.times) - 1)
        fraction = (when - self.times[i - 1]) / (self.times[i] - self.times[i - 1])
        return values[i - 1] + (values[i] - values[i - 1]) * min(max(fraction, 0), 1)


def share(trials, start, end):
    """Of the slow worker, relative to the average of the others; all trials together."""
    return sum(t.given(t.slow, start, end) for t in trials) / sum(t.given(t.others, start, end) for t in trials)


def watch(fleet):
    """Samples of one life of the slow worker, to AFTER_SECONDS behind its slowness."""
    samples, until = [], time.monotonic() + 120
    slow_since = None
    while slow_since is None or samples[-1][0] < slow_since + AFTER_SECONDS + SAMPLE_SECONDS:
        if time.monotonic() > until:
            raise RuntimeError(f"the slow worker took {samples[-1][2]} steps in 120 s")
        samples.append(fleet.sample())
        if slow_since is None and samples[-1][2] >= fleet.steps:
            slow_since = samples[-1][0]
        time.sleep(SAMPLE_SECONDS)
    return samples


def measure_cpu(node, seconds=5):
    before, began = node.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return round((node.cpu_seconds() - before) / (time.monotonic() - began), 3)


def script(fleet, load, trials_wanted):
    """What happens under load: trials and figures."""
    time.sleep(5)
    figures = {"frontend_cores_loaded": measure_cpu(fleet.front)}
    before, began = load.whole, time.monotonic()
    lives = []
    for number in range(trials_wanted):
        code = fleet.end_slow()
        if code != 0:
            raise RuntimeError(f"the slow node ended with {code}")
        fleet.start_slow()
        fleet.wait_for(ALL)
        lives.append(watch(fleet))
        if number == 0:
            figures["idle_workers"] = fleet.idle_workers()
        print(json.dumps({"trial": number + 1, "seconds": round(lives[-1][-1][0] - lives[-1][0][0], 1), "whole": load.whole}), flush=True)
    figures["requests_per_second"] = round((load.whole - before) / (time.monotonic() - began), 1)
    figures["frontend_rss_mb"], figures["node_rss_mb"] = fleet.front.rss_mb(), [node.rss_mb() for node in [*fleet.nodes, fleet.slow]]
    return figures, lives


def fall_of(trials):
    """Seconds from the slowness to the first second that had less than a third; None if there is none."""
    starts = [i * SAMPLE_SECONDS for i in range(int((AFTER_SECONDS - 1) / SAMPLE_SECONDS) + 1)]
    return next((start for start in starts if share(trials, start, start + 1) < THIRD), None)


def judge(result, load, codes):
    wrong = load.faults[:5]
    if len(load.prompt_tokens) != 1:
        wrong.append(f"prompts of {sorted(load.prompt_tokens)} tokens; a share needs equal ones")
    if result["idle_workers"]:
        wrong.append(f"these workers were never given a token to generate: {result['idle_workers'][:5]}")
    if not 0.7 < result["share_before"] < 1.5:
        wrong.append("the worker had no equal share before it was slow: nothing is measured")
    if result["share_after"] >= THIRD:
        wrong.append(f"its share is {result['share_after']} from {SETTLED_SECONDS} s after its slowness on")
    if result["seconds_to_a_third"] is None or result["seconds_to_a_third"] > SETTLED_SECONDS:
        wrong.append("it kept its share for too long")
    if any(codes):
        wrong.append(f"nodes ended with {codes}")
    return result | {"idle_workers": len(result["idle_workers"]), "wrong": wrong, "passed": not wrong}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--streams", type=int, default=512)
    parser.add_argument("--step-ms", type=float, default=100)
    parser.add_argument("--trials", type=int, default=10)
    options = parser.parse_args()
    if not mock_node.MODEL.exists():
        print("SKIPPED: the demo model is not there: run scripts/setup")
        return 77
    if why := why_not_slow(options):
        print(f"SKIPPED: this binary has no mock that becomes slow (executor.mock.fault = slow): {why}")
        return 77
    mock_node.allow_descriptors(4 * options.streams + 256)
    fleet = Fleet(options)
    codes = []
    try:
        result = {"workers": ALL, "nodes": len(COUNTS) + 1, "seconds_to_register": round(fleet.start(), 2)}
        print(json.dumps(result), flush=True)
        result["frontend_cores_idle"] = measure_cpu(fleet.front)
        load = Load(fleet, options.streams)
        figures, lives = asyncio.run(load.run(lambda: script(fleet, load, options.trials)))
    finally:
        codes = fleet.end()
    trials = [Trial(samples, fleet.steps, next(iter(load.prompt_tokens))) for samples in lives]
    result |= figures | {"streams": options.streams, "trials": len(trials), "whole": load.whole, "faults": len(load.faults),
                         "share_before": round(share(trials, -BEFORE_SECONDS, 0), 3),
                         "share_by_second": [round(share(trials, s, s + 1), 3) for s in range(AFTER_SECONDS)],
                         "share_after": round(share(trials, SETTLED_SECONDS, AFTER_SECONDS), 3),
                         "seconds_to_a_third": fall_of(trials),
                         "given_per_worker_and_second": round(sum(t.given(t.others, 0, AFTER_SECONDS) for t in trials)
                                                              / AFTER_SECONDS / len(trials), 2)}
    result = judge(result, load, codes)
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
