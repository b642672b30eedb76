# SPDX-License-Identifier: Apache-2.0
"""The commands that need no server: what they print, and how they exit."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TROUPE = sys.argv.pop(1)
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
GOLDENS = ROOT / "tests" / "goldens"


def troupe(*arguments, text=b""):
    return subprocess.run([TROUPE, *map(str, arguments)], input=text, capture_output=True, timeout=60)


class Cli(unittest.TestCase):
    def check_text(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "node.conf"
            path.write_text(text)
            done = troupe("check", "-c", path)
            return done.returncode, done.stderr.decode().replace(folder + "/", "").splitlines()

    def test_help_explains_every_command(self):
        done = troupe("--help")
        self.assertEqual(done.returncode, 0)
        for command in ("serve", "run", "chat", "check", "tokenize", "render", "certs", "version"):
            self.assertIn(command, done.stdout.decode())
            help_of = troupe(command, "--help")
            self.assertEqual(help_of.returncode, 0)
            self.assertIn("Usage: troupe " + command, help_of.stdout.decode())

    def test_a_wrong_command_line_exits_1_and_says_what_is_wrong(self):
        for arguments, named in (
            ((), "Usage"),
            (("bogus",), "bogus"),
            (("check", "--bogus"), "--bogus"),
            (("check",), "-c FILE"),
            (("serve",), "--config"),
            (("run",), "model"),
            (("run", "m.gguf", "a", "b"), "quotes"),
            (("chat", "--url", "ftp://x", "hi"), "ftp://x"),
            (("tokenize",), "model"),
            (("render", "x", "--now", "noon"), "noon"),
            (("certs", "x"), "--node"),
            (("certs", "x", "--node", "../a"), "../a"),
        ):
            with self.subTest(arguments):
                done = troupe(*arguments)
                self.assertEqual(done.returncode, 1)
                self.assertIn(named, done.stderr.decode())
                self.assertEqual(done.stdout, b"")

    def test_version_is_json_on_demand(self):
        self.assertRegex(troupe("version").stdout.decode(), r"^troupe \d+\.\d+\.\d+\n$")
        self.assertEqual(set(json.loads(troupe("version", "--json").stdout)), {"version", "wire", "compiler"})

    def test_a_config_with_three_faults_reports_three_lines_and_exits_2(self):
        code, lines = self.check_text(
            'troupe {\n  model { path = "m.gguf" }\n  http { listen = "0.0.0.0:80" }\n  kv { memroy = 1GiB }\n'
            "  decode-worker { count = 0 }\n}\n"
        )
        self.assertEqual(code, 2)
        self.assertEqual(len(lines), 3)
        for line, begin in zip(
            lines,
            ("node.conf:3:troupe.http.listen: ", "node.conf:4:troupe.kv.memroy: ", "node.conf:5:troupe.decode-worker.count: "),
        ):
            self.assertTrue(line.startswith(begin), line)

    def test_the_configurations_of_the_repository_are_valid(self):
        for path in sorted((ROOT / "configs").rglob("*.conf")):
            done = troupe("check", "-c", path)
            self.assertEqual((done.returncode, done.stderr), (0, b""), path)
            self.assertIn(": ok (", done.stdout.decode())

    def test_check_reference_prints_what_the_repository_holds(self):
        self.assertEqual(troupe("check", "--reference").stdout, (ROOT / "configs" / "reference.conf").read_bytes())

    def test_serve_and_run_refuse_a_wrong_config_like_check(self):
        for command in ("serve", "run"):
            done = troupe(command, "-c", "/nonexistent.conf")
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr, b"/nonexistent.conf: there is no such file\n")

    @unittest.skipIf("amx_tile" in pathlib.Path("/proc/cpuinfo").read_text(), "SKIPPED: this machine has every path")
    def test_a_path_that_the_machine_lacks_is_refused_before_the_model_is_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "node.conf"
            path.write_text('troupe {\n  model { path = "none.gguf" }\n  http {}\n  decode-worker {}\n  compute { simd = "amx" }\n}\n')
            done = troupe("serve", "-c", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"compute.simd: this machine does not run the path amx; it runs portable", done.stderr)

    def test_what_is_no_model_exits_3(self):
        for command in ("tokenize", "render"):
            self.assertEqual(troupe(command, "/nonexistent").returncode, 3)
        self.assertEqual(troupe("tokenize", __file__).returncode, 3)

    @unittest.skipUnless(MODEL.exists(), "SKIPPED: the demo model is not in models/; scripts/setup fetches it")
    def test_tokenize_and_its_reverse_give_the_text_back(self):
        text = "Hello, wörld! <|im_start|>\n\t 12345 👍".encode()
        ids = troupe("tokenize", MODEL, text=text)
        self.assertEqual(ids.returncode, 0)
        self.assertNotIn(1, json.loads(ids.stdout))  # <|im_start|> is text here
        back = troupe("tokenize", MODEL, "--decode", text=ids.stdout)
        self.assertEqual((back.returncode, back.stdout), (0, text))
        for wrong in (b"", b"{}", b"[[1]]", b"[-1]", b"[1.5]", b"[99999999]", b'["a"]'):
            done = troupe("tokenize", MODEL, "--decode", text=wrong)
            self.assertEqual((done.returncode, done.stdout), (1, b""), wrong)

    def test_tokenize_and_render_take_hugging_faces_files(self):
        golden = GOLDENS / "tokenizer_json"
        first = json.loads((golden / "qwen2_ids.jsonl").read_text().splitlines()[0])
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "tokenizer.json").write_bytes((golden / "qwen2.json").read_bytes())
            (folder / "tokenizer_config.json").write_text('{"bos_token": "<|begin|>", "chat_template": "{{ bos_token }}\\n{% if %}"}')
            for path in (folder, folder / "tokenizer.json"):
                done = troupe("tokenize", path, text=first["text"].encode())
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertEqual(json.loads(done.stdout), first["ids"][1:])  # without BOS
                wrong = troupe("render", path, text=b"{}")
                self.assertEqual(wrong.returncode, 1)
                self.assertRegex(wrong.stderr.decode(), r":2: syntax")
            (folder / "chat_template.jinja").write_text("{{ bos_token }}!")
            done = troupe("render", folder, text=b"{}")
            self.assertEqual((done.returncode, done.stdout), (0, b"<|begin|>!"))
            (folder / "tokenizer.json").write_text('{"model": {"type": "WordLevel"}}')
            refused = troupe("tokenize", folder)
            self.assertEqual(refused.returncode, 3)
            self.assertIn("$.model: 'WordLevel' is not supported", refused.stderr.decode())

    def test_a_gguf_file_with_nothing_but_a_vocabulary_tokenizes_and_renders(self):
        vocabulary = ROOT / "tests" / "fuzz" / "gguf_fuzz_seeds" / "vocabulary"
        # Its merges are l o, then l l.
        done = troupe("tokenize", vocabulary, text=b"Hello low")
        self.assertEqual((done.returncode, done.stdout), (0, b"[1,2,3,8,9,8,5]\n"), done.stderr)
        done = troupe("tokenize", "--decode", vocabulary, text=done.stdout)
        self.assertEqual((done.returncode, done.stdout), (0, b"Hello low"), done.stderr)
        done = troupe("render", vocabulary, text=b'{"messages":[{"role":"user","content":"Hi"}]}')
        self.assertEqual((done.returncode, done.stdout), (0, b"Hi"), done.stderr)

    @unittest.skipUnless(MODEL.exists(), "SKIPPED: the demo model is not in models/; scripts/setup fetches it")
    def test_render_takes_the_template_of_a_model(self):
        context = {"messages": [{"role": "user", "content": "Hi ü"}], "add_generation_prompt": True}
        done = troupe("render", MODEL, text=json.dumps(context).encode())
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.decode().endswith("<|im_start|>user\nHi ü<|im_end|>\n<|im_start|>assistant\n"))

    def test_render_takes_a_template_and_a_clock(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "t.jinja"
            path.write_text("{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ x }}")
            for now in ("2024-07-26T12:00:00", "2024-07-26 12:00"):
                done = troupe("render", path, "--now", now, text=b'{"x": 1}')
                self.assertEqual((done.returncode, done.stdout), (0, b"2024-07-26 12:00:00 1"))
            for wrong in (b"", b"[]", b'{"x":' + b"[" * 100 + b"]" * 100 + b"}"):
                self.assertEqual(troupe("render", path, text=wrong).returncode, 1)
            path.write_text("{{ raise_exception('no') }}")
            done = troupe("render", path, text=b"{}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("no", done.stderr.decode())

    def test_certs_makes_an_authority_once_and_never_overwrites_a_node(self):
        with tempfile.TemporaryDirectory() as folder:
            where = pathlib.Path(folder) / "made"
            done = troupe("certs", where, "--node", "a", "--node", "b.example")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            names = {path.name: path.stat().st_mode & 0o777 for path in where.iterdir()}
            keys = {name: mode for name, mode in names.items() if name.endswith(".key")}
            self.assertEqual(keys, dict.fromkeys(("ca.key", "a.key", "b.example.key"), 0o600))
            self.assertEqual(set(names) - set(keys), {"ca.pem", "a.pem", "b.example.pem"})
            lines = [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]
            self.assertEqual(len(lines), 2)
            for line, node in zip(lines, ("a", "b.example")):
                files = f'certificate = "{where}/{node}.pem", key = "{where}/{node}.key", ca = "{where}/ca.pem"'
                self.assertEqual(line, f"cluster {{ {files} }}")
            before = {path.name: path.read_bytes() for path in where.iterdir()}
            done = troupe("certs", where, "--node", "c", "--node", "a")
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(str(where / "a.pem"), done.stderr.decode())
            self.assertEqual({path.name: path.read_bytes() for path in where.iterdir()}, before)
            self.assertEqual(troupe("certs", "--node", "c", where).returncode, 0)
            self.assertEqual((where / "ca.pem").read_bytes(), before["ca.pem"])
            self.assertTrue((where / "c.key").exists())
            done = troupe("certs", where / "a.pem" / "below", "--node", "d")
            self.assertEqual((done.returncode, done.stdout), (3, b""))


if __name__ == "__main__":
    unittest.main()
