#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the targets that read model files: each architecture of tests/goldens/architectures with a width of 4, as a
directory of transformers', a safetensors file and a GGUF file with a vocabulary.

    python3 make_seeds.py      into gguf_fuzz_seeds, safetensors_fuzz_seeds and transformers_directory_fuzz_seeds
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
GOLDENS = HERE.parent / "goldens" / "architectures"

WIDTH, HEADS, KV_HEADS, HEAD, HIDDEN, EXPERTS, EXPERTS_USED, CONTEXT = 4, 2, 1, 2, 6, 2, 1, 64
GGUF_NAMES = {"llama": "llama", "mistral": "llama", "smollm3": "smollm3", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe",
              "gemma3_text": "gemma3"}
TOKENS = ["<unk>", "<s>", "</s>", *"Helowrd", "lo", "▁"]
BYTE_TOKENS = ["<|end|>", *"Helowrd", "lo", "Ġ", "ll"]
# GGUF's numbers.
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
# GGML's, with elements and bytes of a block.
BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176),
          14: (256, 210)}


def shrink(config):
    """The same kind of model, as small as can be."""
    layers = 2 if "sliding_window" in config and config["sliding_window"] else 1
    changes = dict(vocab_size=len(TOKENS), hidden_size=WIDTH, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD,
                   intermediate_size=HIDDEN, num_hidden_layers=layers, max_position_embeddings=CONTEXT, moe_intermediate_size=HIDDEN,
                   num_local_experts=EXPERTS, num_experts_per_tok=EXPERTS_USED, layer_types=["sliding_attention", "full_attention"][-layers:],
                   no_rope_layers=[1] * layers)
    return {k: changes.get(k, v) for k, v in config.items()} | {"head_dim": HEAD}


def tensors(config):
    """Name in transformers, name in GGUF, shape; experts are apart in the one, and stacked in the other, which has None elsewhere."""
    kind, vocabulary = config["model_type"], config["vocab_size"]
    yield "model.embed_tokens", "token_embd", [vocabulary, WIDTH]
    yield "model.norm", "output_norm", [WIDTH]
    if not config["tie_word_embeddings"]:
        yield "lm_head", "output", [vocabulary, WIDTH]
    post = kind == "gemma3_text"
    for i in range(config["num_hidden_layers"]):
        ours, theirs = f"model.layers.{i}.", f"blk.{i}."
        yield ours + "input_layernorm", theirs + "attn_norm", [WIDTH]
        yield ours + "post_attention_layernorm", theirs + ("post_attention_norm" if post else "ffn_norm"), [WIDTH]
        if post:
            yield ours + "pre_feedforward_layernorm", theirs + "ffn_norm", [WIDTH]
            yield ours + "post_feedforward_layernorm", theirs + "post_ffw_norm", [WIDTH]
        for letter, name, rows in ("q", "attn_q", HEADS * HEAD), ("k", "attn_k", KV_HEADS * HEAD), ("v", "attn_v", KV_HEADS * HEAD):
            yield ours + f"self_attn.{letter}_proj", theirs + name, [rows, WIDTH]
            if kind == "qwen2":
                yield ours + f"self_attn.{letter}_proj.bias", theirs + name + ".bias", [rows]
            if letter != "v" and kind in ("qwen3", "qwen3_moe", "gemma3_text"):
                yield ours + f"self_attn.{letter}_norm", theirs + f"attn_{letter}_norm", [HEAD]
        yield ours + "self_attn.o_proj", theirs + "attn_output", [WIDTH, HEADS * HEAD]
        parts = [("gate", [HIDDEN, WIDTH]), ("up", [HIDDEN, WIDTH]), ("down", [WIDTH, HIDDEN])]
        if kind == "qwen3_moe":
            yield ours + "mlp.gate", theirs + "ffn_gate_inp", [EXPERTS, WIDTH]
            for part, shape in parts:
                yield None, theirs + f"ffn_{part}_exps", [EXPERTS, *shape]
                for e in range(EXPERTS):
                    yield ours + f"mlp.experts.{e}.{part}_proj", None, shape
        else:
            for part, shape in parts:
                yield ours + f"mlp.{part}_proj", theirs + f"ffn_{part}", shape


def full(name):
    return name if name.endswith(".bias") else name + ".weight"


def count(shape):
    result = 1
    for extent in shape:
        result *= extent
    return result


def safetensors(shapes, dtypes):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for i, (name, shape) in enumerate(shapes):
        dtype, width = dtypes[i % len(dtypes)]
        end = at + count(shape) * width
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(i % 251 for i in range(at))


def directory(config, model, index):
    return json.dumps(config, separators=(",", ":")).encode() + b"\0" + index + b"\0" + model


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def value(kind, content):
    if kind == STRING:
        return string(content)
    if kind == ARRAY:
        element, items = content
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<?", I32: "<i"}[kind], content)


def gguf(keys, shapes, version=3, alignment=32):
    """`shapes` has name, GGML's number of the type, and the shape, rows first."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(shapes), len(keys))
    for name, kind, content in keys:
        head += string(name) + struct.pack("<I", kind) + value(kind, content)
    data = b""
    for name, kind, shape in shapes:
        elements, size = BLOCKS[kind]
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, len(data))
        data += bytes(i % 251 for i in range(count(shape) // elements * size))
        data += bytes(-len(data) % alignment)
    return head + bytes(-len(head) % alignment) + data


def vocabulary(kind):
    t = "tokenizer.ggml."
    if kind == "llama":
        return [(t + "model", STRING, "llama"), (t + "tokens", ARRAY, (STRING, TOKENS)),
                (t + "scores", ARRAY, (F32, [-float(i) for i in range(len(TOKENS))])),
                (t + "token_type", ARRAY, (I32, [2, 3, 3] + [1] * (len(TOKENS) - 3))), (t + "bos_token_id", U32, 1), (t + "add_bos_token", BOOL, True)]
    return [(t + "model", STRING, "gpt2"), (t + "pre", STRING, "smollm"), (t + "tokens", ARRAY, (STRING, BYTE_TOKENS)),
            (t + "merges", ARRAY, (STRING, ["l o", "l l"])), (t + "token_type", ARRAY, (I32, [3] + [1] * (len(BYTE_TOKENS) - 1))),
            (t + "eos_token_id", U32, 0), ("tokenizer.chat_template", STRING, "{{ messages[0].content }}")]


def gguf_of(config, kinds, version):
    name = GGUF_NAMES[config["model_type"]]
    numbers = dict(context_length=CONTEXT, embedding_length=WIDTH, block_count=config["num_hidden_layers"], feed_forward_length=HIDDEN)
    numbers |= {"attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS, "attention.key_length": HEAD, "attention.value_length": HEAD,
                "rope.dimension_count": HEAD}
    if name == "gemma3":
        numbers["attention.sliding_window"] = config["sliding_window"]
    if name == "qwen3moe":
        numbers |= dict(expert_count=EXPERTS, expert_used_count=EXPERTS_USED, expert_feed_forward_length=HIDDEN)
    keys = [("general.architecture", STRING, name), ("general.alignment", U32, 32)]
    keys += [(f"{name}.{key}", U32, number) for key, number in numbers.items()]
    keys += [(f"{name}.attention.layer_norm_rms_epsilon", F32, 1e-5), (f"{name}.rope.freq_base", F32, 1e4)]
    shapes = [(full(gguf), 0 if len(shape) == 1 else kinds[i % len(kinds)], shape) for i, (_, gguf, shape) in enumerate(tensors(config)) if gguf]
    if config["rope_parameters"].get("rope_type") == "llama3":
        shapes.append(("rope_freqs.weight", 0, [HEAD // 2]))
    return gguf(keys + vocabulary("llama" if name in ("llama", "gemma3") else "gpt2"), shapes, version)


def write(folder, name, content):
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / name).write_bytes(content)


def main():
    for i, golden in enumerate(sorted(GOLDENS.iterdir())):
        config = shrink(json.loads((golden / "config.json").read_text()))
        named = [(full(name), shape) for name, _, shape in tensors(config) if name]
        model = safetensors(named, [("BF16", 2), ("F32", 4), ("F16", 2)][i % 3:][:1])
        index = json.dumps({"weight_map": {name: "model.safetensors" for name, _ in named[:2]}}).encode() if i % 2 else b""
        write("transformers_directory_fuzz_seeds", golden.name, directory(config, model, index))
        write("gguf_fuzz_seeds", golden.name, gguf_of(config, [[0], [1], [30]][i % 3], 2 + i % 2))
    # Every type of weight, and those of other formats.
    write("gguf_fuzz_seeds", "types", gguf([], [(f"t{kind}", kind, [1, elements]) for kind, (elements, _) in BLOCKS.items()]))
    write("gguf_fuzz_seeds", "vocabulary", gguf(vocabulary("gpt2"), []))
    types = [("F64", 8), ("I64", 8), ("I8", 1), ("BOOL", 1), ("F8_E4M3", 1), ("U16", 2), ("BF16", 2)]
    write("safetensors_fuzz_seeds", "types", safetensors([(f"t{i}", [[], [2], [2, 3], [1, 2, 3, 4], [0]][i % 5]) for i in range(10)], types))
    write("safetensors_fuzz_seeds", "model", model)
    write("safetensors_fuzz_seeds", "empty", safetensors([], types))


if __name__ == "__main__":
    main()
