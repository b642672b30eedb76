# SPDX-License-Identifier: Apache-2.0
"""Keeps many streams open on a disaggregated node with the mock engine, and looks for leaks and lost tokens.

    soak.py TROUPE [--streams 1000] [--seconds 600] [--step-ms 100]

Every stream asks for 200 to 500 tokens; one in twenty closes its socket in mid-stream. A stream that is not closed must have
exactly its tokens, one finish_reason, its usage and [DONE]. Passes if that is so for all, the resident memory is flat over
the last four fifths (slope below 1 MB/min, spread below 16 MB), and at the end all KV blocks are free and SIGTERM ends the node
with 0. Prints one JSON line each 5 s, then the result, with quantiles of troupe_rest_sampled_to_socket_seconds over those
four fifths.
"""
import argparse
import asyncio
import json
import random
import sys
import time

import mock_node

SAMPLE_SECONDS = 5
SLOPE_MAX_MB_PER_MIN = 1.0
SPREAD_MAX_MB = 16
HISTOGRAM = "troupe_rest_sampled_to_socket_seconds"


class Stream(asyncio.Protocol):
    """One connection, which asks for one answer after another. Reads chunked server-sent events."""

    def connection_made(self, transport):
        self.transport, self.buffer, self.answer = transport, b"", None

    def ask(self, prompt: str, tokens: int, cancel_after: "int | None") -> asyncio.Future:
        body = json.dumps({"model": "mock", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True,
                           "stream_options": {"include_usage": True}}).encode()
        self.text, self.finishes, self.usage, self.done, self.in_body = "", [], None, False, False
        self.tokens, self.cancel_after = tokens, cancel_after
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                             + str(len(body)).encode() + b"\r\n\r\n" + body)
        return self.answer

    def data_received(self, data):
        self.buffer += data
        try:
            while self.answer and not self.answer.done() and self.take():
                pass
        except (ValueError, KeyError, IndexError) as error:
            self.resolve(f"unreadable: {error!r}: {self.buffer[:200]!r}")

    def connection_lost(self, exc):
        self.resolve(f"the connection was closed by the server ({exc}) after {len(self.text)} characters" if self.answer else "")

    def resolve(self, result: str):
        if self.answer and not self.answer.done():
            self.answer.set_result(result)

    def take(self) -> bool:
        """Takes the head or one chunk off the buffer; False if it is not whole yet."""
        if not self.in_body:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200 "):
                self.resolve(f"refused: {head.splitlines()[0]!r} {rest[:200]!r}")
                return False
            self.in_body, self.buffer = True, rest
            return True
        size, found, rest = self.buffer.partition(b"\r\n")
        if not found or len(rest) < int(size, 16) + 2:
            return False
        chunk, self.buffer = rest[: int(size, 16)], rest[int(size, 16) + 2:]
        if not chunk:
            self.resolve(self.verdict())
            return False
        for event in chunk.decode().split("\n\n"):
            if event:
                self.take_event(event.removeprefix("data: "))
        if self.cancel_after is not None and len(self.text) >= self.cancel_after:
            self.resolve("cancelled")
            self.transport.abort()
        return True

    def take_event(self, event: str):
        if event == "[DONE]":
            self.done = True
            return
        content = json.loads(event)
        if "error" in content:
            self.resolve(f"an error event: {event}")
            return
        self.usage = content.get("usage") or self.usage
        for choice in content["choices"]:
            self.text += choice["text"]
            if choice["finish_reason"]:
                self.finishes.append(choice["finish_reason"])

    def verdict(self) -> str:
        # The mock draws printable ASCII alone, so a character is a token.
        wrong = []
        if len(self.text) != self.tokens:
            wrong.append(f"{len(self.text)} characters for {self.tokens} tokens")
        if self.finishes != ["length"]:
            wrong.append(f"finish reasons {self.finishes}")
        if not self.usage or self.usage["completion_tokens"] != self.tokens:
            wrong.append(f"usage {self.usage} for {self.tokens} tokens")
        if not self.done:
            wrong.append("no [DONE]")
        return ", ".join(wrong) or "whole"


class Client:
    def __init__(self, node: mock_node.MockNode, streams: int):
        self.node, self.streams, self.counts, self.faults, self.ending = node, streams, {"whole": 0, "cancelled": 0}, [], False

    async def keep_asking(self, index: int):
        rng, connection = random.Random(index), None
        await asyncio.sleep(rng.random())  # not all in the same step
        while not self.ending:
            if connection is None or connection.transport.is_closing():
                _, connection = await asyncio.get_running_loop().create_connection(Stream, self.node.host, self.node.port)
            tokens = rng.randint(200, 500)
            cancel_after = rng.randint(1, tokens - 1) if rng.random() < 0.05 else None
            prompt = f"{index} " + " ".join(str(rng.randrange(10)) for _ in range(rng.randint(5, 50)))
            result = await asyncio.wait_for(connection.ask(prompt, tokens, cancel_after), 600)
            if result in self.counts:
                self.counts[result] += 1
            else:
                self.faults.append(result)
                connection.transport.abort()
        if connection:
            connection.transport.close()

    async def run(self, seconds: float, samples: list):
        tasks = [asyncio.create_task(self.keep_asking(i)) for i in range(self.streams)]
        begin = time.monotonic()
        try:
            while time.monotonic() < begin + seconds:
                await asyncio.sleep(SAMPLE_SECONDS)
                failed = [t for t in tasks if t.done()]
                if failed or self.node.process.poll() is not None or len(self.faults) > 20:
                    self.faults += [repr(t.exception()) for t in failed][:5] or ["the node ended, or too many faults"]
                    break
                samples.append(await self.sample(time.monotonic() - begin))
        finally:
            self.ending = True
            _, late = await asyncio.wait(tasks, timeout=180)
            if late:
                self.faults.append(f"{len(late)} streams did not end in 180 s")

    async def sample(self, at: float) -> dict:
        metrics = await asyncio.to_thread(self.node.metrics)
        sample = {"seconds": round(at, 1), "rss_mb": round(self.node.rss_bytes() / 1e6, 2),
                  "open_streams": int(metrics.sum("troupe_rest_open_streams")),
                  "blocks_free": int(metrics.sum("troupe_worker_kv_blocks_free", role="decode")),
                  "tokens": int(metrics.sum("troupe_rest_tokens_total")), **self.counts, "faults": len(self.faults)}
        print(json.dumps(sample), flush=True)
        return sample | {"buckets": metrics.buckets(HISTOGRAM)}


def slope_per_minute(samples: list[dict]) -> float:
    """Least squares, in MB/min."""
    x, y = [s["seconds"] / 60 for s in samples], [s["rss_mb"] for s in samples]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


def wait_until_free(node: mock_node.MockNode) -> str:
    """What is still held 30 s after the last stream ended; empty if nothing is."""
    held = ""
    for _ in range(60):
        metrics = node.metrics()
        values = {n: metrics.sum(f"troupe_worker_{n}") for n in ("kv_blocks", "kv_blocks_free", "kv_blocks_quarantined", "sequences_running")}
        if values["kv_blocks"] == values["kv_blocks_free"] > 0 and values["sequences_running"] == 0 and metrics.sum("troupe_rest_open_streams") == 0:
            return ""
        held = str(values)
        time.sleep(0.5)
    return held


def judge(samples: list[dict], client: Client, held: str, exit_code: int) -> dict:
    steady = samples[len(samples) // 5:]
    result = {"streams": client.streams, "seconds": samples[-1]["seconds"], **client.counts, "tokens": samples[-1]["tokens"],
              "open_streams_min": min(s["open_streams"] for s in steady),
              "rss_mb_first": steady[0]["rss_mb"], "rss_mb_last": steady[-1]["rss_mb"],
              "rss_slope_mb_per_min": round(slope_per_minute(steady), 3),
              "rss_spread_mb": round(max(s["rss_mb"] for s in steady) - min(s["rss_mb"] for s in steady), 2)}
    buckets = [(bound, last - first) for (bound, last), (_, first) in zip(steady[-1]["buckets"], steady[0]["buckets"])]
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        result[f"sampled_to_socket_{name}_ms"] = round(1000 * mock_node.quantile(buckets, q), 3)
    result["observations"] = int(buckets[-1][1])
    wrong = client.faults[:5]
    if client.counts["whole"] == 0 or client.counts["cancelled"] == 0:
        wrong.append("nothing finished, or nothing was cancelled: the run was too short")
    if result["rss_slope_mb_per_min"] >= SLOPE_MAX_MB_PER_MIN or result["rss_spread_mb"] >= SPREAD_MAX_MB:
        wrong.append("the resident memory is not flat")
    if held:
        wrong.append(f"not free at the end: {held}")
    if exit_code != 0:
        wrong.append(f"SIGTERM ended the node with {exit_code}")
    return result | {"faults": len(client.faults), "wrong": wrong, "passed": not wrong}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--step-ms", type=float, default=100)
    options = parser.parse_args()
    if not mock_node.MODEL.exists():
        print("SKIPPED: the demo model is not there: run scripts/setup")
        return 77
    mock_node.allow_descriptors(2 * options.streams + 256)
    node = mock_node.MockNode(options.binary, options.streams, options.step_ms)
    client, samples, held = Client(node, options.streams), [], "not looked at"
    try:
        asyncio.run(client.run(options.seconds, samples))
        held = wait_until_free(node)
    finally:
        exit_code = node.end()
    sys.stderr.writelines(node.log[:20])
    if len(samples) < 10:
        print(json.dumps({"passed": False, "wrong": client.faults[:5] + ["fewer than ten samples"]}))
        return 1
    result = judge(samples, client, held, exit_code)
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
