# SPDX-License-Identifier: Apache-2.0
"""llama.cpp as a judge of logits, through llama-cpp-python's low-level interface."""
import ctypes

import llama_cpp
import numpy as np

VERSION = f"llama-cpp-python {llama_cpp.__version__}, CPU"
GGML_TYPE_F32 = 0
FLASH_ATTENTION_DISABLED = 0


class Judge:
    """One model and a context. exactness "default": f16 keys and values, flash attention; "f32": f32 keys and values, and no flash
    attention, which on the CPU rounds them to f16 whatever their type."""

    def __init__(self, path: str, exactness: str = "default", context: int = 2048, threads: int = 2):
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = context
        parameters.n_threads = parameters.n_threads_batch = threads
        if exactness == "f32":
            parameters.type_k = parameters.type_v = GGML_TYPE_F32
            parameters.flash_attn_type = FLASH_ATTENTION_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        if not self.model or not self.context:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text: str) -> list[int]:
        """Special tokens recognised, nothing added."""
        raw = text.encode()
        buffer = (llama_cpp.llama_token * (len(raw) + 16))()
        return list(buffer[: llama_cpp.llama_tokenize(self.vocab, raw, len(raw), buffer, len(buffer), False, True)])

    def logits(self, tokens: list[int], chosen: list[int]) -> np.ndarray:
        """[len(chosen), vocabulary] in float64; the prompt is one batch."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, i in chosen
            batch.seq_id[i][0] = 0
        status = llama_cpp.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode returned {status}")
        rows = []
        for i in chosen:
            row = ctypes.cast(llama_cpp.llama_get_logits_ith(self.context, i), ctypes.POINTER(ctypes.c_float))
            rows.append(np.ctypeslib.as_array(row, (self.vocabulary,)).astype(np.float64))
        llama_cpp.llama_batch_free(batch)
        return np.array(rows)
