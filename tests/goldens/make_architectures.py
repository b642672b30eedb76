# SPDX-License-Identifier: Apache-2.0
"""Writes architectures/NAME: a tiny random checkpoint of each architecture as transformers saves it, and its logits.

    DIR/python make_architectures.py [NAME …]     with transformers on CPU torch

tests/long/live_logits.py writes others, from another seed.

Weights are normal numbers of deviation 0.2 from a fixed seed, rounded to bf16 as they are stored; norms are near 1. The logits are of a forward
pass in f32 over them: for two prompts, of every position, as f32 in prompt_N.logits beside prompt_N.json with the tokens.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import transformers as tf

OUT = pathlib.Path(__file__).parent / "architectures"
SEED = 20261124
DEVIATION = 0.2
#: Longer than a few KV blocks and than every window; and one that ends in a block's middle.
PROMPT_TOKENS = [70, 21]

SMALL = dict(vocab_size=152, hidden_size=60, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, intermediate_size=112,
             max_position_embeddings=256, initializer_range=DEVIATION, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)


def small(**changes):
    return {**SMALL, **changes}


MODELS = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**small(hidden_size=96, num_attention_heads=4, head_dim=24))),
    "llama3": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**small(
        head_dim=64, rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                          original_max_position_embeddings=64), tie_word_embeddings=True))),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**small(head_dim=32, sliding_window=24))),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**small(hidden_size=96))),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**small(head_dim=32, rope_theta=1e6))),
    "qwen3_moe": lambda: tf.Qwen3MoeForCausalLM(tf.Qwen3MoeConfig(**small(
        head_dim=32, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=48, norm_topk_prob=True))),
    "smollm3": lambda: tf.SmolLM3ForCausalLM(tf.SmolLM3Config(**small(hidden_size=96, num_hidden_layers=5))),
    # Tied, it would copy its input.
    "gemma3": lambda: tf.Gemma3ForCausalLM(tf.Gemma3TextConfig(**small(
        head_dim=32, num_hidden_layers=7, sliding_window=24, query_pre_attn_scalar=48, tie_word_embeddings=False))),
}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, weights in model.named_parameters():
        values = torch.randn(weights.shape, generator=generator) * DEVIATION
        if "norm" in name:
            values += 0.0 if model.config.model_type.startswith("gemma3") else 1.0
        weights.data = values.to(torch.bfloat16).to(torch.float32)


def write(name, folder, seed):
    torch.manual_seed(seed)
    model = MODELS[name]().eval()
    randomise(model, seed)
    model.to(torch.bfloat16).save_pretrained(folder)
    # Read again, because that rounded rope's frequencies as well.
    model = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    for i, count in enumerate(PROMPT_TOKENS):
        tokens = torch.randint(3, model.config.vocab_size, (1, count), generator=torch.Generator().manual_seed(seed + i))
        with torch.no_grad():
            logits = model(tokens).logits[0].to(torch.float32).numpy()
        (folder / f"prompt_{i}.json").write_text(json.dumps(tokens[0].tolist()))
        (folder / f"prompt_{i}.logits").write_bytes(logits.astype("<f4").tobytes())
        top = np.sort(logits, axis=1)
        print(name, count, "largest", float(np.abs(logits).max()), "smallest gap", float((top[:, -1] - top[:, -2]).min()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        write(name, OUT / name, SEED)
