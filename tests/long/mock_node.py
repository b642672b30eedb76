# SPDX-License-Identifier: Apache-2.0
"""A node of the real binary with the mock engine, and what its /metrics say."""
import pathlib
import re
import resource
import signal
import subprocess
import tempfile
import threading
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
# Blocks of 32 tokens: the mock has 16,384 of them, enough for all streams without a preemption.
CONFIG = """
troupe {{
  model {{
    path = "{model}"
    name = "mock"
  }}
  http {{
    listen = "127.0.0.1:0"
  }}
  prefill-worker {{
    running-max = 256
    queued-max = {queued}
    batch-tokens = 4096
  }}
  decode-worker {{
    running-max = {running}
    queued-max = {queued}
    batch-tokens = 4096
  }}
  kv {{
    block-tokens = 32
  }}
  executor {{
    kind = "mock"
    mock {{
      step-base = {step_base_us}us
      per-row = 0us
      per-prompt-token = 1us
    }}
  }}
  limits {{
    connections = {connections}
  }}
  log {{
    level = "warning"
  }}
}}
"""


def allow_descriptors(count: int):
    """For this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SystemExit(f"{count} file descriptors are needed, and the hard limit is {hard} (ulimit -Hn)")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Node:
    def __init__(self, binary: str, streams: int, step_ms: float):
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name) / "node.conf"
        path.write_text(CONFIG.format(model=MODEL, queued=2 * streams, running=min(4096, streams + 64),
                                      connections=2 * streams + 64, step_base_us=round(step_ms * 1000)))
        self.process = subprocess.Popen([binary, "serve", "-c", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        found = re.search(r"http://([\d.]+):(\d+)", self.process.stdout.readline())
        if not found:
            self.process.kill()
            raise SystemExit("the node did not start: " + "".join(self.log))
        self.host, self.port = found[1], int(found[2])

    def rss_bytes(self) -> int:
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def metrics(self) -> "Metrics":
        with urllib.request.urlopen(f"http://{self.host}:{self.port}/metrics", timeout=30) as answer:
            return Metrics(answer.read().decode())

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.reader.join(timeout=10)
            self.folder.cleanup()


class Metrics:
    """One answer of /metrics."""

    def __init__(self, text: str):
        self.samples = [(m[1], dict(re.findall(r'(\w+)="([^"]*)"', m[2] or "")), float(m[3]))
                        for m in re.finditer(r"^(\w+)(\{[^}]*\})? (\S+)$", text, re.MULTILINE)]

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for n, l, value in self.samples if n == name and labels.items() <= l.items())

    def buckets(self, name: str) -> list[tuple[float, float]]:
        """(upper bound, count up to it), ascending."""
        return sorted((float(l["le"]), value) for n, l, value in self.samples if n == name + "_bucket")


def quantile(buckets: list[tuple[float, float]], q: float) -> float:
    """As Prometheus' histogram_quantile: linear within the bucket."""
    wanted, low, before = q * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted and count > before:
            return low if bound == float("inf") else low + (bound - low) * (wanted - before) / (count - before)
        low, before = bound, count
    return float("nan")
