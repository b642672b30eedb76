// SPDX-License-Identifier: Apache-2.0
// Speed of the host executor on a model: prompt, and decode at several batch sizes. One JSON object a line.
//   executor_bench MODEL [--format f32|bf16|q8_0] [--threads N] [--simd PATH] [--prompt N] [--context N] [--batch N]
//                  [--steps N] [--runs N]
// --prompt 0 leaves the prompt out, --batch is the largest batch. The read rate is that of a buffer of the bytes that a
// decode step of one sequence reads: weights, and the keys and values of its context.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/host/host_executor.hpp"
#include "gpu/host/host_weights.hpp"
#include "gpu/model/checkpoint.hpp"
#include "tests/bench/read_rate.hpp"

namespace {

using namespace troupe;
using clock_type = std::chrono::steady_clock;

constexpr std::uint32_t block_tokens = 16;

struct bench_options {
  std::string model;
  std::uint32_t threads = 0;
  std::optional<gpu::host::simd_path> simd;
  gpu::host::weight_format format = gpu::host::weight_format::as_stored;
  std::uint32_t prompt = 512;
  std::uint32_t context = 128;
  std::uint32_t batch = 8;
  std::uint32_t steps = 32;
  std::uint32_t runs = 5;
};

/// Processor time of the whole process: on a busy machine it says what the wall clock cannot.
double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds(clock_type::duration d) { return std::chrono::duration<double>(d).count(); }

struct spread {
  double median = 0;
  double mad = 0;
};

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

spread spread_of(const std::vector<double>& values) {
  spread result{median_of(values), 0};
  std::vector<double> distances;
  for (double v : values)
    distances.push_back(std::abs(v - result.median));
  result.mad = median_of(distances);
  return result;
}

/// Bytes of weights that a token reads: of an embedding that is not the head, one row. All experts count.
std::uint64_t bytes_read(const gpu::host::host_weights& weights) {
  const auto& embedding = weights.embedding();
  const bool is_tied = embedding.data == weights.head().data;
  return weights.bytes() - (is_tied ? 0 : embedding.groups() * embedding.group_bytes);
}

/// Bytes of keys and values that a token at this position reads.
std::uint64_t kv_bytes_read(const gpu::host::host_weights& weights, std::uint32_t position) {
  const auto& config = weights.config();
  std::uint64_t positions = 0;
  for (const auto& layer : config.layers)
    positions += layer.window == 0 ? position : std::min(position, layer.window);
  return positions * 2 * config.kv_width() * sizeof(float);
}

/// Submits a step and waits for it.
class driver {
public:
  explicit driver(gpu::executor& executor) : executor_(executor) {
    executor.on_done([this](gpu::step_result r) { done_.set_value(std::move(r)); });
  }

  gpu::step_result run(gpu::step s) {
    s.id.value = ++last_;
    done_ = {};
    auto result = done_.get_future();
    if (const auto code = executor_.submit(std::move(s)); code != gpu::errc::none)
      fail(gpu::to_string(code), "the step was refused");
    auto r = result.get();
    if (r.code != gpu::errc::none)
      fail(gpu::to_string(r.code), r.context);
    return r;
  }

private:
  [[noreturn]] static void fail(std::string_view code, std::string_view context) {
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(code.size()), code.data(), static_cast<int>(context.size()),
                 context.data());
    std::exit(1);
  }

  gpu::executor& executor_;
  std::promise<gpu::step_result> done_;
  std::uint64_t last_ = 0;
};

/// Adds a row for sequence `slot`, whose blocks lie one behind another.
void add_row(gpu::step& s, std::uint32_t slot, std::uint32_t position, std::uint32_t count, std::uint32_t blocks_each) {
  gpu::row r{.slot = {slot},
             .position = position,
             .tokens_begin = static_cast<std::uint32_t>(s.tokens.size()),
             .tokens_count = count,
             .tables = {},
             .want = gpu::row_want::sample};
  for (std::uint32_t i = 0; i < count; ++i)
    s.tokens.push_back((position + i * 7 + slot * 31) % 400 + 3);
  const auto blocks = (position + count + block_tokens - 1) / block_tokens;
  // The same in each cache group.
  r.tables.fill({static_cast<std::uint32_t>(s.blocks.size()), blocks});
  for (std::uint32_t b = 0; b < blocks; ++b)
    s.blocks.push_back(slot * blocks_each + b);
  s.rows.push_back(r);
}

/// Tokens per second of wall clock and of processor time, of each run.
class rates {
public:
  void add(std::uint32_t tokens, double wall_s, double cpu_s) {
    wall_.push_back(tokens / wall_s);
    cpu_.push_back(tokens / cpu_s);
  }
  double last() const { return wall_.back(); }
  void print(const gpu::executor& executor, std::uint32_t threads, const char* what, std::uint32_t batch,
             std::uint32_t context) const {
    const auto wall = spread_of(wall_);
    const auto cpu = spread_of(cpu_);
    std::printf(R"({"bench":"%s","engine":"%s","threads":%u,"batch":%u,"context":%u,"tokens_per_s":%.1f,"mad":%.1f,)"
                R"("tokens_per_cpu_s":%.1f,"runs":%zu})"
                "\n",
                what, executor.info().description.c_str(), threads, batch, context, wall.median, wall.mad, cpu.median,
                wall_.size());
    std::fflush(stdout);
  }

private:
  std::vector<double> wall_, cpu_;
};

std::optional<bench_options> parse(int argc, char** argv) {
  bench_options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    const auto number = [&] { return static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10)); };
    if (word.starts_with("--") && value == nullptr)
      return std::nullopt;
    if (word == "--threads")
      o.threads = number(), ++i;
    else if (word == "--prompt")
      o.prompt = number(), ++i;
    else if (word == "--context")
      o.context = number(), ++i;
    else if (word == "--batch")
      o.batch = number(), ++i;
    else if (word == "--runs")
      o.runs = std::max(number(), 1u), ++i;
    else if (word == "--steps")
      o.steps = number(), ++i;
    else if (word == "--simd") {
      o.simd = gpu::host::simd_path_from_string(value), ++i;
      if (!o.simd)
        return std::nullopt;
    } else if (word == "--format")
      o.format = gpu::host::weight_format_from_string(value).value_or(o.format), ++i;
    else
      o.model = word;
  }
  return o.model.empty() ? std::nullopt : std::optional{o};
}

} // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options)
    return std::fprintf(
             stderr,
             "usage: executor_bench MODEL [--format FORMAT] [--threads N] [--simd PATH] [--prompt N] [--context N]"
             " [--batch N] [--steps N] [--runs N]\n"),
           1;
  auto files = gpu::checkpoint::open(options->model);
  if (!files)
    return std::fprintf(stderr, "%s\n", files.error().context.c_str()), 2;
  const auto load_begin = clock_type::now();
  auto model = files->describe();
  if (!model)
    return std::fprintf(stderr, "%s\n", model.error().context.c_str()), 2;
  auto weights = gpu::host::host_weights::load(*model, options->format);
  if (!weights)
    return std::fprintf(stderr, "%s\n", weights.error().context.c_str()), 2;
  std::printf(R"({"bench":"load","seconds":%.3f,"packed_bytes":%llu})"
              "\n",
              seconds(clock_type::now() - load_begin), static_cast<unsigned long long>((*weights)->bytes()));
  auto pool = gpu::host::compute_pool::make(options->threads);
  const std::uint32_t batch_max = std::max(options->batch, 1u);
  const auto context = options->context;
  const std::uint32_t tokens_max = std::max(options->prompt, context + options->steps);
  const std::uint32_t blocks_each = (tokens_max + block_tokens - 1) / block_tokens;
  auto made = gpu::host::make_host_executor(
    *weights, *pool, {.kv_blocks = blocks_each * batch_max, .tokens_max = 8192, .simd = options->simd});
  if (!made)
    return std::fprintf(stderr, "%s\n", made.error().context.c_str()), 3;
  auto& executor = **made;
  driver drive{executor};
  sampling_options greedy;
  greedy.temperature = 0;
  for (std::uint32_t slot = 0; slot < batch_max; ++slot)
    executor.open({slot}, greedy, {}, 0);

  rates prompt;
  for (std::uint32_t i = 0; options->prompt != 0 && i < options->runs; ++i) {
    gpu::step s;
    add_row(s, 0, 0, options->prompt, blocks_each);
    const auto cpu = cpu_seconds();
    const auto r = drive.run(std::move(s));
    prompt.add(options->prompt, seconds(r.computed), cpu_seconds() - cpu);
  }
  if (options->prompt != 0)
    prompt.print(executor, (*pool)->threads(), "prompt", 1, options->prompt);

  const auto step_bytes = bytes_read(**weights) + kv_bytes_read(**weights, context);
  const bench::read_rate rate{step_bytes, (*pool)->threads()};
  for (std::uint32_t slot = 0; slot < batch_max; ++slot) {
    gpu::step s;
    add_row(s, slot, 0, context, blocks_each);
    drive.run(std::move(s));
  }
  std::vector<double> read, shares; // before and after each run, since memory that others use as well is not steady
  for (std::uint32_t batch = 1; batch <= batch_max; batch *= 2) {
    rates decode;
    for (std::uint32_t i = 0; i < options->runs; ++i) {
      const double before = batch == 1 ? rate.measure() : 0;
      const auto begin = clock_type::now();
      const auto cpu = cpu_seconds();
      for (std::uint32_t k = 0; k < options->steps; ++k) {
        gpu::step s;
        for (std::uint32_t slot = 0; slot < batch; ++slot)
          add_row(s, slot, context + k, 1, blocks_each);
        drive.run(std::move(s));
      }
      decode.add(batch * options->steps, seconds(clock_type::now() - begin), cpu_seconds() - cpu);
      if (batch == 1) {
        read.push_back((before + rate.measure()) / 2);
        shares.push_back(decode.last() * static_cast<double>(step_bytes) / read.back());
      }
    }
    decode.print(executor, (*pool)->threads(), "decode", batch, context);
    if (batch == 1) {
      const auto share = spread_of(shares);
      std::printf(
        R"({"bench":"read","threads":%u,"bytes":%llu,"bytes_per_s":%.4g,"share_of_it_that_decode_reads":%.2f,"mad":%.2f})"
        "\n",
        (*pool)->threads(), static_cast<unsigned long long>(step_bytes), median_of(read), share.median, share.mad);
    }
  }
}
