# SPDX-License-Identifier: Apache-2.0
"""Trains small vocabularies with Hugging Face's tokenizers and the pipelines that models publish, for which no vocabulary is to
be had here, and writes them with the ids that the library gives.

    train_tokenizers.py FOLDER [STRINGS]

FOLDER gets NAME.json (tokenizer.json) and NAME_ids.jsonl for each; tests/goldens/tokenizer_json has been made so, with
tokenizers 0.23.3 and sentencepiece 0.2.3. The text to train on is drawn from a seed."""
import base64
import io
import json
import pathlib
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_strings

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST
PREFIX, UPPER, LOWER = r"[^\r\n\p{L}\p{N}]?", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = f"{PREFIX}{UPPER}*{LOWER}+{CONTRACTIONS}?|{PREFIX}{UPPER}+{LOWER}*{CONTRACTIONS}?|" + r"\p{N}{1,3}" + CASED_REST
TEKKEN = f"{PREFIX}{UPPER}*{LOWER}+|{PREFIX}{UPPER}+{LOWER}*|" + r"\p{N}" + CASED_REST
DEEPSEEK = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = r" ?[^(\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
VOCABULARY = 700
WORDS_TO_TRAIN = [" ".join(tokenizer_strings.WORDS)]


def corpus() -> list[str]:
    return tokenizer_strings.HARD + tokenizer_strings.drawn_strings()


def isolated(pattern: str):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def bytes_of(*steps, prefix_space=False, use_regex=False):
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=use_regex)])


def byte_level(pre_tokenizer, normalizer=None, **model) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  special_tokens=["<|begin|>", "<|end|>"], show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])])
    return tokenizer


def flagged(tokenizer: Tokenizer) -> Tokenizer:
    """Added tokens with every flag."""
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True), AddedToken("<sep>", rstrip=True), AddedToken("<both>", lstrip=True, rstrip=True)])
    tokenizer.add_tokens([AddedToken("the", single_word=True, normalized=False), AddedToken("Stra\u00dfe", normalized=True),
                          AddedToken("caf\u00e9", normalized=True), AddedToken("  ", normalized=False), AddedToken("tool_call", normalized=False)])
    return tokenizer


def byte_tokens() -> list[str]:
    return [f"<0x{byte:02X}>" for byte in range(256)]


def pieces(normalizer, pre_tokenizer, decoder, **model) -> Tokenizer:
    """SentencePiece's way of BPE."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **model))
    tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    special = ["<unk>", "<s>", "</s>"] + (byte_tokens() if model.get("byte_fallback") else [])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY + 256, special_tokens=special, limit_alphabet=150, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    content = json.loads(tokenizer.to_str())
    # Training has made special tokens of the bytes; in published files they are not.
    content["added_tokens"] = [t for t in content["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(content))


LLAMA_DECODER = lambda: decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
GEMMA_DECODER = lambda: decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])


def charsmap() -> str:
    """A small table of replacements as SentencePiece compiles it."""
    rules = pathlib.Path("/tmp/troupe_rules.tsv")
    rules.write_text("FB01\t66 69\nFF21\t41\nFF42\t62\nBD\t31 2044 32\n3000\t20\nA0\t20\nE9\t65\n65 301\t65\nD\tA\n2026\t2E 2E 2E\n1F44D\t2B\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(WORDS_TO_TRAIN), model_writer=model, vocab_size=400, minloglevel=2,
                                             normalization_rule_tsv=str(rules), hard_vocab_limit=False)
    rules.unlink()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def unigram(normalizer, pre_tokenizer, byte_fallback=False, table=None) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    special = ["<unk>", "</s>"] + (byte_tokens() if byte_fallback else [])
    trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([line for line in corpus() if line.isascii()], trainer)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    content = json.loads(tokenizer.to_str())
    content["model"]["byte_fallback"] = byte_fallback
    content["added_tokens"] = [t for t in content["added_tokens"] if not t["content"].startswith("<0x")]
    if byte_fallback:
        content["decoder"] = json.loads(LLAMA_DECODER().__getstate__())
    if table:
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": table}, content["normalizer"]]}
    return Tokenizer.from_str(json.dumps(content))


def variants() -> dict:
    digits, gpt2 = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    replace = normalizers.Replace(" ", "\u2581")
    return {
        "gpt2": lambda: byte_level(gpt2),
        "gpt2_prefix_space": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "smollm": lambda: byte_level(pre_tokenizers.Sequence([digits, gpt2])),
        "qwen2": lambda: flagged(byte_level(bytes_of(isolated(QWEN2)), normalizers.NFC())),
        "llama3": lambda: byte_level(bytes_of(isolated(LLAMA3)), ignore_merges=True),
        "o200k": lambda: byte_level(bytes_of(isolated(O200K))),
        "tekken": lambda: byte_level(bytes_of(isolated(TEKKEN))),
        "deepseek": lambda: byte_level(bytes_of(*map(isolated, DEEPSEEK))),
        "bloom": lambda: byte_level(bytes_of(isolated(BLOOM))),
        "falcon": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), gpt2, pre_tokenizers.Digits(), isolated("[0-9][0-9][0-9]")])),
        "splits": lambda: byte_level(bytes_of(pre_tokenizers.Split(Regex(r"[aeiou]"), "merged_with_previous"), pre_tokenizers.Split(Regex(r"[xyz\s]"), "merged_with_next"),
                                              pre_tokenizers.Split(Regex(r"\d"), "contiguous"), pre_tokenizers.Split(".", "removed"),
                                              pre_tokenizers.Split(Regex(r"\w+"), "isolated", invert=True))),
        "lower_nfkd": lambda: flagged(byte_level(bytes_of(pre_tokenizers.WhitespaceSplit()), normalizers.Sequence(
            [normalizers.Nmt(), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]))),
        "nfkc_whitespace": lambda: byte_level(bytes_of(pre_tokenizers.Whitespace()), normalizers.Sequence([normalizers.NFD(), normalizers.NFKC()])),
        "llama2": lambda: pieces(normalizers.Sequence([normalizers.Prepend("\u2581"), replace]), None, LLAMA_DECODER(), byte_fallback=True, fuse_unk=True),
        "gemma": lambda: flagged(pieces(replace, pre_tokenizers.Split(" ", "merged_with_previous"), GEMMA_DECODER(), byte_fallback=True, fuse_unk=True)),
        "pieces_unk": lambda: pieces(replace, None, GEMMA_DECODER(), fuse_unk=False),
        "pieces_fused": lambda: pieces(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first", split=False), decoders.Metaspace(prepend_scheme="first"), fuse_unk=True),
        "unigram": lambda: flagged(unigram(normalizers.NFKC(), pre_tokenizers.Metaspace())),
        "unigram_charsmap": lambda: unigram(normalizers.Replace(Regex(" {2,}"), " "), pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), table=charsmap()),
        "unigram_bytes": lambda: unigram(normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first", split=False), byte_fallback=True),
    }


def line(**fields) -> str:
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":")) + "\n"


def golden_lines(tokenizer: Tokenizer, count: int) -> list[str]:
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    strings = tokenizer_strings.HARD + tokenizer_strings.drawn_strings()[::max(1, 2000 // count)] + tokenizer_strings.special_strings(added)[:count // 4]
    return [line(text=text, ids=tokenizer.encode(text).ids) for text in strings]


def main():
    folder = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in variants().items():
        tokenizer = make()
        tokenizer.save(str(folder / f"{name}.json"), pretty=False)
        (folder / f"{name}_ids.jsonl").write_text("".join(golden_lines(tokenizer, count)))
        print(name, tokenizer.get_vocab_size(), "tokens", (folder / f"{name}.json").stat().st_size, (folder / f"{name}_ids.jsonl").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
