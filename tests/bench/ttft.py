# SPDX-License-Identifier: Apache-2.0
"""Time to the first token of a long prompt, not cached and cached: one JSON object a line.

    ttft.py TROUPE MODEL.gguf [--tokens N]      starts a node of its own, prefill and decode apart
"""
import argparse
import http.client
import json
import pathlib
import statistics
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from node_process import Node  # noqa: E402

RUNS = 5
CONFIG = """
troupe {{
  model {{
    path = "{model}"
    name = "model"
  }}
  http {{
    listen = "127.0.0.1:0"
  }}
  prefill-worker {{
    count = 1
  }}
  decode-worker {{
    count = 1
  }}
}}
"""


def first_token_seconds(url, prompt):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
    body = json.dumps({"model": "model", "prompt": prompt, "max_tokens": 2, "temperature": 0, "stream": True})
    begin = time.perf_counter()
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    while True:
        line = answer.readline()
        if not line:
            raise SystemExit("the stream ended without a token")
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"]:
            seconds = time.perf_counter() - begin
            answer.read()
            connection.close()
            return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("troupe")
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=1000)
    options = parser.parse_args()
    node = Node(options.troupe, CONFIG.format(model=pathlib.Path(options.model).resolve()))
    times = {"not cached": [], "cached": []}
    for run in range(RUNS):
        prompt = [(i * 7 + run * 131) % 400 + 300 for i in range(options.tokens)]
        times["not cached"].append(first_token_seconds(node.url, prompt))
        times["cached"].append(first_token_seconds(node.url, prompt))
    node.end()
    for what, seconds in times.items():
        print(json.dumps({"bench": "ttft", "prompt_tokens": options.tokens, "prompt": what, "median_ms": round(statistics.median(seconds) * 1e3, 1),
                          "least_ms": round(min(seconds) * 1e3, 1), "most_ms": round(max(seconds) * 1e3, 1), "runs": RUNS}))


if __name__ == "__main__":
    main()
