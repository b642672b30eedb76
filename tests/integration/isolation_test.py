# SPDX-License-Identifier: Apache-2.0
"""Worker roles in child processes of a node: what a child's death, and its parent's, do to streams and processes."""
import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from node_process import CONFIG_HEAD, MODEL, Node, wait_until
from text_stream import Readers, Stream

TROUPE = sys.argv.pop(1)
CONFIG = CONFIG_HEAD + """
  {workers}
  executor {{
    kind = "{engine}"
    mock {{
      step-base = 5ms
      fault = "{fault}"
      fault-after-steps = 20
    }}
  }}
  kv {{
    memory = 64MiB
  }}
  compute {{
    threads = 1
  }}
}}
"""


def role(name, count, isolation="process"):
    return f'{name}-worker {{ count = {count}, isolation = "{isolation}" }}\n'


def children_of(pid):
    """Process ids by the names of their nodes."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        try:
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue  # not a process, or one that has gone
        if parent == str(pid) and len(words) > 2:
            found[words[2].decode()] = int(folder.name)
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ends_of(readers):
    readers.join()
    return [(stream.text, stream.finish, stream.failure, stream.done) for stream in readers.streams]


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class Isolation(unittest.TestCase):
    PROMPTS = ["One", "Two", "Three", "Four", "Five", "Six"]
    TOKENS = 60

    def start(self, workers, fault="none", engine="mock"):
        node = Node(TROUPE, CONFIG.format(model=MODEL, workers=workers, fault=fault, engine=engine))
        self.addCleanup(self.end, node)
        return node

    def end(self, node):
        left = list(children_of(node.process.pid).values())
        if node.process.poll() is None:
            node.process.kill()
        self.kill_those_left(left)
        node.end()

    def kill_those_left(self, children):
        """They hold the pipe of the log open, for which the end of a test waits."""
        if not wait_until(lambda: not any(map(is_alive, children)), 1):
            for child in filter(is_alive, children):
                os.kill(child, signal.SIGKILL)

    def undisturbed(self, prompts=PROMPTS, tokens=TOKENS, engine="mock"):
        node = self.start(role("decode", 1, "thread"), engine=engine)
        results = ends_of(Readers(node, prompts, tokens))
        self.assertEqual(node.end(), 0)
        for result in results:
            self.assertEqual(result[1:], ("length", None, True))
        return results

    def expect(self, node, workers):
        self.assertTrue(wait_until(lambda: f'"workers":{workers},' in node.get("/health")[1]), "".join(node.log))

    def test_a_child_that_is_killed_in_mid_stream_changes_no_stream_and_is_restarted(self):
        whole = self.undisturbed()
        node = self.start(role("decode", 2))
        self.assertEqual(node.get("/health")[0], 200)
        names = sorted(children_of(node.process.pid))
        self.assertEqual(names, ["node.decode-worker-1", "node.decode-worker-2"])
        self.assertEqual(ends_of(Readers(node, self.PROMPTS, self.TOKENS)), whole)
        moments = random.Random(7)
        for victim in names + names[:1]:
            readers = Readers(node, self.PROMPTS, self.TOKENS)
            time.sleep(moments.uniform(0, 0.25))
            os.kill(children_of(node.process.pid)[victim], signal.SIGKILL)
            self.assertEqual(ends_of(readers), whole)
            self.expect(node, 2)
        self.assertEqual(sorted(children_of(node.process.pid)), names)
        self.assertEqual(node.end(), 0)
        restarts = [line for line in node.log if "is restarted" in line]
        self.assertEqual(len(restarts), 3, "".join(node.log))
        for line in restarts:
            self.assertIn("signal SIGKILL", line)

    def test_the_only_child_that_is_killed_is_waited_for(self):
        whole = self.undisturbed()
        node = self.start(role("decode", 1))
        readers = Readers(node, self.PROMPTS, self.TOKENS)
        wait_until(lambda: readers.streams[0].text)
        os.kill(children_of(node.process.pid)["node.decode-worker-1"], signal.SIGKILL)
        self.assertEqual(ends_of(readers), whole)
        self.assertEqual(node.end(), 0)

    def test_a_death_is_seen_at_once(self):
        node = self.start(role("decode", 1))
        seen = []
        for _ in range(3):
            self.expect(node, 1)
            killed = time.monotonic()
            before = len([line for line in node.log if "is restarted" in line])
            os.kill(children_of(node.process.pid)["node.decode-worker-1"], signal.SIGKILL)
            wait_until(lambda: len([line for line in node.log if "is restarted" in line]) > before)
            seen.append(time.monotonic() - killed)
        self.assertLess(min(seen), 0.2)

    def test_lost_devices_of_a_child_restart_it_and_the_fourth_ends_the_node_with_6(self):
        node = self.start(role("decode", 1), fault="device-lost")
        stream = Stream(node, 30)
        stream.read_to_end()  # over one failure
        self.assertEqual((stream.text, stream.finish, stream.failure),
                         (self.undisturbed(["Once"], 30)[0][0], "length", None))
        try:
            Stream(node, 500).read_to_end()
        except OSError:
            pass  # the end came first
        self.assertEqual(node.process.wait(timeout=30), 6)
        node.reader.join(timeout=10)
        restarts = [line for line in node.log if "is restarted" in line]
        self.assertEqual(len(restarts), 3, "".join(node.log))
        for line in restarts:
            self.assertIn("exit code 6", line)

    def test_a_crash_of_children_ends_the_node_with_5(self):
        node = self.start(role("decode", 2), fault="crash")
        children = children_of(node.process.pid).values()
        try:
            Stream(node, 500).read_to_end()
        except OSError:
            pass
        self.assertEqual(node.process.wait(timeout=30), 5)
        self.assertTrue(wait_until(lambda: not any(map(is_alive, children)), 1))

    def test_a_parent_that_is_killed_leaves_no_child(self):
        node = self.start(role("prefill", 1) + role("decode", 2))
        children = children_of(node.process.pid).values()
        self.assertEqual(len(children), 3)
        self.addCleanup(self.kill_those_left, children)
        readers = Readers(node, self.PROMPTS, 400)
        for stream in readers.streams:
            stream.excuse = "its frontend died"
        node.process.kill()
        self.assertTrue(wait_until(lambda: not any(map(is_alive, children)), 1))
        for thread in readers.threads:
            thread.join(timeout=10)

    def test_sigterm_under_load_ends_all_and_fails_no_request(self):
        whole = self.undisturbed()
        node = self.start(role("prefill", 1) + role("decode", 2))
        children = children_of(node.process.pid).values()
        readers = Readers(node, self.PROMPTS, self.TOKENS)
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(ends_of(readers), whole)
        self.assertEqual(node.process.wait(timeout=20), 0)
        self.assertFalse(any(map(is_alive, children)))
        node.reader.join(timeout=10)
        self.assertEqual(len([line for line in node.log if "how=\"exit code 0\"" in line]), 3, "".join(node.log))

    def start_with_a_child_that_hangs(self):
        """A node that waits for its child to start, with a lease; and what is in the folder of the leases."""
        for _ in range(10):
            process, children, names = self.start_and_stop_the_child()
            if not select.select([process.stdout], [], [], 0.5)[0]:
                return process, children, names
            process.kill()  # it was ready before the child was stopped
            self.kill_those_left(children)
            process.wait(timeout=10)
        raise AssertionError("the child is always too quick")

    def start_and_stop_the_child(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = pathlib.Path(temporary.name)
        leases = folder / "leases"
        leases.mkdir()
        cluster = f'cluster {{ node = "parent", listen = "127.0.0.1:0", lease-folder = "{leases}" }}\n'
        drain = "supervisor { drain-timeout = 1s }\n"
        (folder / "node.conf").write_text(
            CONFIG.format(model=MODEL, workers=role("decode", 1) + cluster + drain, fault="none", engine="mock"))
        process = subprocess.Popen([TROUPE, "serve", "-c", folder / "node.conf"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        while not (children := list(children_of(process.pid).values())):
            self.assertIsNone(process.poll())
        self.addCleanup(self.kill_those_left, children)
        os.kill(children[0], signal.SIGSTOP)
        names = lambda: [file.name for file in leases.iterdir()]
        self.assertTrue(wait_until(lambda: names() == ["parent.lease"]))
        return process, children, names

    def test_sigterm_before_a_node_is_ready_ends_it_with_0_and_leaves_neither_child_nor_lease(self):
        process, children, leases = self.start_with_a_child_that_hangs()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=10), 0)
        self.assertEqual(process.stdout.read(), b"")
        self.assertEqual(leases(), [])
        self.assertFalse(any(map(is_alive, children)))

    def test_a_second_sigterm_before_a_node_is_ready_ends_it_at_once(self):
        process, _, _ = self.start_with_a_child_that_hangs()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=0.5), -signal.SIGTERM)

    def test_a_prompt_is_processed_in_a_child_and_answered_in_its_parent(self):
        prompts = ["The capital of France is " * 40, "Once upon a time " * 30]
        for engine in ["mock", "host"]:
            whole = self.undisturbed(prompts, 20, engine)
            node = self.start(role("prefill", 1) + role("decode", 1, "thread"), engine=engine)
            self.assertEqual(ends_of(Readers(node, prompts, 20)), whole)
            self.assertEqual(node.metric("troupe_worker_kv_landings_completed_total", role="decode"), 2)
            self.assertEqual(node.metric("troupe_worker_prompt_tokens_computed_total", role="decode"), 0)
            self.assertEqual(node.end(), 0)

    def test_a_child_inherits_none_of_its_parents_connections(self):
        node = self.start(role("decode", 1))
        open_stream = Stream(node, 400)
        child = children_of(node.process.pid)["node.decode-worker-1"]
        os.kill(child, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: children_of(node.process.pid).get("node.decode-worker-1", child) != child))
        self.expect(node, 1)
        def sockets(pid):
            links = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
            return {link for link in links if link.startswith("socket:")}
        fresh = children_of(node.process.pid)["node.decode-worker-1"]
        self.assertEqual(sockets(fresh) & sockets(node.process.pid), set())
        open_stream.read_to_end()
        self.assertIsNone(open_stream.failure)


if __name__ == "__main__":
    unittest.main()
