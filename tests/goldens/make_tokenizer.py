# SPDX-License-Identifier: Apache-2.0
"""Writes tokenizer/*.jsonl: ids by llama.cpp's llama_tokenize, from the vocabulary in the GGUF alone.

    python make_tokenizer.py SMOLLM2.gguf STORIES260K.gguf GGML_VOCAB.inp
"""
import json
import pathlib
import sys
import unicodedata

import llama_cpp

import tokenizer_strings

OUT = pathlib.Path(__file__).parent / "tokenizer"
CONTROL, USER_DEFINED = 8, 16  # LLAMA_TOKEN_ATTR_*


class Vocabulary:
    def __init__(self, path: str):
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def ids(self, text: str, parse_special: bool) -> list[int]:
        """No BOS or EOS is added."""
        raw = text.encode()
        room = len(raw) + 16
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), buffer, room, False, parse_special)
        if count < 0:
            raise SystemExit(f"llama_tokenize wants {-count} tokens for {text!r}")
        return list(buffer[:count])

    def special_tokens(self) -> list[str]:
        """Control and user-defined tokens, by id."""
        found = []
        for token in range(llama_cpp.llama_vocab_n_tokens(self.vocab)):
            if llama_cpp.llama_vocab_get_attr(self.vocab, token) & (CONTROL | USER_DEFINED):
                found.append(llama_cpp.llama_vocab_get_text(self.vocab, token).decode())
        return found


def line(key, value, ids: list[int]) -> str:
    """One line of JSON; what an editor or terminal would act on is escaped."""
    text = json.dumps({key: value, "ids": ids}, ensure_ascii=False, separators=(",", ":"))
    invisible = lambda c: unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")
    units = lambda c: memoryview(c.encode("utf-16-le")).cast("H")
    escape = lambda c: "".join(f"\\u{unit:04x}" for unit in units(c)) if invisible(c) else c
    return "".join(map(escape, text)) + "\n"


def write(name: str, lines: list[str]):
    (OUT / name).write_text("".join(lines), encoding="utf-8", newline="\n")
    print(name, len(lines), "lines", (OUT / name).stat().st_size, "bytes")


def main():
    smollm2, stories, ggml = sys.argv[1:]
    pieces = pathlib.Path(ggml).read_bytes().decode().split("\n__ggml_vocab_test__\n")[:-1]
    assert len(pieces) == 46
    strings = tokenizer_strings.HARD + tokenizer_strings.drawn_strings()
    for name, path in (("smollm2", smollm2), ("stories260k", stories)):
        vocabulary = Vocabulary(path)
        lines = [line("ggml", i, vocabulary.ids(text, False)) for i, text in enumerate(pieces)]
        lines += [line("text", text, vocabulary.ids(text, False)) for text in strings]
        write(f"{name}_ids.jsonl", lines)
        if name == "smollm2":
            special = vocabulary.special_tokens()
            print(len(special), "special tokens", special)
            lines = [line("text", text, vocabulary.ids(text, True)) for text in tokenizer_strings.special_strings(special)]
            write("smollm2_special_ids.jsonl", lines)
    print("llama-cpp-python", llama_cpp.__version__)


if __name__ == "__main__":
    main()
