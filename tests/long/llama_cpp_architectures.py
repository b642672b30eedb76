# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's logits of the tiny checkpoints, converted to GGUF by the tests' own converter, against transformers' goldens: shows that the files
that architectures_test reads are those that llama.cpp means.

    llama_cpp_architectures.py WRITE_GGUF [PYTHON]

PYTHON has llama-cpp-python 0.3.36. Left out are what llama.cpp's GGUF cannot say: Mistral's window, and Gemma 3 with another attention scale
than its heads' width gives. Prints one JSON line a model. Exit 77: skipped.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

GOLDENS = pathlib.Path(__file__).resolve().parents[1] / "goldens"
sys.path.insert(0, str(GOLDENS))

MODELS = ["llama", "llama3", "qwen2", "qwen3", "qwen3_moe", "smollm3"]
#: Both compute in f32, each in its own order; measured was below a half of it.
TOLERANCE = 1e-4


def compare(judge, folder: pathlib.Path, number: int) -> dict:
    import numpy as np

    tokens = json.loads((folder / f"prompt_{number}.json").read_text())
    golden = np.fromfile(folder / f"prompt_{number}.logits", "<f4").reshape(len(tokens), -1)
    rows = judge.logits(tokens, list(range(len(tokens))))
    second, first = np.partition(golden, -2, axis=1)[:, -2:].T
    clear = first - second > 4 * TOLERANCE
    largest, other = float(np.abs(rows - golden).max()), int((clear & (rows.argmax(axis=1) != golden.argmax(axis=1))).sum())
    return {"model": folder.name, "prompt": number, "positions": len(tokens), "decidable": int(clear.sum()), "max_abs": largest,
            "argmax_differences": other, "passed": largest <= TOLERANCE and other == 0}


def main() -> int:
    write_gguf, *python = sys.argv[1:]
    try:
        import llama_cpp_judge
    except ImportError:
        if not python or not pathlib.Path(python[0]).exists():
            print("SKIPPED: there is no llama-cpp-python")
            return 77
        os.execv(python[0], [python[0], "-B", sys.argv[0], write_gguf])
    results = []
    with tempfile.TemporaryDirectory() as work:
        for name in MODELS:
            file = pathlib.Path(work) / f"{name}.gguf"
            subprocess.run([write_gguf, GOLDENS / "architectures" / name, file], check=True)
            judge = llama_cpp_judge.Judge(str(file), "f32", context=256)
            for number in (0, 1):
                results.append(compare(judge, GOLDENS / "architectures" / name, number))
                print(json.dumps(results[-1]), flush=True)
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
