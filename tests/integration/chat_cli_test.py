# SPDX-License-Identifier: Apache-2.0
"""`troupe chat` against a fake server: from a pipe, from a terminal, with signals."""
import os
import signal
import socket
import subprocess
import sys
import unittest

from fake_chat_server import FakeChatServer
from terminal import WAIT_S, Terminal

TROUPE = sys.argv.pop(1)


class Chat(unittest.TestCase):
    def setUp(self):
        self.server = FakeChatServer()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def run_chat(self, *arguments, text=""):
        return subprocess.run(
            [TROUPE, "chat", "--url", self.server.url, *arguments], input=text.encode(), capture_output=True, timeout=WAIT_S
        )

    def test_a_question_is_answered_and_ends(self):
        done = self.run_chat("hi there")
        self.assertEqual(done.stdout.decode(), "You said: hi there (1 turns, ümläut)\n")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        request = self.server.requests[0]
        self.assertEqual((request["model"], request["stream"]), ("fake-model", True))

    def test_lines_of_a_pipe_are_turns_of_one_conversation(self):
        done = self.run_chat(text="one\n\ntwo\n/reset\nthree")
        self.assertEqual(
            done.stdout.decode(),
            "You said: one (1 turns, ümläut)\nYou said: two (3 turns, ümläut)\nYou said: three (1 turns, ümläut)\n",
        )
        self.assertEqual(done.returncode, 0)
        self.assertEqual(
            self.server.requests[1]["messages"],
            [
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "You said: one (1 turns, ümläut)"},
                {"role": "user", "content": "two"},
            ],
        )

    def test_failures_end_with_code_4_and_a_reason(self):
        for question, reason in (
            ("refuse", "the server answered 400: the fake refuses"),
            ("fail", "the worker is lost"),
            ("break", "closed the connection in the middle"),
        ):
            with self.subTest(question):
                done = self.run_chat(question)
                self.assertEqual(done.returncode, 4)
                self.assertIn(reason, done.stderr.decode())
                piped = self.run_chat(text=f"{question}\nnever asked\n")
                self.assertEqual(piped.returncode, 4)
                self.assertNotIn("never asked", piped.stdout.decode())

    def test_nobody_listening_ends_with_code_4(self):
        with socket.socket() as taken:  # bound but not listening: refuses
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            done = subprocess.run([TROUPE, "chat", "--url", url, "hi"], capture_output=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, 4)
        self.assertIn("Connection refused", done.stderr.decode())

    def test_a_server_cannot_steer_the_terminal(self):
        self.assertEqual(self.run_chat("escape").stdout, b"a[2Jbc\n")

    def test_a_peer_that_is_no_http_server_ends_with_code_4(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            chat = subprocess.Popen(
                [TROUPE, "chat", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}", "hi"], stderr=subprocess.PIPE
            )
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            connection.close()
            _, errors = chat.communicate(timeout=WAIT_S)
        self.assertEqual(chat.returncode, 4)
        self.assertIn(b"not a response", errors)

    def test_ctrl_c_during_a_question_closes_the_connection(self):
        chat = subprocess.Popen([TROUPE, "chat", "--url", self.server.url, "endless"], stdout=subprocess.PIPE)
        self.assertIn(b"word0", chat.stdout.read(5))
        chat.send_signal(signal.SIGINT)
        chat.communicate(timeout=WAIT_S)
        self.assertEqual(chat.returncode, 130)
        self.assertTrue(self.server.broken_off.wait(WAIT_S))

    def test_a_terminal_has_prompts_turns_interrupts_and_an_end(self):
        terminal = Terminal(TROUPE, "chat", "--url", self.server.url)
        terminal.expect("fake-model")
        terminal.expect("> ")
        terminal.type("hello\n")
        terminal.expect("You said: hello (1 turns, ümläut)")
        terminal.expect("> ")
        terminal.type("endless\n")
        terminal.expect("word3 ")
        terminal.type("\x03")
        terminal.expect("> ")
        self.assertTrue(self.server.broken_off.wait(WAIT_S))
        terminal.type("again\n")  # the question, its answer, the broken-off turn, and this
        terminal.expect("You said: again (5 turns, ümläut)")
        terminal.expect("> ")
        terminal.type("taken back\x03")
        terminal.expect("> ")
        terminal.type("fail\n")
        terminal.expect("troupe: the worker is lost")
        terminal.expect("> ")
        terminal.type("/reset\n")
        terminal.expect("> ")
        terminal.type("fresh\n")
        terminal.expect("You said: fresh (1 turns, ümläut)")
        terminal.expect("> ")
        terminal.type("\x04")
        self.assertEqual(terminal.exit_code(), 0)

    def test_exit_and_sigterm_end_a_terminal_chat_with_0(self):
        terminal = Terminal(TROUPE, "chat", "--url", self.server.url)
        terminal.expect("> ")
        terminal.type("/exit\n")
        self.assertEqual(terminal.exit_code(), 0)
        terminal = Terminal(TROUPE, "chat", "--url", self.server.url)
        terminal.expect("> ")
        terminal.type("endless\n")
        terminal.expect("word1 ")
        os.kill(terminal.pid, signal.SIGTERM)
        self.assertEqual(terminal.exit_code(), 0)


if __name__ == "__main__":
    unittest.main()
