# SPDX-License-Identifier: Apache-2.0
"""The real binary with the real model, as the official OpenAI client meets it: one disaggregated node."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import openai

from node_process import CONFIG_HEAD, MODEL, Node
from terminal import Terminal

TROUPE = sys.argv.pop(1)
CONFIG = CONFIG_HEAD + """
  prefill-worker {{
    chunk-tokens = 64
  }}
  decode-worker {{
    running-max = 8
    queued-max = 4
  }}
}}
"""
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class NodeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node(TROUPE, CONFIG.format(model=MODEL))
        cls.client = openai.OpenAI(base_url=cls.node.url + "/v1", api_key="none", max_retries=0, timeout=120)

    @classmethod
    def tearDownClass(cls):
        code = cls.node.end()
        assert code == 0, f"SIGTERM ended the node with {code}: {''.join(cls.node.log)}"

    def ask(self, **options):
        return self.client.chat.completions.create(
            **{"model": "demo", "messages": QUESTION, "temperature": 0, "max_tokens": 24, **options})

    def wait_until_idle(self):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if (self.node.metric("troupe_worker_kv_blocks_free") == self.node.metric("troupe_worker_kv_blocks")
                    and self.node.metric("troupe_worker_sequences_running") == 0):
                return
            time.sleep(0.05)
        self.fail("blocks are still held:\n" + self.node.get("/metrics")[1])

    def test_a_chat_is_answered_and_decode_computes_no_prompt_token(self):
        answer = self.ask()
        self.assertIn("Paris", answer.choices[0].message.content)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertEqual(self.node.metric("troupe_worker_prompt_tokens_computed_total", role="decode"), 0)
        self.assertGreater(self.node.metric("troupe_worker_prompt_tokens_computed_total", role="prefill"), 0)
        self.assertGreater(self.node.metric("troupe_worker_kv_landings_completed_total"), 0)
        self.assertEqual(self.node.metric("troupe_worker_kv_landings_broken_total"), 0)

    def test_a_stream_says_the_same_as_a_whole_answer_with_usage_at_its_end(self):
        whole = self.ask()
        parts, usage, finishes = [], None, []
        for chunk in self.ask(stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                parts.append(choice.delta.content or "")
                if choice.finish_reason:
                    finishes.append(choice.finish_reason)
            usage = chunk.usage or usage
        self.assertEqual("".join(parts), whole.choices[0].message.content)
        self.assertEqual(finishes, [whole.choices[0].finish_reason])
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
        self.assertGreater(self.node.metric("troupe_rest_sampled_to_socket_seconds_count"), 0)

    def test_a_repeated_prompt_is_cached(self):
        long = [{"role": "user", "content": "Count: " + " ".join(str(i) for i in range(400))}]
        self.ask(messages=long, max_tokens=1)
        again = self.ask(messages=long, max_tokens=1)
        self.assertGreaterEqual(again.usage.prompt_tokens_details.cached_tokens, again.usage.prompt_tokens - 24)

    def test_stop_strings_end_the_text_before_them(self):
        answer = self.ask(stop=["France"])
        self.assertNotIn("France", answer.choices[0].message.content)
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_log_probabilities(self):
        answer = self.ask(logprobs=True, top_logprobs=3, max_tokens=4)
        content = answer.choices[0].logprobs.content
        self.assertEqual(len(content), answer.usage.completion_tokens)
        for token in content:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertAlmostEqual(token.top_logprobs[0].logprob, token.logprob, places=5)  # greedy

    def test_n_choices_with_a_seed_repeat(self):
        first, second = (self.ask(n=3, seed=7, temperature=1.0, max_tokens=12) for _ in range(2))
        texts = [choice.message.content for choice in first.choices]
        self.assertEqual(texts, [choice.message.content for choice in second.choices])
        self.assertEqual([choice.index for choice in first.choices], [0, 1, 2])
        self.assertGreater(len(set(texts)), 1)

    def test_completions_of_strings_and_ids(self):
        text = self.client.completions.create(model="demo", prompt=["The sky is", "Two plus two is"], max_tokens=4, temperature=0)
        self.assertEqual([choice.index for choice in text.choices], [0, 1])
        ids = json.loads(urllib.request.urlopen(urllib.request.Request(
            self.node.url + "/tokenize", json.dumps({"prompt": "The sky is"}).encode(), {"Content-Type": "application/json"})).read())["tokens"]
        same = self.client.completions.create(model="demo", prompt=ids, max_tokens=4, temperature=0)
        self.assertEqual(same.choices[0].text, text.choices[0].text)

    def test_errors_are_the_clients_own_exceptions(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.ask(model="nope")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask(temperature=9)
        self.assertIn("temperature", str(caught.exception))
        with self.assertRaises(openai.BadRequestError):
            self.ask(messages=[{"role": "user", "content": "word " * 9000}])

    def test_a_cancelled_stream_frees_its_blocks(self):
        for _ in range(5):
            stream = self.ask(stream=True, max_tokens=2000, messages=[{"role": "user", "content": "Write a very long story."}])
            next(iter(stream))
            stream.close()
        self.wait_until_idle()

    def test_one_request_over_the_limit_gets_503_with_retry_after(self):
        results = []

        def one(index):
            try:
                self.client.completions.create(model="demo", prompt=f"{index} Tell me a story", max_tokens=48, temperature=0)
                results.append(200)
            except openai.APIStatusError as error:
                results.append((error.status_code, error.response.headers.get("retry-after")))

        threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 20)
        self.assertIn((503, "1"), results)
        self.assertEqual(set(results), {200, (503, "1")})
        self.assertGreaterEqual(results.count(200), 12)

    def test_health_models_and_metrics(self):
        self.assertEqual(self.node.get("/live")[0], 200)
        self.assertEqual(self.node.get("/health")[0], 200)
        models = self.client.models.list().data
        self.assertEqual([model.id for model in models], ["demo"])
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed")
        self.ask(max_tokens=2)
        checked = subprocess.run([promtool, "check", "metrics"], input=self.node.get("/metrics")[1], text=True, capture_output=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_printed_curl_line_answers(self):
        done = subprocess.run(["sh", "-c", self.node.curl.strip() + " -s -o /dev/null -w '%{http_code}'"], capture_output=True, text=True)
        self.assertEqual(done.stdout, "200", done.stderr)


@unittest.skipUnless(MODEL.exists(), "the demo model is not there: run scripts/setup")
class RunTest(unittest.TestCase):
    def test_a_question_on_the_command_line_is_answered(self):
        done = subprocess.run([TROUPE, "run", "-c", str(self.config()), QUESTION[0]["content"]], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Paris", done.stdout)

    def test_a_taken_port_exits_3(self):
        node = Node(TROUPE, CONFIG.format(model=MODEL))
        try:
            port = node.url.rsplit(":", 1)[1]
            done = subprocess.run([TROUPE, "serve", "-c", str(self.config(port))], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(port, done.stderr)
        finally:
            self.assertEqual(node.end(), 0)

    def config(self, port="0"):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "node.conf"
        path.write_text(CONFIG.format(model=MODEL).replace(":0\"", f":{port}\""))
        return path

    def test_an_answer_without_max_tokens_fits_into_a_small_kv_memory(self):
        config = self.config()
        config.write_text(config.read_text().replace("  http {", "  kv {\n    memory = 32MiB\n  }\n  http {"))
        done = subprocess.run([TROUPE, "run", "-c", str(config), QUESTION[0]["content"]], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Paris", done.stdout)
        self.assertIn("kv.memory", done.stderr)

    def test_a_terminal_chat_has_two_turns_and_ctrl_c_stops_an_answer(self):
        terminal = Terminal(TROUPE, "run", "-c", str(self.config()))
        terminal.expect("> ")
        terminal.type(QUESTION[0]["content"] + "\n")
        terminal.expect("Paris")
        terminal.expect("> ")
        terminal.type("Write a very long story about a whale and a sailor.\n")
        terminal.expect(" the ")
        terminal.type("\x03")
        terminal.expect("> ")
        terminal.type("\x04")
        self.assertEqual(terminal.exit_code(), 0)


if __name__ == "__main__":
    unittest.main()
