# SPDX-License-Identifier: Apache-2.0
"""Writes logits/smollm2_q4_1.bin (the reference) and logits/llama_cpp_errors.json (what llama.cpp makes of the same positions).

    python make_logits.py SmolLM2-135M-Instruct.Q4_1.gguf [ALL_LOGITS.npz]
"""
import json
import pathlib
import struct
import sys

import numpy as np

import llama_cpp_judge
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


def errors(positions, reference, judged) -> dict:
    """How far `judged` is off, over the compared logits and over all; argmax differences with the reference's gap there."""
    compared, everything, gaps = [], [], []
    for i, (chosen, rows, theirs) in enumerate(zip(positions, reference, judged)):
        for position, row, other in zip(chosen, rows, theirs):
            difference = np.abs(other - row)
            compared.append(difference[compared_ids(i, position, row)])
            everything.append((difference.mean(), difference.max()))
            if other.argmax() != row.argmax():
                gaps.append(float(row.max() - row[other.argmax()]))
    compared, everything = np.array(compared), np.array(everything)
    return {
        "compared": {"mean_abs": float(compared.mean()), "max_abs": float(compared.max()),
                     "mean_abs_largest_64": float(compared[:, :TOP].mean()), "mean_abs_drawn_64": float(compared[:, TOP:].mean())},
        "all_logits": {"mean_abs": float(everything[:, 0].mean()), "max_abs": float(everything[:, 1].max())},
        "argmax_differences": len(gaps),
        "largest_gap_at_a_difference": max(gaps, default=0.0),
    }


def main():
    path = sys.argv[1]
    judge = llama_cpp_judge.Judge(path)
    prompts = [judge.tokenize(text) for text in logit_prompts.PROMPTS]
    positions = choose_positions([len(tokens) for tokens in prompts], Splitmix64(SEED))
    model = llama_reference.Llama(llama_reference.Gguf(path))
    reference = [model.logits(tokens, chosen) for tokens, chosen in zip(prompts, positions)]
    for rows in reference:
        second, first = np.sort(rows, axis=1)[:, -2:].T
        assert np.isfinite(rows).all() and (first - second > 1e-4).all(), "the argmax of a position is not clear"
    OUT.joinpath("smollm2_q4_1.bin").write_bytes(encode(prompts, positions, reference))
    if len(sys.argv) > 2:
        np.savez(sys.argv[2], *reference)

    report = {"judge": llama_cpp_judge.VERSION, "positions": sum(map(len, positions)),
              "prompt_tokens": [len(tokens) for tokens in prompts],
              "default": errors(positions, reference, judge.logits(prompts, positions)),
              "f32_kv": errors(positions, reference, llama_cpp_judge.Judge(path, kv="f32").logits(prompts, positions))}
    OUT.joinpath("llama_cpp_errors.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    print(OUT.joinpath("smollm2_q4_1.bin").stat().st_size, "bytes, numpy", np.__version__)


if __name__ == "__main__":
    main()
