# SPDX-License-Identifier: Apache-2.0
"""The program logit_rows, as judges see it: the host executor's logits on each SIMD path of this machine."""
import struct
import subprocess

import numpy as np


def paths(binary: str) -> list[str]:
    return subprocess.run([binary, "paths"], check=True, capture_output=True, text=True).stdout.split()


class Rows:
    """Computes rows on one path, a prompt at a time."""

    def __init__(self, binary: str, model, path: str):
        self.path = path
        self.process = subprocess.Popen([binary, model, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, tokens: list[int], positions: list[int]):
        """Begins with a prompt; next() must fetch its rows before another."""
        numbers = [len(tokens), len(positions), *tokens, *positions]
        self.process.stdin.write(struct.pack(f"<{len(numbers)}I", *numbers))
        self.process.stdin.flush()

    def next(self, shape: tuple[int, int]) -> np.ndarray:
        """Positions by vocabulary."""
        count = shape[0] * shape[1] * 4
        raw = self.process.stdout.read(count)
        if len(raw) != count:
            raise SystemExit(f"{self.path}: its rows end early")
        return np.frombuffer(raw, "<f4").reshape(shape)

    def ended(self) -> bool:
        """Ends it: whether that was all, and nothing failed."""
        self.process.stdin.close()
        return not self.process.stdout.read(1) and self.process.wait(timeout=60) == 0
