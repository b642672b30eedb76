# SPDX-License-Identifier: Apache-2.0
"""Workers of different models behind one frontend, as real processes."""
import json
import pathlib
import re
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from node_process import Node, wait_until
from tiny_model import write_model

TROUPE = sys.argv.pop(1)
HEAD = """
troupe {{
  cluster {{
    node = "{node}"
    listen = "127.0.0.1:0"
    seeds = [{seeds}]
  }}
  http {{
    listen = "127.0.0.1:0"
  }}
"""
MODEL = """
  model {{
    path = "{path}"
    name = "{name}"
  }}
"""
WORKER = """
  decode-worker { }
  executor {
    kind = "mock"
    mock { step-base = 1ms }
  }
"""


class Models(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.files = {}
        for name, rotation in [("first", 0), ("second", 7)]:
            self.files[name] = pathlib.Path(folder.name) / f"{name}.gguf"
            write_model(self.files[name], rotation)
        sections = "".join(MODEL.format(path=path, name=name) for name, path in self.files.items())
        self.front = self.node(HEAD.format(node="front", seeds="") + sections + "}\n")
        self.seed = re.search(r"127\.0\.0\.1:\d+", self.front.process.stdout.readline()).group()

    def node(self, config):
        node = Node(TROUPE, config)
        self.addCleanup(node.end)
        return node

    def worker(self, node, model, file=None):
        """It has a gateway of its own, for its metrics."""
        head = HEAD.format(node=node, seeds=f'"{self.seed}"')
        return self.node(head + MODEL.format(path=self.files[file or model], name=model) + WORKER + "}\n")

    def listed(self):
        return [model["id"] for model in json.loads(self.front.get("/v1/models")[1])["data"]]

    def ask(self, model, tokens=20, prompt="Once"):
        """Status, answer and headers."""
        body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0}
        request = urllib.request.Request(self.front.url + "/v1/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers

    def warnings(self, part):
        return [line for line in self.front.log if part in line]

    def test_each_request_is_answered_by_a_worker_of_its_model(self):
        self.assertEqual(self.listed(), [])
        workers = {name: self.worker(f"of-{name}", name) for name in ["second", "first"]}
        self.assertTrue(wait_until(lambda: self.listed() == ["first", "second"], 10)) # in the file's order
        texts = {}
        for requests, name in [(3, "first"), (5, "second")]:
            for _ in range(requests):
                status, answer, headers = self.ask(name)
                self.assertEqual((status, answer["model"]), (200, name))
                self.assertEqual(headers["x-troupe-mock"], "true") # although only the worker is one
                texts.setdefault(name, set()).add(answer["choices"][0]["text"])
            metric = "troupe_worker_output_tokens_total" # written a moment after the answer
            self.assertTrue(wait_until(lambda: workers[name].metric(metric) == 20 * requests, 10))
        self.assertEqual([len(texts[name]) for name in texts], [1, 1])
        self.assertNotEqual(texts["first"], texts["second"])
        status, answer, _ = self.ask("third")
        self.assertEqual((status, answer["error"]["code"]), (404, "model_not_found"))
        # No more than a worker can hold is asked of one.
        status, answer, _ = self.ask("first", tokens=600)
        self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))

    def test_the_list_follows_the_workers(self):
        self.worker("a", "first")
        second = self.worker("b", "second")
        self.assertTrue(wait_until(lambda: self.listed() == ["first", "second"], 10))
        self.assertEqual(self.front.get("/v1/models/second")[0], 200)
        second.process.kill()
        self.assertTrue(wait_until(lambda: self.listed() == ["first"], 3))
        self.assertEqual(self.front.get("/v1/models/second")[0], 404)
        self.assertEqual(self.front.get("/health")[0], 200)
        self.assertEqual(self.ask("first")[0], 200)
        status, answer, headers = self.ask("second")
        self.assertEqual((status, answer["error"]["code"]), (503, "unavailable"))
        self.assertEqual(headers["Retry-After"], "1")
        self.worker("b", "second")
        self.assertTrue(wait_until(lambda: self.listed() == ["first", "second"], 3))
        self.assertEqual(self.ask("second")[0], 200)

    def test_a_request_waits_for_a_worker_that_is_just_starting(self):
        self.assertEqual(self.front.get("/health")[0], 503)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.ask("second")[0]))
        asking.start()
        self.worker("a", "second")
        asking.join(timeout=30)
        self.assertEqual(answers, [200])

    def test_a_namesake_with_another_vocabulary_and_an_unknown_model_are_named_once_in_the_log(self):
        self.files["stranger"] = self.files["first"]
        self.worker("liar", "first", file="second")
        self.worker("stranger", "stranger")
        self.worker("a", "second")
        self.assertTrue(wait_until(lambda: self.listed() == ["second"], 10))
        time.sleep(1) # shares come four times a second
        self.assertEqual(self.listed(), ["second"])
        left_out = self.warnings("another vocabulary")
        self.assertEqual(len(left_out), 1)
        self.assertIn("model=first node=liar", left_out[0])
        unknown = self.warnings("is not in this node's file")
        self.assertEqual(len(unknown), 1)
        self.assertIn("model=stranger node=stranger", unknown[0])
        self.assertEqual(self.ask("stranger")[0], 404)
        self.assertEqual(self.ask("second")[0], 200)


if __name__ == "__main__":
    unittest.main()
