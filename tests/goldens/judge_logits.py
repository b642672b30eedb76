# SPDX-License-Identifier: Apache-2.0
"""Compares a judge's logits with the reference's, at all positions of logits/smollm2_q4_1.bin. Each in its own environment:

    python judge_logits.py llama_cpp    SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz    writes logits/llama_cpp_errors.json
    python judge_logits.py dequantised  SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz SCRATCH.gguf
    python judge_logits.py transformers SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz

llama_cpp says how far an engine that quantises activations is off, the bound for fast paths. The other two check the
reference: llama.cpp on the same weights in F32 with f32 keys and values, and transformers, which reads the GGUF by itself.
"""
import json
import pathlib
import struct
import sys

import numpy as np

import llama_reference
from make_logits import OUT, TOP, compared_ids, read_prompts


def errors(prompts, reference, judged) -> dict:
    """How far `judged` is off, over the compared logits and over all; argmax differences with the reference's gap there."""
    compared, everything, gaps = [], [], []
    for i, ((_, positions), rows, theirs) in enumerate(zip(prompts, reference, judged)):
        for position, row, other in zip(positions, rows, theirs):
            difference = np.abs(other - row)
            compared.append(difference[compared_ids(i, position, row)])
            everything.append((difference.mean(), difference.max()))
            if other.argmax() != row.argmax():
                gaps.append(float(row.max() - row[other.argmax()]))
    compared, everything = np.array(compared), np.array(everything)
    return {
        "compared": {"mean_abs": float(compared.mean()), "max_abs": float(compared.max()),
                     "mean_abs_largest_64": float(compared[:, :TOP].mean()), "mean_abs_drawn_64": float(compared[:, TOP:].mean())},
        "all_logits": {"mean_abs": float(everything[:, 0].mean()), "max_abs": float(everything[:, 1].max())},
        "argmax_differences": len(gaps),
        "argmax_differences_with_gap_above_0.25": sum(gap > 0.25 for gap in gaps),
        "largest_gap_at_a_difference": max(gaps, default=0.0),
    }


def write_dequantised(source: llama_reference.Gguf, target: str):
    """The same file with every tensor in F32."""
    with open(target, "wb") as out:
        out.write(source.bytes[: source.infos_at])
        offset = 0
        for name, (shape, _, _) in source.infos.items():
            raw = name.encode()
            out.write(struct.pack("<Q", len(raw)) + raw + struct.pack("<I", len(shape)))
            out.write(struct.pack(f"<{len(shape)}QIQ", *shape, llama_reference.F32, offset))
            offset += (int(np.prod(shape)) * 4 + 31) // 32 * 32
        out.write(b"\0" * (-out.tell() % 32))
        for name in source.infos:
            out.write(source.tensor(name).tobytes())
            out.write(b"\0" * (-out.tell() % 32))


def by_llama_cpp(model: str, exactness: str, prompts):
    from llama_cpp_judge import Judge

    judge = Judge(model, exactness)
    return (judge.logits(tokens, positions) for tokens, positions in prompts)


def by_transformers(model: str, prompts):
    import torch
    from transformers import AutoModelForCausalLM

    path = pathlib.Path(model)
    network = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    for tokens, positions in prompts:
        with torch.no_grad():
            yield network(torch.tensor([tokens])).logits[0, positions].double().numpy()


def main():
    judge, model, all_logits, *scratch = sys.argv[1:]
    prompts = read_prompts()
    stored = np.load(all_logits)
    reference = [stored[f"arr_{i}"] for i in range(len(prompts))]
    compare = lambda judged: errors(prompts, reference, judged)
    if judge == "transformers":
        print(json.dumps(compare(by_transformers(model, prompts)), indent=2))
    elif judge == "dequantised":
        write_dequantised(llama_reference.Gguf(model), scratch[0])
        print(json.dumps(compare(by_llama_cpp(scratch[0], "f32", prompts)), indent=2))
    else:
        import llama_cpp_judge

        report = {"judge": llama_cpp_judge.VERSION, "positions": sum(len(positions) for _, positions in prompts)}
        report |= {name: compare(by_llama_cpp(model, name, prompts)) for name in ("default", "f32")}
        text = json.dumps(report, indent=2)
        OUT.joinpath("llama_cpp_errors.json").write_text(text + "\n")
        print(text)


if __name__ == "__main__":
    main()
