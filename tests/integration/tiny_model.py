# SPDX-License-Identifier: Apache-2.0
"""Model files of a few kilobytes: a vocabulary of bytes and no weights to speak of. The mock executor serves them."""
import struct

UINT32, INT32, FLOAT, STRING, ARRAY = 4, 5, 6, 8, 9
WIDTH = 2
ALIGNMENT = 32


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def number(key, value):
    return entry(key, UINT32, struct.pack("<I", value))


def string(key, value):
    return entry(key, STRING, text(value))


def array(key, kind, values):
    return entry(key, ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values))


def byte_alphabet():
    """How byte-level vocabularies write the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


def write_model(path, rotation=0, context=512):
    """Models of another rotation number the bytes otherwise, so equal tokens are other texts."""
    alphabet = byte_alphabet()
    tokens = alphabet[rotation:] + alphabet[:rotation] + ["<|end|>"]
    kinds = [1] * 256 + [3]
    entries = [
        string("general.architecture", "llama"),
        number("llama.context_length", context),
        number("llama.embedding_length", WIDTH),
        number("llama.block_count", 1),
        number("llama.feed_forward_length", WIDTH),
        number("llama.attention.head_count", 1),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT, struct.pack("<f", 1e-5)),
        string("tokenizer.ggml.model", "gpt2"),
        string("tokenizer.ggml.pre", "gpt-2"),
        array("tokenizer.ggml.tokens", STRING, [text(token) for token in tokens]),
        array("tokenizer.ggml.token_type", INT32, [struct.pack("<i", kind) for kind in kinds]),
        array("tokenizer.ggml.merges", STRING, []),
        number("tokenizer.ggml.eos_token_id", 256),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(entries)) + b"".join(entries)
    head += text("token_embd.weight") + struct.pack("<IQQIQ", 2, WIDTH, len(tokens), 0, 0)
    head += b"\0" * (-len(head) % ALIGNMENT)
    path.write_bytes(head + b"\0" * (4 * WIDTH * len(tokens)))
