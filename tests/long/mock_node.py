# SPDX-License-Identifier: Apache-2.0
"""A node of the real binary with the mock engine, and what its /metrics say."""
import pathlib
import re
import resource
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from node_process import Node  # noqa: E402

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
# Blocks of 32 tokens: the mock has 16,384 of them, enough for all streams without a preemption. The header's time is that of a
# client of one thread, which on a busy machine may come to write its request seconds after it has connected.
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
    header-timeout = 60s
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


class MockNode(Node):
    def __init__(self, binary: str, streams: int, step_ms: float):
        super().__init__(binary, CONFIG.format(model=MODEL, queued=2 * streams, running=min(4096, streams + 64),
                                               connections=2 * streams + 64, step_base_us=round(step_ms * 1000)))
        address = urllib.parse.urlsplit(self.url)
        self.host, self.port = address.hostname, address.port

    def rss_bytes(self) -> int:
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def metrics(self) -> "Metrics":
        return Metrics(self.get("/metrics")[1])


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
