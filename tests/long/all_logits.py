# SPDX-License-Identifier: Apache-2.0
"""Compares all 49,152 logits of the 1,280 golden positions with the float64 reference, on every SIMD path of this CPU.

    all_logits.py LOGIT_ROWS

The reference is computed anew (tests/goldens/llama_reference.py). Bounds: 0.02 in any logit (the portable path's; every path keeps
it), and in mean, maximum and argmax no worse than llama.cpp on the quantised file (tests/goldens/logits/llama_cpp_errors.json).
Needs numpy. Prints one JSON line a path.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "tests" / "goldens"
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
sys.path.insert(0, str(GOLDENS))

import numpy as np  # noqa: E402

import host_logits  # noqa: E402
import llama_reference  # noqa: E402
import make_logits  # noqa: E402

ERROR_MAX = 0.02


class Path:
    """The rows of one SIMD path, read as they are computed, and how far off they were."""

    def __init__(self, binary: str, name: str):
        self.name, self.positions, self.sum_abs, self.max_abs, self.other_argmax, self.logits = name, 0, 0.0, 0.0, 0, 0
        self.rows = host_logits.Rows(binary, MODEL, name)

    def compare(self, reference: np.ndarray):
        rows = self.rows.next(reference.shape).astype(np.float64)
        difference = np.abs(rows - reference)
        self.positions += len(rows)
        self.logits += difference.size
        self.sum_abs += float(difference.sum())
        self.max_abs = float(np.maximum(self.max_abs, difference.max()))  # NaN stays
        self.other_argmax += int((rows.argmax(axis=1) != reference.argmax(axis=1)).sum())

    def result(self, judged: dict) -> dict:
        mean = self.sum_abs / self.logits
        passed = (self.rows.ended() and self.positions == 1280 and self.max_abs <= ERROR_MAX
                  and mean <= judged["all_logits"]["mean_abs"] and self.max_abs <= judged["all_logits"]["max_abs"]
                  and self.other_argmax <= judged["argmax_differences"])
        return {"path": self.name, "positions": self.positions, "logits": self.logits, "mean_abs": mean, "max_abs": self.max_abs,
                "argmax_differences": self.other_argmax, "passed": passed}


def main() -> int:
    binary = sys.argv[1]
    if not MODEL.exists():
        print("SKIPPED: the demo model is not there: run scripts/setup")
        return 77
    judged = json.loads((make_logits.OUT / "llama_cpp_errors.json").read_text())["f32"]
    model = llama_reference.Llama(llama_reference.Gguf(str(MODEL)))
    paths = [Path(binary, name) for name in host_logits.paths(binary)]
    for tokens, positions in make_logits.read_prompts():
        for path in paths:
            path.rows.ask(tokens, positions)
        reference = model.logits(tokens, positions)
        for path in paths:
            path.compare(reference)
    results = [path.result(judged) for path in paths]
    for result in results:
        print(json.dumps(result))
    return 0 if results and all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
