# SPDX-License-Identifier: Apache-2.0
"""Compares ids and decoded text with those of Hugging Face's tokenizers.

    compare_tokenizers.py TOKENIZER_IDS STRINGS SEED FILE.json[.xz]…

TOKENIZER_IDS is the program of that name (tests/unit/text). For each tokenizer.json so many strings are drawn or cut out of
real text; ids with special tokens parsed and added, ids of plain text, and decoded text have to be equal. Exit 77: skipped."""
import glob
import gzip
import json
import lzma
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tokenizer_strings  # noqa: E402

REAL = ["/usr/share/man/man[1-8]/*.gz", "/usr/share/man/*/man[1-8]/*.gz", "/usr/include/c++/*/bits/*.h", "/usr/share/perl/*/unicore/*.pl"]
REAL_FILES_MAX, REAL_BYTES_MAX, STRINGS_AT_ONCE = 500, 200_000, 20_000
# Oniguruma, Rust and utf8proc know different versions of Unicode. Python 3.11's, 14.0, is older than all of them but for the
# normal forms and marks of `tokenizers`, which are older still.
UNKNOWN = ("Cn", "Cs", "Co")
NEW = re.compile("[\U00010780-\U000107BF]")


def read_text(path: str) -> str:
    raw = gzip.open(path).read(REAL_BYTES_MAX) if path.endswith(".gz") else open(path, "rb").read(REAL_BYTES_MAX)
    return raw.decode("utf-8", "ignore")


def real_texts(draw) -> list[str]:
    """Files of this machine, in an order that the seed decides; some machines have none."""
    paths = sorted(path for pattern in REAL for path in glob.glob(pattern))
    chosen = [draw.pick(paths) for _ in range(min(REAL_FILES_MAX, len(paths)))]
    return [text for text in map(read_text, chosen) if len(text) > 100]


def is_new(c: str) -> bool:
    return unicodedata.category(c) in UNKNOWN or (unicodedata.category(c)[0] == "M" and unicodedata.ucd_3_2_0.category(c) == "Cn")


def is_known(text: str) -> bool:
    return not NEW.search(text) and not any(map(is_new, text))


class Strings:
    def __init__(self, seed: int, special: list[str]):
        self.draw = tokenizer_strings.Draw(seed)
        self.kinds = list(tokenizer_strings.KINDS)
        self.real = real_texts(self.draw)
        self.special = special or ["<s>"]

    def one(self) -> str:
        shape = self.draw.rng.below(8)
        if shape < 3 and self.real:
            text = self.draw.pick(self.real)
            length = self.draw.count(1, 400)
            begin = self.draw.rng.below(max(1, len(text) - length))
            return text[begin:begin + length]
        if shape == 3:
            return "".join(self.draw.draw(self.draw.pick(self.kinds)) + self.draw.pick(["", " ", "\n", "  "])
                           + self.draw.pick(self.special) + self.draw.pick(["", " ", "\n", "\t "]) for _ in range(self.draw.count(1, 3)))
        if shape == 4:
            return "".join(self.draw.draw(self.draw.pick(self.kinds)) for _ in range(self.draw.count(2, 4)))
        return self.draw.draw(self.draw.pick(self.kinds))

    def many(self, count: int) -> list[str]:
        result = []
        while len(result) < count:
            text = self.one()
            if is_known(text):
                result.append(text)
        return result


def ours(program: str, path: str, mode: str, lines: list) -> list:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run = subprocess.run([program, path, mode], input=text, capture_output=True, text=True, timeout=3600)
    if run.returncode != 0:
        raise SystemExit(f"{path}: {run.stderr.strip()}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def report(path: str, mode: str, strings: list, expected: list, actual: list) -> int:
    differing = [(s, e, a) for s, e, a in zip(strings, expected, actual, strict=True) if e != a]
    for text, e, a in differing[:5]:
        print(f"DIFFERS {path} {mode} {text!r}\n  expected {e}\n  actual   {a}")
    return len(differing)


def compare(program: str, path: str, count: int, seed: int) -> int:
    return sum(compare_some(program, path, min(STRINGS_AT_ONCE, count - begin), seed + begin) for begin in range(0, count, STRINGS_AT_ONCE))


def compare_some(program: str, path: str, count: int, seed: int) -> int:
    import tokenizers
    judge = tokenizers.Tokenizer.from_file(path)
    judge.no_truncation()
    judge.no_padding()
    added = judge.get_added_tokens_decoder()
    special = {token.content for token in added.values() if token.special}
    strings = Strings(seed, sorted(token.content for token in added.values())).many(count)
    parsed = [e.ids for e in judge.encode_batch(strings)]
    wrong = report(path, "parsed", strings, parsed, ours(program, path, "parsed", strings))
    # What special tokens are made of is text to both; what they are found in differs where one is part of another.
    plain = [s for s in strings if not any(name in s for name in special)]
    judge.encode_special_tokens = True
    expected = [e.ids for e in judge.encode_batch(plain, add_special_tokens=False)]
    wrong += report(path, "plain", plain, expected, ours(program, path, "plain", plain))
    # Bytes that are no UTF-8 are replaced in different ways. Of the first token Hugging Face's Metaspace drops every space, we
    # those that it begins with.
    inner_space = lambda ids: ids and "\u2581" in judge.id_to_token(ids[0]).lstrip("\u2581")
    decoded = [(ids, text) for ids, text in zip(expected, judge.decode_batch(expected, skip_special_tokens=True))
               if "\ufffd" not in text and not inner_space(ids)]
    ids = [d[0] for d in decoded]
    wrong += report(path, "decoded", ids, [d[1] for d in decoded], ours(program, path, "decoded", ids))
    print(f"{pathlib.Path(path).name}: {len(strings)} strings parsed, {len(plain)} plain, {len(decoded)} decoded: {wrong} differ", flush=True)
    return wrong


def unpacked(path: str, folder: str) -> str:
    if not path.endswith(".xz"):
        return path
    target = pathlib.Path(folder) / pathlib.Path(path).stem
    target.write_bytes(lzma.open(path).read())
    return str(target)


def main() -> int:
    program, count, seed, *paths = sys.argv[1:]
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        print("SKIPPED: Python has no tokenizers")
        return 77
    found = [path for path in paths if pathlib.Path(path).exists()]
    for path in set(paths) - set(found):
        print(f"SKIPPED: {path} is not there")
    if not found:
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return 1 if sum(compare(program, unpacked(path, folder), int(count), int(seed)) for path in found) else 0


if __name__ == "__main__":
    sys.exit(main())
