# SPDX-License-Identifier: Apache-2.0
"""A disaggregated cluster of real processes whose nodes can all be replaced: two frontends, prefill and decode workers."""
import re
import signal
import subprocess
import sys
import tempfile
import pathlib
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from node_process import MODEL, Node, NodeProcess, sum_of_metric  # noqa: E402

CONFIG = """
troupe {{
  model {{
    path = "{model}"
    name = "demo"
  }}
  {cluster}
  {role}
  executor {{
    kind = "mock"
    mock {{
      step-base = {step}
      per-prompt-token = 100us
    }}
  }}
  compute {{
    threads = 1
  }}
  supervisor {{
    drain-timeout = 10s
  }}
}}
"""
PLANE = """cluster {{
    name = "grid"
    node = "{node}"
    listen = "127.0.0.1:0"
    seeds = [{seeds}]
    {more}
  }}
  admin {{
    listen = "127.0.0.1:0"
  }}"""
ROLES = {"front": 'http {\n    listen = "127.0.0.1:0"\n  }', "prefill": "prefill-worker {\n  }", "decode": "decode-worker {\n  }"}
FRONTS = ["front-1", "front-2"]
PREFILLS = ["prefill-1", "prefill-2"]
DECODES = ["decode-1", "decode-2", "decode-3"]
WORKERS = PREFILLS + DECODES
#: In a row: whoever was stopped takes a moment to see that its links are gone.
LOOKS = 4
#: How nodes find each other; with certificates, by seeds.
FLAVOURS = ["seeds", "leases", "certificates"]


def config_of(cluster, role, step="5ms"):
    return CONFIG.format(model=MODEL, cluster=cluster, role=role, step=step)


def make_undisturbed_node(troupe):
    """Computes what nobody disturbs."""
    return Node(troupe, config_of("", ROLES["decode"] + "\n  " + ROLES["front"], "500us"))


class GridCluster:
    def __init__(self, troupe, flavour):
        self.troupe, self.flavour = troupe, flavour
        self.folder = tempfile.TemporaryDirectory()
        self.nodes = {}
        self.more = {}
        names = FRONTS + WORKERS
        if flavour == "certificates":
            subprocess.run([troupe, "certs", self.folder.name, *(word for name in names for word in ["--node", name])],
                           check=True, stdout=subprocess.DEVNULL)
        try:
            for name in names:
                self.start(name)
        except BaseException:
            self.end()
            raise

    def start(self, name):
        kind = Node if name in FRONTS else NodeProcess
        node = kind(self.troupe, config_of(self.plane_of(name), ROLES[name.split("-")[0]]))
        node.plane = re.search(r"127\.0\.0\.1:\d+", node.process.stdout.readline()).group()
        node.admin = re.search(r"http://\S+", node.process.stdout.readline()).group()
        self.nodes[name] = node

    def plane_of(self, name):
        folder = self.folder.name
        seeds = [] if self.flavour == "leases" else [node.plane for node in self.nodes.values()]
        more = {"seeds": "",
                "leases": f'lease-folder = "{folder}"\n    lease-time = 1s',
                "certificates": f'certificate = "{folder}/{name}.pem"\n    key = "{folder}/{name}.key"\n    ca = "{folder}/ca.pem"'}
        return PLANE.format(node=name, seeds=", ".join(f'"{seed}"' for seed in seeds), more=more[self.flavour])

    def replace(self, name):
        """The exit code of the node, whose process has ended or is about to, and a new one in its place."""
        node = self.nodes.pop(name)
        code = node.process.wait(timeout=30)
        node.streams.clear() # whoever made them judges them
        node.end()
        self.start(name)
        return code

    def find_faults(self):
        """What is not as it should be in a cluster that is whole and at rest."""
        want = f'{{"status":"ok","workers":{len(WORKERS)},"problems":[]}}'
        found = [f"{name} ended with {node.process.poll()}" for name, node in self.nodes.items() if node.process.poll() is not None]
        if found:
            return found
        for name in FRONTS:
            health = self.nodes[name].get("/health")[1]
            if health != want:
                found.append(f"{name} says {health}")
            elif self.nodes[name].metric("troupe_rest_open_streams") != 0:
                found.append(f"{name} has open streams")
        return found + [f"{rest} is not at rest" for rest in self.workers() if not is_at_rest(rest)]

    def workers(self):
        """Events at_rest of the history."""
        found = []
        for name in WORKERS:
            with urllib.request.urlopen(self.nodes[name].admin + "/metrics", timeout=10) as answer:
                text = answer.read().decode()
            value = lambda metric: int(sum_of_metric(text, "troupe_worker_" + metric))
            found.append({"worker": name, "blocks": value("kv_blocks"), "free_blocks": value("kv_blocks_free"),
                          "quarantined_blocks": value("kv_blocks_quarantined"),
                          "in_flight": value("sequences_running") + value("sequences_queued")})
        return found

    def find_faults_after(self, seconds):
        """Empty once it is whole, at the latest after `seconds`."""
        until, looks = time.monotonic() + seconds, 0
        while True:
            try:
                faults = self.find_faults()
            except OSError as error:
                faults = [f"a node does not answer: {error}"]
            looks = 0 if faults else looks + 1
            if looks == LOOKS or faults and time.monotonic() > until:
                return faults
            time.sleep(0.1)

    def logs(self, lines=15):
        return {name: "".join(node.log[-lines:]) for name, node in self.nodes.items()}

    def kill(self):
        """Ends it without a look at it."""
        for node in self.nodes.values():
            node.streams.clear()
            node.process.kill()
        self.end()

    def end(self):
        """Exit codes that are not 0, by node."""
        codes = {}
        for name in [*WORKERS, *FRONTS]:
            if name in self.nodes:
                node = self.nodes.pop(name)
                if node.process.poll() is None:
                    node.process.send_signal(signal.SIGCONT)
                codes[name] = node.end()
        self.folder.cleanup()
        return {name: code for name, code in codes.items() if code != 0}


def is_at_rest(worker):
    return (worker["blocks"] == worker["free_blocks"] > 0 and worker["quarantined_blocks"] == 0 and worker["in_flight"] == 0)
