# SPDX-License-Identifier: Apache-2.0
"""Writes sampling/rows.bin: kept sets and probabilities of 1,000 rows per sampling option.

Numpy in float64 is the judge; README.md beside this file states the semantics and the file format.
    python make_sampling.py
"""
import pathlib
import struct

import numpy as np

from splitmix64 import Splitmix64

OPTIONS = ["temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
           "repetition_penalty", "logit_bias", "combined"]
ROWS = 1000
VOCABULARY = 512
# No kept set may hang on rounding: a row whose border is nearer than this is drawn anew.
MARGIN = 1e-4


class Row:
    """One row's inputs, drawn in the order in which README.md lists them."""

    def __init__(self, option: int, row: int, attempt: int):
        rng = Splitmix64((option << 32) | (row << 8) | attempt)
        name = OPTIONS[option]
        on = lambda wanted: name in (wanted, "combined")
        draw = lambda n: rng.below(n)
        temperature, top_p, top_k, min_p = draw(33), 1 + draw(127), 1 + draw(64), 1 + draw(128)
        presence, frequency, repetition = draw(65), draw(65), draw(25)
        self.temperature = temperature / 16 if on("temperature") else 1.0
        # Together the cuts are milder, so that each of them still has something to cut.
        mild = name == "combined"
        self.top_p = (1 - top_p / 512 if mild else top_p / 128) if on("top_p") else 1.0
        self.top_k = top_k if on("top_k") else 0
        self.min_p = min_p / (4096 if mild else 256) if on("min_p") else 0.0
        self.presence_penalty = (presence - 32) / 16 if on("presence_penalty") else 0.0
        self.frequency_penalty = (frequency - 32) / 16 if on("frequency_penalty") else 0.0
        self.repetition_penalty = (repetition + 8) / 16 if on("repetition_penalty") else 1.0
        start, stride, biases = draw(VOCABULARY), 2 * draw(VOCABULARY // 2) + 1, draw(17)
        values = [(draw(205) - 200) / 2 if i % 4 == 0 else (draw(41) - 20) / 4 for i in range(biases)]
        pairs = {(start + i * stride) % VOCABULARY: value for i, value in enumerate(values)}
        self.logit_bias = pairs if on("logit_bias") else {}
        prompt, output = draw(33), draw(33)
        self.prompt = [draw(64) * 8 + row % 8 for _ in range(prompt)]
        self.output = [draw(64) * 8 + row % 8 for _ in range(output)]
        self.logits = self._logits(rng, row % 4)

    @staticmethod
    def _logits(rng: Splitmix64, kind: int) -> np.ndarray:
        """float32[512]. Kinds: 0 and 1 flat, 2 with sixteen levels (ties), 3 peaked (a cube)."""
        drawn = np.array([rng.next() >> 40 for _ in range(VOCABULARY)], dtype=np.uint64)
        if kind == 2:
            drawn = (drawn >> np.uint64(20)) << np.uint64(20)
        half = drawn.astype(np.float32) * np.float32(2.0**-24) - np.float32(0.5)
        if kind == 3:
            return (half * half * half) * np.float32(160)
        return half * np.float32(20)


def penalised(row: Row, dtype) -> np.ndarray:
    """logit_bias, then repetition, frequency and presence penalties."""
    x = row.logits.astype(dtype)
    for token, bias in row.logit_bias.items():
        x[token] += dtype(bias)
    for token in set(row.prompt) | set(row.output):
        x[token] = x[token] / dtype(row.repetition_penalty) if x[token] > 0 else x[token] * dtype(row.repetition_penalty)
    for token in set(row.output):
        x[token] -= dtype(row.frequency_penalty) * dtype(row.output.count(token))
        x[token] -= dtype(row.presence_penalty)
    return x


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def descending(x: np.ndarray) -> np.ndarray:
    """Token ids by falling logit; of equal logits the lower id comes first."""
    return np.lexsort((np.arange(len(x)), -x))


class Borderline(Exception):
    """A kept set of this row hangs on less than MARGIN."""


def require_clear(distance: float):
    if abs(distance) < MARGIN:
        raise Borderline


def require_clear_cut(x64: np.ndarray, x32: np.ndarray, order: np.ndarray, kept: int):
    """The last kept and the first dropped token are exactly equal in both precisions, or well apart."""
    if kept == len(order):
        return
    inside, outside = order[kept - 1], order[kept]
    if x64[inside] != x64[outside] or x32[inside] != x32[outside]:
        require_clear(x64[inside] - x64[outside])


def keep(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """(token ids by falling probability, their probabilities), float64."""
    x, x32 = penalised(row, np.float64), penalised(row, np.float32)
    order = descending(x)
    if row.temperature == 0:
        require_clear_cut(x, x32, order, 1)
        return order[:1], np.ones(1)
    x = x / row.temperature
    if row.min_p > 0:
        probability = softmax(x[order])
        for ratio in probability / probability[0]:
            require_clear(ratio / row.min_p - 1)
        order = order[: int((probability >= row.min_p * probability[0]).sum())]
    if row.top_k > 0 and row.top_k < len(order):
        require_clear_cut(x, x32, order, row.top_k)
        order = order[: row.top_k]
    if row.top_p < 1:
        before = np.concatenate([[0.0], np.cumsum(softmax(x[order]))[:-1]])
        kept = int((before < row.top_p).sum())
        for total in before[max(kept - 2, 1) : kept + 2]:
            require_clear(total - row.top_p)
        require_clear_cut(x, x32, order, kept)
        order = order[:kept]
    return order, softmax(x[order])


def fnv1a(ids: np.ndarray) -> int:
    """FNV-1a, 32 bits, over the ids ascending, each as two bytes, low byte first."""
    h = 0x811C9DC5
    for byte in np.sort(ids).astype("<u2").tobytes():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def record(option: int, row: int) -> bytes:
    for attempt in range(256):
        try:
            ids, probability = keep(Row(option, row, attempt))
        except Borderline:
            continue
        by_id = np.argsort(ids)
        middle = by_id[len(ids) // 2]
        moment = float((probability * (ids + 1)).sum() / VOCABULARY)
        return struct.pack("<HBxI4f", len(ids), attempt, fnv1a(ids), probability[0], probability[-1],
                           probability[middle], moment)
    raise SystemExit(f"option {option}, row {row}: every attempt is borderline")


def main():
    body = b"".join(record(option, row) for option in range(len(OPTIONS)) for row in range(ROWS))
    header = b"TRSAMPL1" + struct.pack("<III", len(OPTIONS), ROWS, VOCABULARY)
    path = pathlib.Path(__file__).parent / "sampling" / "rows.bin"
    path.write_bytes(header + body)
    kept = np.frombuffer(body, dtype=np.dtype("<u2,u1,u1,<u4,<f4,<f4,<f4,<f4"))
    for option, name in enumerate(OPTIONS):
        rows = kept[option * ROWS : (option + 1) * ROWS]
        count = rows["f0"]
        print(f"{name:20} kept {count.min()}..{count.max()}, median {int(np.median(count))}, redrawn {int((rows['f1'] > 0).sum())}")
    print(path.name, len(header + body), "bytes, numpy", np.__version__)


if __name__ == "__main__":
    main()
