# SPDX-License-Identifier: Apache-2.0
"""The admin listener of real nodes: what it answers, and a drain that it is asked for under load."""
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import pathlib
import time
import unittest
import urllib.error
import urllib.request

from node_process import CONFIG_HEAD, MODEL, Node, NodeProcess, read_admin_url, sum_of_metric, wait_until
from text_stream import Readers, Stream

TROUPE = sys.argv.pop(1)
ADMIN = """
  admin {{
    listen = "127.0.0.1:{port}"
  }}
"""
REST = """
  {workers}
  {more}
  executor {{
    kind = "mock"
    mock {{
      step-base = {step}
    }}
  }}
  supervisor {{
    drain-timeout = 20s
  }}
}}
"""
DECODE = "decode-worker { count = 1 }"
WORKER_HEAD = 'troupe {{\n  model {{ path = "{model}", name = "demo" }}\n'


def config(head=CONFIG_HEAD, workers=DECODE, more="", step="5ms", port=0):
    return (head + ADMIN + REST).format(model=MODEL, workers=workers, more=more, step=step, port=port)


def cluster(node, *seeds):
    return 'cluster {{ node = "{}", listen = "127.0.0.1:0", seeds = [{}] }}'.format(
        node, ", ".join(f'"{seed}"' for seed in seeds))


def ask(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, body, {key.replace("_", "-"): value for key, value in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def drain(url):
    return ask(url + "/admin/drain", "POST")


def refuses_connections(url):
    try:
        ask(url + "/live")
        return False
    except OSError:
        return True


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class Admin(unittest.TestCase):
    def start(self, text, kind=Node):
        node = kind(TROUPE, text)
        self.addCleanup(self.end, node)
        return node

    def end(self, node):
        if node.process.poll() is None:
            node.process.kill()
        node.end()

    def test_a_worker_without_http_tells_its_health_and_metrics(self):
        node = self.start(config(WORKER_HEAD, more=cluster("a")), NodeProcess)
        url = read_admin_url(node)
        self.assertEqual(ask(url + "/live")[:2], (200, '{"status":"live"}'))
        self.assertEqual(ask(url + "/health")[:2], (200, '{"status":"ok","workers":1,"problems":[]}'))
        status, metrics, headers = ask(url + "/metrics?x=1")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertEqual(sum_of_metric(metrics, "troupe_worker_kv_blocks", role="decode"), 16384)
        self.assertEqual(ask(url + "/health", "HEAD")[:2], (200, ""))
        self.assertEqual(node.end(), 0)
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed")
        checked = subprocess.run([promtool, "check", "metrics"], input=metrics, text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_it_answers_as_the_gateway_does(self):
        node = self.start(config())
        url = read_admin_url(node)
        for path in ["/live", "/health", "/nothing", "/v1"]:
            self.assertEqual(ask(url + path)[:2], ask(node.url + path)[:2])
        kinds = [set(re.findall("^# TYPE .*", ask(base + "/metrics")[1], re.M)) for base in [url, node.url]]
        self.assertEqual(kinds[0], kinds[1])
        self.assertIn("# TYPE troupe_rest_requests_total counter", kinds[0])
        self.assertEqual(ask(url + "/v1/models")[0], 404)
        status, body, headers = ask(url + "/admin/drain")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))
        self.assertIn('"error":{"message":"this path does not support the method"', body)
        status, _, headers = ask(url + "/health", "POST", b"{}")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(ask(node.url + "/admin/drain", "POST")[0], 404)
        # A web page cannot end the node.
        self.assertEqual(ask(url + "/admin/drain", "POST", Origin="http://example.com")[0], 403)
        self.assertEqual(ask(url + "/admin/drain", "POST", b"a=b", Content_Type="application/x-www-form-urlencoded")[0], 415)
        self.assertEqual(ask(url + "/health")[0], 200)
        self.assertEqual(node.end(), 0)

    def test_a_drain_under_load_ends_every_stream_whole_and_the_node_with_0(self):
        node = self.start(config())
        url = read_admin_url(node)
        prompts = ["One", "Two", "Three", "Four"]
        whole = Readers(node, prompts, 200).join()
        readers = Readers(node, prompts, 200)
        wait_until(lambda: all(stream.text for stream in readers.streams))
        self.assertEqual(drain(url)[:2], (202, '{"status":"draining"}'))
        self.assertEqual(drain(url)[0], 202)  # again is the same
        self.assertTrue(wait_until(lambda: refuses_connections(node.url)))
        self.assertEqual(ask(url + "/live")[0], 200)
        status, body, _ = ask(url + "/health")
        self.assertEqual(status, 503)
        self.assertIn("the node is draining", body)
        self.assertGreater(sum_of_metric(ask(url + "/metrics")[1], "troupe_rest_open_streams"), 0)
        self.assertEqual(readers.join(), whole)
        self.assertEqual(node.process.wait(timeout=20), 0)
        for stream in readers.streams:
            self.assertEqual((stream.finish, stream.failure, stream.done), ("length", None, True))

    def drained_in_mid_stream(self):
        node = self.start(config(step="20ms"))
        url = read_admin_url(node)
        readers = Readers(node, ["One"], 100)
        wait_until(lambda: readers.streams[0].text)
        self.assertEqual(drain(url)[0], 202)
        wait_until(lambda: any("node draining" in line for line in node.log))
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        self.assertIsNone(node.process.poll())
        return node, readers

    def test_a_signal_after_a_drain_is_the_first_one(self):
        node, readers = self.drained_in_mid_stream()
        readers.join()
        self.assertEqual((readers.streams[0].finish, readers.streams[0].failure), ("length", None))
        self.assertEqual(node.process.wait(timeout=20), 0)

    def test_a_second_signal_after_a_drain_ends_at_once(self):
        node, readers = self.drained_in_mid_stream()
        readers.streams[0].excuse = "its frontend was told to end at once"
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.process.wait(timeout=2), -signal.SIGINT)
        readers.threads[0].join(timeout=10)

    def test_a_signal_in_the_middle_of_a_signals_drain_is_not_undone_by_the_listener(self):
        node = self.start(config(step="20ms"))
        url = read_admin_url(node)
        readers = Readers(node, ["One"], 60)
        wait_until(lambda: readers.streams[0].text)
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: any("node draining" in line for line in node.log))
        self.assertEqual(ask(url + "/health")[0], 503)
        self.assertEqual(drain(url)[0], 202)
        readers.join()
        self.assertEqual(readers.streams[0].finish, "length")
        self.assertEqual(node.process.wait(timeout=20), 0)

    def test_a_drained_worker_of_a_cluster_fails_no_request(self):
        front = self.start(config(workers="", more=cluster("front")))
        plane = re.search(r"127\.0\.0\.1:\d+", front.process.stdout.readline()).group()
        workers = [self.start(config(WORKER_HEAD, more=cluster(name, plane)), NodeProcess) for name in ["a", "b"]]
        self.assertTrue(wait_until(lambda: '"workers":2,' in front.get("/health")[1]))
        readers = Readers(front, ["One", "Two", "Three", "Four"], 100)
        self.assertEqual(drain(read_admin_url(workers[0]))[0], 202)
        readers.join()
        for stream in readers.streams:
            self.assertEqual((stream.finish, stream.failure), ("length", None))
        self.assertEqual(workers[0].process.wait(timeout=30), 0)

    def test_children_have_listeners_of_their_own(self):
        roles = 'prefill-worker { isolation = "process" }\n  decode-worker { isolation = "process" }'
        node = self.start(config(workers=roles))
        Readers(node, ["The capital of France is " * 40, "Once upon a time " * 30], 20).join()
        metrics = {}
        for name in ["prefill", "decode"]:
            found = re.search(rf"admin listening url=(\S+) process=node\.{name}-worker-1", "".join(node.log))
            metrics[name] = ask(found.group(1) + "/metrics")[1]
        self.assertEqual(sum_of_metric(metrics["decode"], "troupe_worker_kv_landings_completed_total"), 2)
        self.assertEqual(sum_of_metric(metrics["decode"], "troupe_worker_prompt_tokens_computed_total"), 0)
        self.assertGreater(sum_of_metric(metrics["prefill"], "troupe_worker_prompt_tokens_computed_total"), 200)
        self.assertEqual(drain(read_admin_url(node))[0], 202)
        self.assertEqual(node.process.wait(timeout=20), 0)

    def test_a_taken_port_ends_the_node_with_3(self):
        node = self.start(config())
        port = read_admin_url(node).rsplit(":", 1)[1]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "node.conf"
            path.write_text(config(port=port))
            done = subprocess.run([TROUPE, "serve", "-c", str(path)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(port, done.stderr)


if __name__ == "__main__":
    unittest.main()
