# SPDX-License-Identifier: Apache-2.0
"""Compares all 49,152 logits of the 1,280 golden positions with the float64 reference, on every SIMD path of this CPU.

    all_logits.py LOGIT_ROWS

The reference is computed anew (tests/goldens/llama_reference.py). Bounds: 0.02 in any logit (the portable path's; every path keeps
it), and in mean, maximum and argmax no worse than llama.cpp on the quantised file (tests/goldens/logits/llama_cpp_errors.json).
Needs numpy. Prints one JSON line a path.
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "tests" / "goldens"
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
sys.path.insert(0, str(GOLDENS))

import numpy as np  # noqa: E402

import llama_reference  # noqa: E402
import make_logits  # noqa: E402

ERROR_MAX = 0.02


class Path:
    """The rows of one SIMD path, read as they are computed, and how far off they were."""

    def __init__(self, binary: str, name: str):
        self.name, self.positions, self.sum_abs, self.max_abs, self.other_argmax, self.logits = name, 0, 0.0, 0.0, 0, 0
        self.process = subprocess.Popen([binary, MODEL, make_logits.OUT / "smollm2_q4_1.bin", name], stdout=subprocess.PIPE)

    def compare(self, reference: np.ndarray):
        raw = self.process.stdout.read(reference.size * 4)
        if len(raw) != reference.size * 4:
            raise SystemExit(f"{self.name}: its rows end early")
        rows = np.frombuffer(raw, "<f4").astype(np.float64).reshape(reference.shape)
        difference = np.abs(rows - reference)
        self.positions += len(rows)
        self.logits += difference.size
        self.sum_abs += float(difference.sum())
        self.max_abs = float(np.maximum(self.max_abs, difference.max()))  # NaN stays
        self.other_argmax += int((rows.argmax(axis=1) != reference.argmax(axis=1)).sum())

    def result(self, judged: dict) -> dict:
        left, code = self.process.stdout.read(1), self.process.wait(timeout=60)
        mean = self.sum_abs / self.logits
        passed = (code == 0 and not left and self.positions == 1280 and self.max_abs <= ERROR_MAX
                  and mean <= judged["all_logits"]["mean_abs"] and self.max_abs <= judged["all_logits"]["max_abs"]
                  and self.other_argmax <= judged["argmax_differences"])
        return {"path": self.name, "positions": self.positions, "logits": self.logits, "mean_abs": mean, "max_abs": self.max_abs,
                "argmax_differences": self.other_argmax, "passed": passed}


def main() -> int:
    binary = sys.argv[1]
    if not MODEL.exists():
        print("SKIPPED: the demo model is not there: run scripts/setup")
        return 77
    names = subprocess.run([binary, "paths"], check=True, capture_output=True, text=True).stdout.split()
    judged = json.loads((make_logits.OUT / "llama_cpp_errors.json").read_text())["f32"]
    model = llama_reference.Llama(llama_reference.Gguf(str(MODEL)))
    paths = [Path(binary, name) for name in names]
    for tokens, positions in make_logits.read_prompts():
        reference = model.logits(tokens, positions)
        for path in paths:
            path.compare(reference)
    results = [path.result(judged) for path in paths]
    for result in results:
        print(json.dumps(result))
    return 0 if results and all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
