# SPDX-License-Identifier: Apache-2.0
"""What executor_bench measures, measured of llama.cpp: one JSON object a line.

    llama_cpp_bench.py MODEL.gguf [--threads N] [--prompt N] [--context N] [--batch N] [--steps N] [--runs N]      needs llama-cpp-python

Same token counts and contexts, wall clock around llama_decode, medians; f16 keys and values, as llama.cpp has them by default. --prompt 0 leaves the
prompt out.
"""
import argparse
import json
import statistics
import time

import llama_cpp

QUIET = llama_cpp.llama_log_callback(lambda *_: None)  # kept, since C calls it


class Engine:
    def __init__(self, path, threads, sequences, tokens_each):
        llama_cpp.llama_log_set(QUIET, None)
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = sequences * -(-tokens_each // 256) * 256
        parameters.n_batch = max(tokens_each, 512)
        parameters.n_ubatch = 512
        parameters.n_seq_max = sequences
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
    for name, default in (("threads", 2), ("prompt", 512), ("context", 128), ("batch", 8), ("steps", 32), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    engine = Engine(o.model, o.threads, o.batch, max(o.prompt, o.context + o.steps))

    def prompt(sequence, length):
        return engine.decode([(sequence, p, token_at(sequence, p)) for p in range(length)])

    rates = []
    for _ in range(o.runs if o.prompt else 0):
        engine.clear()
        rates.append(o.prompt / prompt(0, o.prompt))
    if rates:
        show("prompt", 1, o.prompt, rates, o.threads)
    for batch in (1 << i for i in range(o.batch.bit_length())):
        rates = []
        engine.clear()
        for sequence in range(batch):
            prompt(sequence, o.context)
        for _ in range(o.runs):
            seconds = 0
            for k in range(o.steps):
                seconds += engine.decode([(s, o.context + k, token_at(s, o.context + k)) for s in range(batch)])
            rates.append(batch * o.steps / seconds)
            for sequence in range(batch):  # back to the context
                llama_cpp.llama_memory_seq_rm(engine.memory, sequence, o.context, -1)
        show("decode", batch, o.context, rates, o.threads)


if __name__ == "__main__":
    main()
