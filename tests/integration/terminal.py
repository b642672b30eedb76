# SPDX-License-Identifier: Apache-2.0
"""A program that believes to be at a terminal."""
import os
import pty
import select
import signal
import time

WAIT_S = 30


class Terminal:
    def __init__(self, program, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(program, [program, *arguments])
        self.seen = ""

    def expect(self, text):
        """Waits for the text; what comes before it and itself are used up."""
        until = time.monotonic() + WAIT_S
        while text not in self.seen:
            if time.monotonic() > until:
                raise AssertionError(f"waited for {text!r}, saw {self.seen!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 4096)
                except OSError:  # the other side has closed
                    data = b""
                if not data:
                    raise AssertionError(f"ended before {text!r}, saw {self.seen!r}")
                self.seen += data.decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def exit_code(self):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("did not end")
