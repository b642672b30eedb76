# SPDX-License-Identifier: Apache-2.0
"""A Llama forward pass in numpy float64, from a GGUF file's dequantised weights: the reference of the logits.

Nothing is rounded on the way: weights are dequantised as their formats define (in float32, as ggml does), then everything
is float64, so that the reference's own error (1e-12) is far below that of any float32 computation.
"""
import mmap
import struct

import numpy as np

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
F32, Q4_1, Q8_0 = 0, 3, 8


class Gguf:
    """Metadata and tensors of a GGUF v3 file."""

    def __init__(self, path: str):
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.at = 8
        assert self.bytes[:4] == b"GGUF"
        tensors, keys = self.scalar(10), self.scalar(10)
        self.metadata = {self.string(): self.value(self.scalar(4)) for _ in range(keys)}
        self.infos = {}
        self.infos_at = self.at
        for _ in range(tensors):
            name = self.string()
            shape = [self.scalar(10) for _ in range(self.scalar(4))]
            self.infos[name] = (shape, self.scalar(4), self.scalar(10))
        alignment = self.metadata.get("general.alignment", 32)
        self.data = (self.at + alignment - 1) // alignment * alignment

    def scalar(self, kind: int):
        value = struct.unpack_from(SCALARS[kind], self.bytes, self.at)[0]
        self.at += struct.calcsize(SCALARS[kind])
        return value

    def string(self) -> str:
        size = self.scalar(10)
        self.at += size
        return self.bytes[self.at - size : self.at].decode("utf-8", "surrogateescape")

    def value(self, kind: int):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element, count = self.scalar(4), self.scalar(10)
            return [self.value(element) for _ in range(count)]
        return self.scalar(kind)

    def tensor(self, name: str) -> np.ndarray:
        """float32, rows first: [outputs, inputs] of a matrix."""
        shape, kind, offset = self.infos[name]
        count, start = int(np.prod(shape)), self.data + offset
        if kind == F32:
            flat = np.frombuffer(self.bytes, np.float32, count, start)
        elif kind == Q4_1:  # 32 elements: f16 d, f16 m, 16 bytes; low nibbles are elements 0..15
            blocks = np.frombuffer(self.bytes, np.dtype("<f2,<f2,(16,)u1"), count // 32, start)
            q = np.concatenate([blocks["f2"] & 15, blocks["f2"] >> 4], axis=1).astype(np.float32)
            flat = q * blocks["f0"].astype(np.float32)[:, None] + blocks["f1"].astype(np.float32)[:, None]
        elif kind == Q8_0:  # 32 elements: f16 d, 32 signed bytes
            blocks = np.frombuffer(self.bytes, np.dtype("<f2,(32,)i1"), count // 32, start)
            flat = blocks["f1"].astype(np.float32) * blocks["f0"].astype(np.float32)[:, None]
        else:
            raise SystemExit(f"{name}: tensor type {kind} is not known here")
        return flat.reshape(shape[::-1])


class Llama:
    def __init__(self, file: Gguf, dtype=np.float64):
        meta = lambda key: file.metadata["llama." + key]
        self.dtype = dtype
        self.layers, self.heads, self.kv_heads = meta("block_count"), meta("attention.head_count"), meta("attention.head_count_kv")
        self.epsilon = dtype(meta("attention.layer_norm_rms_epsilon"))
        self.rope_base = meta("rope.freq_base") if "llama.rope.freq_base" in file.metadata else 10000.0
        weight = lambda name: file.tensor(name + ".weight").astype(dtype)
        self.embedding = weight("token_embd")
        self.head = weight("output") if "output.weight" in file.infos else self.embedding
        self.final_norm = weight("output_norm")
        parts = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
        self.blocks = [{part: weight(f"blk.{i}.{part}") for part in parts} for i in range(self.layers)]

    def norm(self, x, weight):
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon) * weight

    def rope(self, x):
        """x[position, head, width]: turns the pairs (2i, 2i + 1), as GGUF's permuted Llama weights want."""
        width = x.shape[-1]
        angle = np.arange(len(x))[:, None] * self.rope_base ** (-np.arange(0, width, 2, dtype=np.float64) / width)
        cos, sin = np.cos(angle).astype(self.dtype)[:, None], np.sin(angle).astype(self.dtype)[:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = np.empty_like(x)
        turned[..., 0::2] = even * cos - odd * sin
        turned[..., 1::2] = even * sin + odd * cos
        return turned

    def attention(self, x, block):
        count, width = len(x), block["attn_q"].shape[0] // self.heads
        q = self.rope((x @ block["attn_q"].T).reshape(count, self.heads, width))
        k = self.rope((x @ block["attn_k"].T).reshape(count, self.kv_heads, width))
        v = (x @ block["attn_v"].T).reshape(count, self.kv_heads, width)
        future = np.triu(np.ones((count, count), dtype=bool), 1)
        out = np.empty_like(q)
        for head in range(self.heads):
            shared = head * self.kv_heads // self.heads
            score = q[:, head] @ k[:, shared].T / np.sqrt(self.dtype(width))
            score[future] = -np.inf
            e = np.exp(score - score.max(axis=1, keepdims=True))
            out[:, head] = e / e.sum(axis=1, keepdims=True) @ v[:, shared]
        return out.reshape(count, -1) @ block["attn_output"].T

    def logits(self, tokens: list[int], positions: list[int]) -> np.ndarray:
        """[len(positions), vocabulary] after each of `positions` (from 0) of one sequence."""
        x = self.embedding[tokens]
        for block in self.blocks:
            x = x + self.attention(self.norm(x, block["attn_norm"]), block)
            h = self.norm(x, block["ffn_norm"])
            gate = h @ block["ffn_gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ block["ffn_up"].T)) @ block["ffn_down"].T
        return self.norm(x[positions], self.final_norm) @ self.head.T
