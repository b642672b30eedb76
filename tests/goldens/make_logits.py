# SPDX-License-Identifier: Apache-2.0
"""Writes logits/smollm2_q4_1.bin, the reference's logits; and all of them, for judge_logits.py, to ALL_LOGITS.npz (0.5 GB).

    python make_logits.py SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz
"""
import pathlib
import struct
import sys

import numpy as np

import llama_reference
import logit_prompts
from splitmix64 import Splitmix64

OUT = pathlib.Path(__file__).parent / "logits"
POSITIONS, TOP, DRAWN = 1280, 64, 64
SEED = 0x5EED


def choose_positions(lengths: list[int], rng: Splitmix64) -> list[list[int]]:
    """1,280 positions: as even a share of each prompt as its length allows, its last position always among them."""
    shares = [0] * len(lengths)
    while sum(shares) < POSITIONS:
        for i, length in enumerate(lengths):
            if shares[i] < length and sum(shares) < POSITIONS:
                shares[i] += 1
    chosen = []
    for length, share in zip(lengths, shares):
        others = list(range(length - 1))
        for i in range(share - 1):  # Fisher and Yates, as far as needed
            j = i + rng.below(len(others) - i)
            others[i], others[j] = others[j], others[i]
        chosen.append(sorted(others[: share - 1]) + [length - 1])
    return chosen


def drawn_ids(prompt: int, position: int, vocabulary: int) -> list[int]:
    """Ids of the drawn logits of a position; they may repeat, or be among the largest."""
    rng = Splitmix64(SEED << 32 | prompt << 16 | position)
    return [rng.below(vocabulary) for _ in range(DRAWN)]


def compared_ids(prompt: int, position: int, row: np.ndarray) -> np.ndarray:
    """The 64 largest (the lower id first on a tie), then the drawn ones."""
    largest = np.lexsort((np.arange(len(row)), -row))[:TOP]
    return np.concatenate([largest, drawn_ids(prompt, position, len(row))])


def encode(prompts, positions, reference) -> bytes:
    vocabulary = reference[0].shape[1]
    body = b"TRLOGIT1" + struct.pack("<QIIII", SEED, len(prompts), vocabulary, TOP, DRAWN)
    for i, (tokens, chosen, rows) in enumerate(zip(prompts, positions, reference)):
        body += struct.pack("<II", len(tokens), len(chosen))
        body += np.array(tokens, "<u2").tobytes() + np.array(chosen, "<u2").tobytes()
        for position, row in zip(chosen, rows):
            ids = compared_ids(i, position, row)
            body += ids[:TOP].astype("<u2").tobytes() + row[ids].astype("<f4").tobytes()
    return body


def read_prompts() -> list[tuple[list[int], list[int]]]:
    """Token ids and positions of every prompt of the golden file."""
    data, at, prompts = OUT.joinpath("smollm2_q4_1.bin").read_bytes(), 32, []
    _, count, _, top, drawn = struct.unpack_from("<QIIII", data, 8)
    for _ in range(count):
        tokens, positions = struct.unpack_from("<II", data, at)
        ids = np.frombuffer(data, "<u2", tokens + positions, at + 8).tolist()
        prompts.append((ids[:tokens], ids[tokens:]))
        at += 8 + 2 * (tokens + positions) + positions * (top * 6 + drawn * 4)
    return prompts


def main():
    import llama_cpp_judge  # not at the top: judge_logits.py reads this file's layout without llama.cpp

    path, all_logits = sys.argv[1:]
    judge = llama_cpp_judge.Judge(path)
    prompts = [judge.tokenize(text) for text in logit_prompts.PROMPTS]
    positions = choose_positions([len(tokens) for tokens in prompts], Splitmix64(SEED))
    model = llama_reference.Llama(llama_reference.Gguf(path))
    reference = [model.logits(tokens, chosen) for tokens, chosen in zip(prompts, positions)]
    for rows in reference:
        second, first = np.sort(rows, axis=1)[:, -2:].T
        assert np.isfinite(rows).all() and (first - second > 1e-4).all(), "the argmax of a position is not clear"
    OUT.joinpath("smollm2_q4_1.bin").write_bytes(encode(prompts, positions, reference))
    np.savez(all_logits, *reference)
    print(OUT.joinpath("smollm2_q4_1.bin").stat().st_size, "bytes, numpy", np.__version__)


if __name__ == "__main__":
    main()
