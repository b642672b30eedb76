# SPDX-License-Identifier: Apache-2.0
"""The generator behind every drawn number of the goldens: splitmix64, so that C++ draws the same."""

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """splitmix64's output function, a bijection on 64 bits."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Splitmix64:
    """A stream: each draw adds GAMMA to the state and mixes it."""

    def __init__(self, seed: int):
        self.state = seed & MASK

    def next(self) -> int:
        self.state = (self.state + GAMMA) & MASK
        return mix(self.state)

    def below(self, n: int) -> int:
        """A number in [0, n), n <= 2^32: the high half of (upper 32 bits) * n."""
        return ((self.next() >> 32) * n) >> 32
