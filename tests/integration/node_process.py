# SPDX-License-Identifier: Apache-2.0
"""A node of the real binary in a process of its own."""
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import history

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
#: How the format string of a node's configuration begins: model, and a gateway at a port that the system chooses.
CONFIG_HEAD = """
troupe {{
  model {{
    path = "{model}"
    name = "demo"
  }}
  http {{
    listen = "127.0.0.1:0"
  }}
"""


def wait_until(condition, seconds=20):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.02)
    return False


def sum_of_metric(text, name, **labels):
    total = 0.0
    for line in text.splitlines():
        if line.startswith(name) and line[len(name)] in "{ " and all(f'{k}="{v}"' in line for k, v in labels.items()):
            total += float(line.split()[-1].split()[0]) if "}" not in line else float(line.split("}")[1].split()[0])
    return total


def read_admin_url(node):
    while line := node.process.stdout.readline():
        if found := re.search(r"its admin listener is at (\S+)", line):
            return found.group(1)
    raise AssertionError("no admin listener: " + "".join(node.log))


class NodeProcess:
    """A node in the foreground, with or without a gateway."""

    def __init__(self, troupe, config="", arguments=()):
        self.troupe = troupe
        #: What its clients read; judged when it ends.
        self.streams = []
        self.folder = tempfile.TemporaryDirectory()
        if config:
            path = pathlib.Path(self.folder.name) / "node.conf"
            path.write_text(config)
            arguments = ["-c", str(path), *arguments]
        self.process = subprocess.Popen([troupe, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()
        self.ready = self.process.stdout.readline()
        if not self.ready:
            raise AssertionError(f"the node did not start: {self.process.wait()}; log: {''.join(self.log)}")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.reader.join(timeout=10)
        self.process.stdout.close()
        self.process.stderr.close()
        self.folder.cleanup()
        history.check(self.troupe, self.streams)
        return code


class Node(NodeProcess):
    """A node with a gateway; its first two lines are what a user sees."""

    def __init__(self, troupe, config):
        super().__init__(troupe, config)
        self.curl = self.process.stdout.readline()
        found = re.search(r"http://\S+", self.ready)
        if not found:
            raise AssertionError(f"no URL in {self.ready!r}; log: {''.join(self.log)}")
        self.url = found.group()

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        return sum_of_metric(self.get("/metrics")[1], name, **labels)
