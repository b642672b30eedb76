# SPDX-License-Identifier: Apache-2.0
"""The tokenizer's speed beside tiktoken's and Hugging Face's, on one thread and on text of this machine: one JSON object a line.

    tokenizer_bench.py TOKENIZER_BENCH TOKENIZER.json[.xz] [--rounds N] [--cpu N] [--at-least RATIO]

In each round every tokenizer encodes the same text once, in prompts of 220 KB; ours and Hugging Face's are new ones that have seen
another text, so that no word of this one is known but by chance. Rounds follow each other so that a disturbed machine
disturbs all of them. tiktoken gets the same vocabulary and pattern. With --at-least the exit status is
1 unless the median over the rounds of ours / tiktoken reaches the ratio on every text."""
import argparse
import glob
import gzip
import json
import lzma
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

MAN = "/usr/share/man"
TEXTS = {
    "english": [f"{MAN}/man[1-8]/*.gz"],
    "code": ["/usr/include/c++/*/**/*.h", "/usr/include/c++/*/**/*.tcc", "/usr/include/boost/**/*.hpp", "/usr/include/boost/**/*.ipp"],
    "european": [f"{MAN}/{language}/man*/*.gz" for language in ("de", "fr", "es", "it", "pl", "pt_BR", "nl", "sv")],
    "scripts": [f"{MAN}/{language}/man*/*.gz" for language in ("ru", "uk", "ja", "zh_CN", "zh_TW", "ko", "sr")],
}
TEXT_BYTES, FILE_BYTES, PROMPT_BYTES = 16_000_000, 300_000, 220_000


def read_text(path: str) -> bytes:
    raw = gzip.open(path).read(FILE_BYTES) if path.endswith(".gz") else open(path, "rb").read(FILE_BYTES)
    return raw.decode("utf-8", "ignore").encode()


def gather(patterns: list[str]) -> bytes:
    """Different files, none twice (pages under several names are links)."""
    seen, parts, total = set(), [], 0
    for path in sorted(p for pattern in patterns for p in glob.glob(pattern, recursive=True)):
        real = os.path.realpath(path)
        if real in seen or not os.path.isfile(real):
            continue
        seen.add(real)
        text = read_text(real)
        if text in seen or (len(text) < 200 and text.startswith(b".so")):
            continue
        seen.add(text)
        parts.append(text)
        total += len(text)
        if total >= TEXT_BYTES:
            break
    return b"".join(parts)[:TEXT_BYTES].decode("utf-8", "ignore").encode()


def prompts_of(text: bytes) -> list[str]:
    prompts = []
    while text:
        end = min(PROMPT_BYTES, len(text))
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        prompts.append(text[:end].decode())
        text = text[end:]
    return prompts


def byte_alphabet() -> dict:
    same = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [byte for byte in range(256) if byte not in same]
    return {chr(byte): byte for byte in same} | {chr(0x100 + i): byte for i, byte in enumerate(other)}


def find_pattern(node) -> str | None:
    if isinstance(node, dict):
        return node["Regex"] if "Regex" in node else next(filter(None, map(find_pattern, node.values())), None)
    return next(filter(None, map(find_pattern, node)), None) if isinstance(node, list) else None


def tiktoken_encoding(content: dict):
    import tiktoken
    alphabet = byte_alphabet()
    ranks = {bytes(alphabet[c] for c in token): rank for token, rank in content["model"]["vocab"].items() if all(c in alphabet for c in token)}
    return tiktoken.Encoding("judge", pat_str=find_pattern(content["pre_tokenizer"]), mergeable_ranks=ranks, special_tokens={})


def hash_of(ids: list[int], start: int) -> int:
    for i in ids:
        start = (start * 31 + i) & 0xFFFFFFFFFFFFFFFF
    return start


def timed(encode, prompts: list[str], size: int) -> tuple[float, int]:
    begin = time.thread_time()
    results = [encode(prompt) for prompt in prompts]
    seconds = time.thread_time() - begin
    total = 0
    for ids in results:
        total = hash_of(ids, total)
    return size / seconds / 1e6, total


def run_ours(program: str, tokenizer: str, text: str, other: str) -> dict:
    return json.loads(subprocess.run([program, tokenizer, text, "--other", other], capture_output=True, text=True, check=True, timeout=600).stdout)


def measure(name: str, text: bytes, other: bytes, program: str, tokenizer: str, rounds: int, folder: str) -> dict:
    import tokenizers
    path = pathlib.Path(folder) / name
    path.write_bytes(text)
    other_path = pathlib.Path(folder) / "other"
    other_path.write_bytes(other)
    prompts = prompts_of(text)
    judge = tiktoken_encoding(json.loads(pathlib.Path(tokenizer).read_text()))
    speeds, hashes = {"ours": [], "tiktoken": [], "tokenizers": []}, set()
    for _ in range(rounds):
        ours = run_ours(program, tokenizer, str(path), str(other_path))
        speeds["ours"].append(ours["mb_per_s"])
        speed, total = timed(judge.encode_ordinary, prompts, len(text))
        speeds["tiktoken"].append(speed)
        hashes.add((ours["hash"], total))
        fresh = tokenizers.Tokenizer.from_file(tokenizer)
        fresh.encode_batch(prompts_of(other))
        speeds["tokenizers"].append(timed(lambda prompt: fresh.encode(prompt, add_special_tokens=False).ids, prompts, len(text))[0])
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["tiktoken"])]
    return {"text": name, "bytes": len(text), "mb_per_s": {k: round(statistics.median(v), 1) for k, v in speeds.items()},
            "ours_over_tiktoken": round(statistics.median(ratios), 2), "ratio_least": round(min(ratios), 2), "ratio_most": round(max(ratios), 2),
            "ids_equal_tiktoken": all(a == b for a, b in hashes), "load_ms": ours["load_ms"], "rounds": rounds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("tokenizer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--at-least", type=float)
    options = parser.parse_args()
    try:
        import tiktoken  # noqa: F401
        import tokenizers  # noqa: F401
    except ImportError as e:
        print(f"SKIPPED: {e}")
        return 77
    if not os.path.exists(options.tokenizer):
        print(f"SKIPPED: {options.tokenizer} is not there")
        return 77
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    enough = True
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = options.tokenizer
        if tokenizer.endswith(".xz"):
            tokenizer = str(pathlib.Path(folder) / "tokenizer.json")
            pathlib.Path(tokenizer).write_bytes(lzma.open(options.tokenizer).read())
        texts = {name: gather(patterns) for name, patterns in TEXTS.items()}
        for name, text in texts.items():
            other = texts["english" if name == "code" else "code"][:1_000_000].decode("utf-8", "ignore").encode()
            if len(text) < 1_000_000:
                print(f"SKIPPED: {name}: only {len(text)} bytes of text on this machine")
                continue
            result = measure(name, text, other, options.program, tokenizer, options.rounds, folder)
            print(json.dumps(result), flush=True)
            enough = enough and (options.at_least is None or result["ours_over_tiktoken"] >= options.at_least)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
