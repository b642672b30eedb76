# SPDX-License-Identifier: Apache-2.0
"""How the process of a node ends, by failures and by signals, and lives with few file descriptors. Mock engine, real tokenizer."""
import http.client
import json
import os
import pathlib
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from node_process import CONFIG_HEAD, MODEL, Node
from text_stream import Stream

TROUPE = sys.argv.pop(1)
CONFIG = CONFIG_HEAD + """
  decode-worker {{
    count = 1
  }}
  executor {{
    kind = "mock"
    mock {{
      step-base = {step}
      fault = "{fault}"
      fault-after-steps = 20
    }}
  }}
  supervisor {{
    drain-timeout = {drain}
  }}
}}
"""


def start(fault="none", step="2ms", drain="30s"):
    return Node(TROUPE, CONFIG.format(model=MODEL, fault=fault, step=step, drain=drain))


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class FailingNode(unittest.TestCase):
    @unittest.skipIf("TROUPE_SANITIZE" in os.environ, "sanitizers keep freed memory")
    def test_ended_requests_leave_no_memory_behind(self):
        node = start(step="0s")
        connection = http.client.HTTPConnection(*node.url.removeprefix("http://").split(":"))
        body = json.dumps({"model": "demo", "prompt": "Once", "max_tokens": 1, "temperature": 0})

        def ask(times):
            for _ in range(times):
                connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
                self.assertEqual(connection.getresponse().read()[:1], b"{")
            status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
            return int(status.split("VmRSS:")[1].split()[0])

        ask(1000) # fills caches and arenas
        before = ask(0)
        grown = ask(3000) - before
        connection.close()
        self.assertEqual(node.end(), 0)
        self.assertLess(grown, 2_000) # KB; a session that is kept takes 2

    def whole_text(self, tokens):
        node = start()
        stream = Stream(node, tokens)
        stream.read_to_end()
        self.assertEqual((node.end(), stream.finish, stream.done), (0, "length", True))
        return stream.text

    def check_four_failures(self, fault, code):
        node = start(fault)
        whole = Stream(node, 50)
        whole.read_to_end()  # over two failures
        self.assertEqual((whole.text, whole.finish, whole.failure), (self.whole_text(50), "length", None))
        try:
            beyond = Stream(node, 500)
            beyond.read_to_end()
            self.assertIsNotNone(beyond.failure)
            self.assertTrue(beyond.done)
        except urllib.error.HTTPError as refused:
            self.assertGreaterEqual(refused.code, 500)
        except (urllib.error.URLError, ConnectionError):
            pass  # the end came first
        self.assertEqual(node.process.wait(timeout=30), code)
        log = "".join(node.log)
        self.assertEqual(log.count("is restarted"), 3, log)
        self.assertEqual(log.count("giving up"), 1, log)
        node.end()

    def test_a_text_goes_on_over_crashes_and_the_fourth_ends_the_node_with_5(self):
        self.check_four_failures("crash", 5)

    def test_a_text_goes_on_over_lost_devices_and_the_fourth_ends_the_node_with_6(self):
        self.check_four_failures("device-lost", 6)

    def test_the_mock_says_so(self):
        node = start()
        models = json.loads(node.get("/v1/models")[1])
        self.assertIn("mock", json.dumps(models))
        self.assertEqual(node.end(), 0)

    def test_sigterm_lets_a_stream_end_whole_and_refuses_new_ones(self):
        node = start(step="10ms")
        stream = Stream(node, 100)
        stream.read_until(5)
        node.process.send_signal(signal.SIGTERM)
        rest = threading.Thread(target=stream.read_to_end)
        rest.start()
        time.sleep(0.2)
        with self.assertRaises((urllib.error.URLError, ConnectionError)):
            Stream(node, 1)
        rest.join(timeout=30)
        self.assertEqual(node.process.wait(timeout=30), 0)
        self.assertEqual((stream.finish, stream.failure, stream.done), ("length", None, True))
        node.end()

    def test_a_stream_over_the_drain_limit_ends_in_an_error_event(self):
        node = start(step="50ms", drain="500ms")
        stream = Stream(node, 1000)
        stream.read_until(3)
        node.process.send_signal(signal.SIGTERM)
        stream.read_to_end()
        self.assertIsNotNone(stream.failure)
        self.assertTrue(stream.done)
        self.assertEqual(node.process.wait(timeout=30), 0)
        node.end()

    def test_a_second_signal_ends_at_once(self):
        node = start(step="50ms")
        stream = Stream(node, 1000)
        stream.read_until(3)
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.assertIsNone(node.process.poll())
        asked = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.process.wait(timeout=10), -signal.SIGTERM)
        self.assertLess(time.monotonic() - asked, 2)
        stream.answer.close()
        node.end()


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class FewDescriptors(unittest.TestCase):
    def start(self, limit):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        wrapper = pathlib.Path(folder.name) / "troupe"
        wrapper.write_text(f'#!/bin/sh\nulimit {limit} && exec "{TROUPE}" "$@"\n')
        wrapper.chmod(0o755)
        node = Node(str(wrapper), CONFIG.format(model=MODEL, fault="none", step="2ms", drain="30s"))
        self.addCleanup(node.process.kill)
        self.address = ("127.0.0.1", int(node.url.rsplit(":", 1)[1]))
        return node

    def connect(self, count):
        connections = [socket.create_connection(self.address, timeout=30) for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    def ask(self, connection):
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(12)

    def test_a_soft_limit_is_raised_to_what_the_connections_need(self):
        node = self.start("-Sn 64")
        last = self.connect(200)[-1]
        last.settimeout(4)  # before silent ones are closed, which would make room
        self.assertEqual(self.ask(last), b"HTTP/1.1 200")
        self.assertEqual(node.end(), 0)
        self.assertNotIn("file descriptors", "".join(node.log))

    @unittest.skipIf("TROUPE_SANITIZE" in os.environ, "UBSan opens a pipe to look at memory and takes a failure for a bad object")
    def test_without_descriptors_connections_wait_for_others_to_end(self):
        node = self.start("-n 64")
        connections = self.connect(100)
        self.assertEqual(self.ask(connections[0]), b"HTTP/1.1 200")
        connections[-1].settimeout(1)
        with self.assertRaises(TimeoutError):
            self.ask(connections[-1])
        for connection in connections[:-1]:
            connection.close()
        connections[-1].settimeout(30)
        self.assertEqual(connections[-1].recv(12), b"HTTP/1.1 200")
        self.assertEqual(node.end(), 0)
        self.assertIn("fewer file descriptors", "".join(node.log))


if __name__ == "__main__":
    unittest.main()
