# SPDX-License-Identifier: Apache-2.0
"""What executor_bench measures, measured of llama.cpp: one JSON object a line.

    llama_cpp_bench.py MODEL.gguf [--threads N]      needs llama-cpp-python

Same token counts and contexts, wall clock around llama_decode, medians of five; f16 keys and values, as llama.cpp has them by default.
"""
import argparse
import json
import statistics
import time

import llama_cpp

RUNS, PROMPT, CONTEXT, STEPS, SEQUENCES = 5, 512, 128, 32, 8
QUIET = llama_cpp.llama_log_callback(lambda *_: None)  # kept, since C calls it


class Engine:
    def __init__(self, path, threads):
        llama_cpp.llama_log_set(QUIET, None)
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = 4096
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_seq_max = SEQUENCES
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        self.memory = llama_cpp.llama_get_memory(self.context)

    def clear(self):
        llama_cpp.llama_memory_clear(self.memory, True)

    def decode(self, rows):
        """rows: (sequence, position, token); the last of each sequence gets logits."""
        batch = llama_cpp.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (sequence, position, token) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = i + 1 == len(rows) or rows[i + 1][0] != sequence
        begin = time.perf_counter()
        status = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_synchronize(self.context)
        seconds = time.perf_counter() - begin
        llama_cpp.llama_batch_free(batch)
        assert status == 0, status
        return seconds


def token_at(sequence, position):
    return (position * 7 + sequence * 31) % 400 + 3


def show(what, batch, context, rates, threads):
    median = statistics.median(rates)
    print(json.dumps({"bench": what, "engine": f"llama.cpp ({llama_cpp.__version__})", "threads": threads, "batch": batch, "context": context,
                      "tokens_per_s": round(median, 1), "mad": round(statistics.median(abs(r - median) for r in rates), 1), "runs": len(rates)}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    engine = Engine(options.model, options.threads)

    def prompt(sequence, length):
        return engine.decode([(sequence, p, token_at(sequence, p)) for p in range(length)])

    rates = []
    for _ in range(RUNS):
        engine.clear()
        rates.append(PROMPT / prompt(0, PROMPT))
    show("prompt", 1, PROMPT, rates, options.threads)
    for batch in (1, 2, 4, 8):
        rates = []
        for _ in range(RUNS):
            engine.clear()
            for sequence in range(batch):
                prompt(sequence, CONTEXT)
            seconds = sum(engine.decode([(s, CONTEXT + k, token_at(s, CONTEXT + k)) for s in range(batch)]) for k in range(STEPS))
            rates.append(batch * STEPS / seconds)
        show("decode", batch, CONTEXT, rates, options.threads)


if __name__ == "__main__":
    main()
