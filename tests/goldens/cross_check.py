# SPDX-License-Identifier: Apache-2.0
"""Checks the reference by judges that did not write it: run once per judge, in the judge's environment.

    python cross_check.py llama_cpp SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz SCRATCH.gguf
    python cross_check.py transformers SmolLM2-135M-Instruct.Q4_1.gguf ALL_LOGITS.npz

ALL_LOGITS.npz is what make_logits.py leaves. llama.cpp computes from a file with the same weights dequantised to F32, with f32
keys and values; transformers dequantises the GGUF itself and computes in float32.
"""
import pathlib
import struct
import sys

import numpy as np

import llama_reference


def read_prompts(path: pathlib.Path):
    """Token ids and positions of every prompt of the golden file."""
    data, at = path.read_bytes(), 32
    _, count, _, top, drawn = struct.unpack_from("<QIIII", data, 8)
    for _ in range(count):
        tokens, positions = struct.unpack_from("<II", data, at)
        at += 8
        ids = np.frombuffer(data, "<u2", tokens + positions, at).tolist()
        at += 2 * (tokens + positions) + positions * (top * 6 + drawn * 4)
        yield ids[:tokens], ids[tokens:]


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


def by_llama_cpp(model: str, scratch: str, prompts):
    import llama_cpp_judge

    write_dequantised(llama_reference.Gguf(model), scratch)
    judge = llama_cpp_judge.Judge(scratch, kv="f32")
    for tokens, positions in prompts:
        yield judge.prompt_logits(tokens, positions)


def by_transformers(model: str, prompts):
    import torch
    from transformers import AutoModelForCausalLM

    path = pathlib.Path(model)
    network = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    for tokens, positions in prompts:
        with torch.no_grad():
            yield network(torch.tensor([tokens])).logits[0, positions].double().numpy()


def main():
    judge, model, reference, *rest = sys.argv[1:]
    prompts = list(read_prompts(pathlib.Path(__file__).parent / "logits" / "smollm2_q4_1.bin"))
    rows = by_llama_cpp(model, rest[0], prompts) if judge == "llama_cpp" else by_transformers(model, prompts)
    stored = np.load(reference)
    mean, largest, argmax, positions = [], 0.0, 0, 0
    for i, theirs in enumerate(rows):
        ours = stored[f"arr_{i}"]
        difference = np.abs(theirs - ours)
        mean.append(difference.mean())
        largest = max(largest, difference.max())
        argmax += int((theirs.argmax(1) != ours.argmax(1)).sum())
        positions += len(ours)
    print(f"{judge}: {positions} positions, all logits: mean {np.mean(mean):.3g}, max {largest:.3g}, argmax differs at {argmax}")


if __name__ == "__main__":
    main()
