# SPDX-License-Identifier: Apache-2.0
"""Strangers at every listening port of the nodes of a cluster, who say nothing or nonsense: nobody else notices."""
import random
import socket
import time
import unittest

from cluster_test import TROUPE, Cluster
from listeners import descriptors_of, listeners_of, peak_bytes_of
from node_process import MODEL, wait_until
from text_stream import Readers

ADMIN = """
  admin {
    listen = "127.0.0.1:0"
  }
"""
PROMPTS = ["The capital of France is " * 40, "Once upon a time " * 30, "Three", "Four"]
TOKENS = 200
#: Of each kind, at each port.
SILENT, NOISY = 6, 4
NOISE_BYTES = 64 * 1024
#: Who is refused where: at REST, admin, node plane and the two bulk transports, of which one knows no addresses.
REFUSALS = {("gateway", True), ("admin", True), ("cluster", True), ("transport", True), ("transport", False)}
#: How a greeting of CAF's protocol begins that announces as many bytes as it can.
BOAST = bytes([1, 0, 0, 0, 255, 255, 255, 255]) + bytes(24)
#: Every listener gives a connection 5 s to say who it is.
PATIENCE = 15


def connect(where):
    (family, kind), address = where
    result = socket.socket(family, kind)
    result.settimeout(PATIENCE)
    result.connect(address)
    return result


def make_noise(connection, noise):
    """Random bytes until the node has had enough; in packets, some empty and some longer than any that is right."""
    sent = 0
    try:
        while sent < NOISE_BYTES:
            packet = noise.randbytes(noise.choice([1, 8, 48, 96, 4096]))
            connection.sendall(packet)
            sent += len(packet)
    except OSError:
        pass  # it was closed


def is_closed_by_peer(connection):
    try:
        while connection.recv(4096):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class Strangers(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(("prefill", "a"), front_decodes=True, extra=ADMIN)
        self.addCleanup(self.cluster.end)
        self.nodes = {"front": self.cluster.front, **self.cluster.workers}
        self.ports = [(name, where) for name, node in self.nodes.items() for where in listeners_of(node.process.pid)]
        alone = Cluster((), front_decodes=True)
        self.undisturbed = Readers(alone.front, PROMPTS, TOKENS).join()
        alone.end()

    def connect_all(self, count):
        opened = [connect(where) for _, where in self.ports for _ in range(count)]
        for connection in opened:
            self.addCleanup(connection.close)
        return opened

    def assert_undisturbed(self, readers):
        for stream, want in zip(readers.streams, self.undisturbed):
            stream.expected_text, stream.expected_tokens = want, TOKENS
        self.assertEqual(readers.join(), self.undisturbed)
        self.assertEqual([(stream.finish, stream.failure, stream.done) for stream in readers.streams],
                         [("length", None, True)] * len(PROMPTS))
        status, health = self.cluster.front.get("/health")
        self.assertEqual((status, health), (200, '{"status":"ok","workers":3,"problems":[]}'))
        for name, node in self.nodes.items():
            self.assertIsNone(node.process.poll(), name)
            self.assertEqual([line for line in node.log if "a link ended" in line], [], name)

    def counts_of_a_warm_cluster(self):
        """When the prefill worker has its connections for bulk data to both decode workers."""
        Readers(self.cluster.front, ["warm one", "warm two", "warm three", "warm four"], 1).join()
        return self.counts()

    def counts(self):
        return {name: len(descriptors_of(node.process.pid)) for name, node in self.nodes.items()}

    def assert_nothing_is_left(self, before):
        self.assertTrue(wait_until(lambda: all(self.counts()[name] <= before[name] for name in before)),
                        f"descriptors before {before}, now {self.counts()}")

    def assert_shown_out(self, connections, count):
        for connection, (name, where) in zip(connections, [port for port in self.ports for _ in range(count)]):
            self.assertTrue(is_closed_by_peer(connection), f"{name} keeps a stranger's connection at {where}")

    def assert_refused_once_each(self, reasons):
        """Every kind of listener has said so, and nobody has said the same twice."""
        for name, node in self.nodes.items():
            refusals = lambda: [line.split(maxsplit=2)[2] for line in node.log if "a connection was refused" in line]
            expected = REFUSALS if name == "front" else REFUSALS - {("gateway", True)}
            sources = lambda: {(line.split()[0], "127.0.0.1" in line) for line in refusals()}
            self.assertTrue(wait_until(lambda: sources() == expected), f"{name}: {refusals()}")
            lines = refusals()
            self.assertEqual(len(lines), len(set(lines)), name)
            for line in lines:
                self.assertTrue(reasons is None or any(why in line for why in reasons), line)

    def test_every_port_is_known(self):
        # One that is new belongs into this test's thoughts.
        families = lambda name: sorted(where[0][0].name for owner, where in self.ports if owner == name)
        self.assertEqual(families("front"), ["AF_INET"] * 4 + ["AF_UNIX"])  # REST, admin, nodes, bulk; shared memory
        self.assertEqual(families("a"), ["AF_INET"] * 3 + ["AF_UNIX"])
        self.assertEqual(families("prefill"), ["AF_INET"] * 3 + ["AF_UNIX"])

    def test_who_connects_and_says_nothing_disturbs_nobody(self):
        before = self.counts_of_a_warm_cluster()
        silent = self.connect_all(SILENT)
        self.assert_undisturbed(Readers(self.cluster.front, PROMPTS, TOKENS))
        self.assert_shown_out(silent, SILENT)
        self.assert_refused_once_each({"it did not say who it is", "it sent no request"})
        for connection in silent:
            connection.close()
        self.assert_nothing_is_left(before)

    def test_who_sends_random_bytes_disturbs_nobody_and_is_shown_out(self):
        before = self.counts_of_a_warm_cluster()
        readers = Readers(self.cluster.front, PROMPTS, TOKENS)
        noise = random.Random(8)
        noisy = self.connect_all(NOISY)
        for connection in noisy:
            make_noise(connection, noise)
        self.assert_undisturbed(readers)
        self.assert_shown_out(noisy, NOISY)
        self.assert_refused_once_each(None)
        self.assert_undisturbed(Readers(self.cluster.front, PROMPTS, TOKENS))
        for connection in noisy:
            connection.close()
        self.assert_nothing_is_left(before)

    def test_who_announces_four_gigabytes_gets_none_of_them(self):
        boasters = self.connect_all(1)
        for boaster in boasters:
            boaster.sendall(BOAST)
        self.assert_shown_out(boasters, 1)
        for name, node in self.nodes.items():
            self.assertTrue(wait_until(lambda: any("it announced a message of 4294967295 bytes" in line for line in node.log)), name)
            self.assertLess(peak_bytes_of(node.process.pid), 2**30, name)


if __name__ == "__main__":
    unittest.main()
