# SPDX-License-Identifier: Apache-2.0
"""Several nodes as real processes: a worker's death, stop or drain in mid-stream that the client does not see."""
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from node_process import MODEL, Node, NodeProcess, wait_until
from text_stream import Readers, Stream

TROUPE = sys.argv.pop(1)
HEAD = """
troupe {{
  model {{
    path = "{model}"
    name = "demo"
  }}
  cluster {{
    name = "{cluster}"
    node = "{node}"
    listen = "{listen}"
    seeds = [{seeds}]
    {security}
  }}
  supervisor {{
    drain-timeout = {drain}
  }}
  {extra}
"""
GATEWAY = """
  http {{
    listen = "127.0.0.1:0"
  }}
"""
WORKER = """
  {role}-worker {{
    count = 1
  }}
  executor {{
    kind = "{engine}"
    mock {{
      step-base = {step}
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
#: Of the mock engine; slow enough that signals hit streams in their middle.
STEP = "5ms"


class Cluster:
    """One frontend and some workers."""

    def __init__(self, workers=("a", "b"), engine="mock", step=STEP, drain="10s", name="test", front_decodes=False,
                 certificates=None, leases=None, extra=""):
        self.leases, self.extra = leases, extra
        self.engine, self.step, self.drain, self.name = engine, step, drain, name
        self.certificates = certificates
        self.roles_of_front = self.worker("decode") if front_decodes else "}\n"
        self.front = self.start_front("127.0.0.1:0")
        plane = self.front.process.stdout.readline()
        self.seed = re.search(r"127\.0\.0\.1:\d+", plane).group()
        self.workers = {}
        for worker in workers:
            self.start(worker)
        self.expect(len(workers) + (1 if front_decodes else 0))

    def start_front(self, listen):
        return Node(TROUPE, self.head("front", [], listen=listen) + GATEWAY.format() + self.roles_of_front)

    def worker(self, role):
        return WORKER.format(role=role, engine=self.engine, step=self.step)

    def head(self, node, seeds, cluster=None, certificates=None, listen="127.0.0.1:0"):
        quoted = "" if self.leases else ", ".join(f'"{seed}"' for seed in seeds)
        folder = certificates or self.certificates
        security = (f'certificate = "{folder}/{node}.pem"\n    key = "{folder}/{node}.key"\n    ca = "{folder}/ca.pem"'
                    if folder else "")
        if self.leases:
            security += f'lease-folder = "{self.leases}"\n    lease-time = 1s'
        return HEAD.format(model=MODEL, cluster=cluster or self.name, node=node, seeds=quoted, security=security, listen=listen,
                           drain=self.drain, extra=self.extra)

    def start(self, worker):
        role = "prefill" if worker.startswith("prefill") else "decode"
        self.workers[worker] = NodeProcess(TROUPE, self.head(worker, [self.seed]) + self.worker(role))

    def expect(self, workers):
        if not wait_until(lambda: f'"workers":{workers},' in self.front.get("/health")[1]):
            logs = "".join(f"--- {name}\n{''.join(node.log)}" for name, node in [("front", self.front), *self.workers.items()])
            raise AssertionError(f"not {workers} workers: {self.front.get('/health')}\n{logs}")

    def kill(self, worker):
        node = self.workers.pop(worker)
        node.process.kill()
        node.end()

    def end(self):
        return [node.end() for node in [*self.workers.values(), self.front]]


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class SeveralNodes(unittest.TestCase):
    PROMPTS = ["One", "Two", "Three", "Four", "Five", "Six"]
    TOKENS = 60

    def cluster(self, *arguments, **options):
        cluster = Cluster(*arguments, **options)
        self.addCleanup(cluster.end)
        return cluster

    def assert_whole(self, readers, expected, tokens):
        for stream, want in zip(readers.streams, expected):
            stream.expected_text, stream.expected_tokens = want, tokens
        texts = readers.join()
        for stream, text, want in zip(readers.streams, texts, expected):
            self.assertIsNone(stream.failure)
            self.assertEqual(text, want)
            self.assertTrue(stream.done)
            self.assertEqual(stream.finish, "length")
            self.assertEqual(stream.usage["completion_tokens"], tokens)

    def test_a_worker_that_is_killed_changes_no_stream(self):
        cluster = self.cluster()
        undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
        self.assertEqual(len(set(undisturbed)), len(self.PROMPTS))
        moments = random.Random(4)
        for _ in range(20):
            victim = moments.choice(sorted(cluster.workers))
            readers = Readers(cluster.front, self.PROMPTS, self.TOKENS)
            time.sleep(moments.uniform(0, 0.3))
            cluster.kill(victim)
            self.assert_whole(readers, undisturbed, self.TOKENS)
            cluster.start(victim)
            cluster.expect(2)

    def test_the_real_model_goes_on_bit_for_bit(self):
        cluster = self.cluster(engine="host")
        prompts = ["The capital of France is", "Once upon a time"]
        fields = {"temperature": 0.8, "seed": 7, "frequency_penalty": 0.5}
        undisturbed = Readers(cluster.front, prompts, 40, **fields).join()
        moments = random.Random(5)
        for victim in ["a", "b"]:
            readers = Readers(cluster.front, prompts, 40, **fields)
            wait_until(lambda: len(readers.streams[0].text) > moments.randrange(10, 60))
            cluster.kill(victim)
            self.assert_whole(readers, undisturbed, 40)
            cluster.start(victim)
            cluster.expect(2)

    def test_a_prompt_is_processed_in_one_process_and_answered_in_another(self):
        prompts = ["The capital of France is " * 40, "Once upon a time " * 30]
        for engine in ["mock", "host"]: # the mock's memory has no file behind it, so its blocks go over TCP
            alone = self.cluster((), engine=engine, front_decodes=True)
            undisturbed = Readers(alone.front, prompts, 20).join()
            cluster = self.cluster(("prefill",), engine=engine, front_decodes=True)
            front = cluster.front
            self.assert_whole(Readers(front, prompts, 20), undisturbed, 20)
            self.assertEqual(front.metric("troupe_worker_kv_landings_completed_total", role="decode"), 2)
            self.assertEqual(front.metric("troupe_worker_prompt_tokens_computed_total", role="decode"), 0)
            # Its death in mid-landing only moves the work.
            readers = Readers(front, [prompt + "more" for prompt in prompts], 20)
            cluster.kill("prefill")
            readers.join()
            self.assertEqual([stream.failure for stream in readers.streams], [None, None])
            self.assertTrue(wait_until(lambda: front.metric("troupe_worker_kv_blocks_free", role="decode")
                                       == front.metric("troupe_worker_kv_blocks", role="decode")))

    def test_a_stopped_worker_is_left_and_rejoins(self):
        cluster = self.cluster()
        undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
        readers = Readers(cluster.front, self.PROMPTS, self.TOKENS)
        wait_until(lambda: readers.streams[0].text)
        stopped = cluster.workers["a"].process
        began = time.monotonic()
        stopped.send_signal(signal.SIGSTOP)
        self.addCleanup(stopped.send_signal, signal.SIGCONT)
        self.assert_whole(readers, undisturbed, self.TOKENS)
        self.assertLess(time.monotonic() - began, 15) # the aim is 4 s
        cluster.expect(1)
        stopped.send_signal(signal.SIGCONT)
        cluster.expect(2)
        self.assert_whole(Readers(cluster.front, self.PROMPTS, self.TOKENS), undisturbed, self.TOKENS)

    def test_workers_that_are_told_to_end_fail_no_request(self):
        cluster = self.cluster(("a", "b", "c"), drain="1s")
        undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
        for worker in ["a", "b", "c"]:
            # Longer than the drain limit, so that some must go on elsewhere.
            long = Readers(cluster.front, self.PROMPTS, 400)
            short = Readers(cluster.front, self.PROMPTS, self.TOKENS)
            wait_until(lambda: long.streams[0].text)
            self.assertEqual(cluster.workers.pop(worker).end(), 0)
            self.assert_whole(short, undisturbed, self.TOKENS)
            for stream in long.streams:
                self.assertIsNone(stream.failure)
            long.join()
            self.assertEqual({stream.usage["completion_tokens"] for stream in long.streams}, {400})
            self.assertEqual({stream.failure for stream in long.streams}, {None})
            cluster.start(worker)
            cluster.expect(3)

    def test_a_frontend_that_is_told_to_end_under_load_ends_every_stream(self):
        cluster = self.cluster(drain="1s")
        whole = Readers(cluster.front, self.PROMPTS, 400).join()
        undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
        long = Readers(cluster.front, self.PROMPTS, 400)  # longer than the drain limit
        short = Readers(cluster.front, self.PROMPTS, self.TOKENS)
        for stream, want in zip(long.streams, whole):
            stream.expected_text, stream.expected_tokens = want, 400
        wait_until(lambda: long.streams[0].text)
        told = cluster.front
        told.process.send_signal(signal.SIGTERM)
        wait_until(lambda: any("node draining" in line for line in told.log))
        while any(thread.is_alive() for thread in long.threads):
            with self.assertRaises(OSError) as refusal:
                Stream(told, 1)
            self.assertEqual(getattr(refusal.exception, "code", 503), 503)
            time.sleep(0.05)
        self.assert_whole(short, undisturbed, self.TOKENS)
        long.join()
        for stream in long.streams:
            self.assertTrue(stream.done)
            self.assertEqual(len(stream.ends), 1)
        self.assertIn(True, [stream.failure is not None for stream in long.streams])
        self.assertEqual(told.process.wait(timeout=20), 0)
        self.assertEqual(told.end(), 0)
        # The workers have noticed nothing but a link that ended, and serve the next one at its address.
        self.assertEqual([node.process.poll() for node in cluster.workers.values()], [None, None])
        cluster.front = cluster.start_front(cluster.seed)
        cluster.expect(2)
        self.assert_whole(Readers(cluster.front, self.PROMPTS, self.TOKENS), undisturbed, self.TOKENS)

    def test_a_worker_joins_without_a_file(self):
        cluster = self.cluster(("a",))
        joined = NodeProcess(TROUPE, arguments=["--join", cluster.seed, "--cluster", cluster.name, "--model", str(MODEL)])
        self.addCleanup(joined.end)
        self.assertIn("is ready", joined.ready)
        cluster.expect(2)

    def test_nodes_find_each_other_by_leases_in_a_shared_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            cluster = self.cluster(leases=folder)
            leases = lambda: sorted(file.name for file in pathlib.Path(folder).iterdir())
            self.assertEqual(leases(), ["a.lease", "b.lease", "front.lease"])
            undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
            readers = Readers(cluster.front, self.PROMPTS, self.TOKENS)
            cluster.kill("a")
            self.assert_whole(readers, undisturbed, self.TOKENS)
            cluster.start("a")
            cluster.expect(2)
            self.assertEqual(cluster.workers.pop("b").end(), 0)
            self.assertEqual(leases(), ["a.lease", "front.lease"])

    def test_a_pipe_in_the_folder_and_a_lease_that_cannot_be_written_keep_no_node_from_others_nor_from_its_end(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(pathlib.Path(folder) / "x.lease")
            (pathlib.Path(folder) / "b.lease").mkdir()
            cluster = self.cluster(leases=folder)
            self.assertTrue(any("the lease folder cannot be used" in line for line in cluster.workers["b"].log))
            for node in (cluster.workers["a"], cluster.workers["b"]):
                node.process.send_signal(signal.SIGTERM)
                self.assertEqual(node.process.wait(timeout=5), 0)
            self.assertEqual(sorted(file.name for file in pathlib.Path(folder).iterdir()), ["b.lease", "front.lease", "x.lease"])

    def assert_refused_once(self, node, words):
        """Exactly one line of its log says so, however often the stranger tries."""
        lines = lambda: [line for line in node.log if words in line]
        self.assertTrue(wait_until(lines), node.log)
        time.sleep(0.5)
        self.assertEqual(len(lines()), 1, node.log)

    def test_a_node_of_another_cluster_is_refused_with_a_line_on_both_sides(self):
        cluster = self.cluster(("a",))
        stranger = NodeProcess(TROUPE, cluster.head("x", [cluster.seed], "other") + cluster.worker("decode"))
        self.addCleanup(stranger.end)
        for node in [stranger, cluster.front]:
            self.assert_refused_once(node, "node 'x' belongs to cluster 'other' and node 'front' to cluster 'test'")
        cluster.expect(1)

    def test_a_node_of_another_wire_version_is_refused_with_a_line_on_both_sides(self):
        cluster = self.cluster(("a",))
        stranger = NodeProcess(pathlib.Path(TROUPE).with_name("next_version_node"), arguments=[cluster.seed])
        self.addCleanup(stranger.end)
        for node in [stranger, cluster.front]:
            self.assert_refused_once(node, "node 'next' speaks wire version")
        cluster.expect(1)

    def test_only_nodes_whose_certificate_the_authority_signed_are_linked(self):
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            nodes = ["--node", "front", "--node", "a", "--node", "b"]
            for folder in [ours, theirs]:
                subprocess.run([TROUPE, "certs", folder, *nodes], check=True, stdout=subprocess.DEVNULL)
            cluster = self.cluster(certificates=ours)
            silent = socket.create_connection(("127.0.0.1", int(cluster.seed.split(":")[1])))
            self.addCleanup(silent.close)
            time.sleep(2.5) # longer than heartbeats take to end a connection that was made twice
            self.assertEqual([line for line in cluster.front.log if "a link ended" in line], [])
            undisturbed = Readers(cluster.front, self.PROMPTS, self.TOKENS).join()
            for certificates in [theirs, None]:
                config = cluster.head("c" if certificates is None else "a", [cluster.seed]) + cluster.worker("decode")
                config = config.replace(ours, theirs) if certificates else re.sub(
                    r"\n +(certificate|key|ca) = .*", "", config)
                stranger = NodeProcess(TROUPE, config)
                self.addCleanup(stranger.process.kill)
                self.assertTrue(wait_until(lambda: any("no link to a node" in line for line in stranger.log)))
                if certificates: # whichever looks first
                    self.assert_refused_once(stranger, "was refused")
                    self.assert_refused_once(cluster.front, "this node was refused")
                else:
                    self.assert_refused_once(cluster.front, "wrong version number")
                stranger.end()
            self.assert_refused_once(cluster.front, "it did not say who it is")
            with socket.create_connection(("127.0.0.1", int(cluster.seed.split(":")[1]))) as half_open:
                half_open.sendall(random.Random(6).randbytes(4096))
                cluster.expect(2)
                # Whatever strangers did, it was nobody else's business.
                self.assertEqual([line for line in cluster.front.log if "a link ended" in line], [])
                readers = Readers(cluster.front, self.PROMPTS, self.TOKENS)
                cluster.kill("a")
                self.assert_whole(readers, undisturbed, self.TOKENS)

    def test_the_death_of_the_frontend_frees_the_workers(self):
        cluster = self.cluster(("a",))
        readers = Readers(cluster.front, self.PROMPTS, 400)
        wait_until(lambda: readers.streams[0].text)
        for stream in readers.streams:
            stream.excuse = "its frontend died"
        cluster.front.process.kill()
        for thread in readers.threads:
            thread.join(timeout=10)
        self.assertTrue(wait_until(lambda: any("a link ended" in line for line in cluster.workers["a"].log)))
        self.assertIsNone(cluster.workers["a"].process.poll())


if __name__ == "__main__":
    unittest.main()
