// SPDX-License-Identifier: Apache-2.0
// Speed of the matrix kernels on one shape: bytes of weights per second for few tokens, beside the rate at which the
// same threads read a buffer of as many bytes, and operations per second for many. One JSON object a line.
//   matrix_bench [--threads N] [--simd PATH] [--rows N] [--columns N] [--type NAME] [--runs N]
// The default shape is that of an 1B Llama's gate and up projections, 4 layers of them so that no cache holds them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/host/compute_pool.hpp"
#include "gpu/host/mapped_memory.hpp"
#include "gpu/host/packed_matrix.hpp"
#include "tests/bench/read_rate.hpp"
#include "tests/support/splitmix64.hpp"

namespace {

using namespace troupe;
using namespace troupe::gpu;
using namespace troupe::gpu::host;
using clock_type = std::chrono::steady_clock;

struct bench_options {
  std::uint32_t threads = 0;
  std::optional<simd_path> simd;
  std::uint32_t rows = 65'536;
  std::uint32_t columns = 2048;
  std::string type;
  int runs = 9;
};

constexpr tensor_type types[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::bf16, tensor_type::q8_0,
                                 tensor_type::q4_0, tensor_type::q4_1, tensor_type::q5_0, tensor_type::q5_1,
                                 tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k};

/// Best and median of a few runs: on a shared machine the best says what the kernel can do.
struct timing {
  double best_s = 0;
  double median_s = 0;
};

template <class Function>
timing measure(int runs, Function f) {
  std::vector<double> seconds;
  for (int i = 0; i < runs; ++i) {
    const auto begin = clock_type::now();
    f();
    seconds.push_back(std::chrono::duration<double>(clock_type::now() - begin).count());
  }
  std::ranges::sort(seconds);
  return {seconds.front(), seconds[seconds.size() / 2]};
}

/// Weights of random bits with tame scales: the same group again and again, in memory of its own.
packed_view make_weights(tensor_type type, const bench_options& o, mapped_memory& memory) {
  test::splitmix64 random{1};
  const auto packing = packing_of(type);
  std::vector<std::byte> file(std::size_t{lanes} * o.columns / packing.elements * packing.bytes);
  for (auto& b : file)
    b = static_cast<std::byte>(random.next());
  // Exponents of f16, bf16 and f32 alike stay small if every byte that may hold one has few bits.
  for (std::size_t i = 0; i < file.size(); ++i)
    if (const auto at = i % packing.bytes; packing.elements == 1 || at < 4 || at > 207)
      file[i] &= std::byte{0x33};
  std::vector<std::byte> group(packed_bytes(type, lanes, o.columns));
  auto view = pack({"w", type, {o.columns, lanes, 1, 1}, file}, group.data());
  for (std::uint64_t at = 0; at + group.size() <= memory.bytes(); at += group.size())
    std::memcpy(memory.data() + at, group.data(), group.size());
  view.data = memory.data();
  view.rows = o.rows;
  return view;
}

class matrix_bench {
public:
  matrix_bench(const bench_options& o, compute_pool& pool, simd_path path)
    : o_(o), pool_(pool), path_(path), kernels_(kernels_of(path)), x_(std::size_t{product_tokens_max} * o.columns),
      stride_(o.columns + quant_columns), quants_((product_tokens_max + 15) * stride_),
      blocks_(quants_.size() / quant_columns), bfloats_(product_tokens_max * 3 * stride_),
      out_(std::size_t{product_tokens_max} * padded(o.rows)) {
    test::splitmix64 random{2};
    for (auto& x : x_)
      x = static_cast<float>(static_cast<double>(random.next() >> 40) * 0x1p-23 - 1);
  }

  void run(tensor_type type) {
    const auto bytes = packed_bytes(type, o_.rows, o_.columns);
    auto memory = mapped_memory::make(bytes);
    if (!memory)
      return;
    memory->prefer_huge_pages();
    const auto weights = make_weights(type, o_, *memory);
    const bench::read_rate buffer{bytes, pool_.threads()};
    std::vector<double> rates;
    for (int i = 0; i < o_.runs; ++i)
      rates.push_back(buffer.measure());
    std::ranges::sort(rates);
    const auto whole = static_cast<double>(bytes);
    const timing read{whole / rates.back(), whole / rates[rates.size() / 2]};
    for (std::uint32_t tokens : {1u, 2u, 4u, 8u, 16u, 64u, 256u})
      print(type, weights, tokens, bytes, read, measure(o_.runs, [&] { multiply(weights, tokens); }));
  }

private:
  quantised_rows row(std::size_t t) {
    return {quants_.data() + t * stride_, blocks_.data() + t * stride_ / quant_columns, stride_};
  }
  bfloat_parts parts(std::size_t t) { return {bfloats_.data() + t * 3 * stride_, stride_}; }

  void multiply(const packed_view& weights, std::uint32_t tokens) {
    const std::size_t stride = o_.columns;
    matrix_product product{.weights = weights,
                           .x = x_.data(),
                           .x_stride = stride,
                           .quantised = row(0),
                           .bfloats = parts(0),
                           .out = out_.data(),
                           .out_stride = padded(o_.rows),
                           .tokens = tokens};
    pool_.run([&] {
      pool_.parallel_for(tokens, 8, [&](auto begin, auto end, auto) {
        for (std::size_t t = begin; t < end; ++t)
          if (is_quantised(weights.type))
            kernels_.quantise(product.x + t * stride, o_.columns, tokens, row(t));
          else if (weights.type == packed_type::bf16 && kernels_.split_bfloats != nullptr)
            kernels_.split_bfloats(product.x + t * stride, o_.columns, parts(t));
      });
      pool_.parallel_for(weights.groups(), 2, [&](auto begin, auto end, auto) {
        auto part = product;
        part.group_begin = begin;
        part.group_end = end;
        kernels_.multiply(part);
      });
    });
  }

  void print(tensor_type type, const packed_view& weights, std::uint32_t tokens, std::uint64_t bytes, timing read,
             timing t) const {
    const double operations = 2.0 * weights.rows * weights.columns * tokens;
    std::printf(
      R"({"type":"%s","path":"%s","threads":%u,"tokens":%u,"read_gb_s":%.2f,"gb_s":%.2f,"share_of_read":%.2f,)"
      R"("gflop_s":%.1f,"median_gflop_s":%.1f,"median_share_of_read":%.2f})"
      "\n",
      to_string(type).c_str(), std::string{to_string(path_)}.c_str(), pool_.threads(), tokens,
      static_cast<double>(bytes) / read.best_s * 1e-9, static_cast<double>(bytes) / t.best_s * 1e-9,
      read.best_s / t.best_s, operations / t.best_s * 1e-9, operations / t.median_s * 1e-9, read.median_s / t.median_s);
    std::fflush(stdout);
  }

  const bench_options& o_;
  compute_pool& pool_;
  simd_path path_;
  const kernel_table& kernels_;
  std::vector<float> x_;
  std::size_t stride_; // of rounded and of split activations
  std::vector<std::int16_t> quants_;
  std::vector<activation_block> blocks_;
  std::vector<std::uint16_t> bfloats_;
  std::vector<float> out_;
};

std::optional<bench_options> parse(int argc, char** argv) {
  bench_options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view word = argv[i];
    const auto number = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (word == "--threads")
      o.threads = number;
    else if (word == "--rows")
      o.rows = number;
    else if (word == "--columns")
      o.columns = number;
    else if (word == "--runs")
      o.runs = static_cast<int>(number);
    else if (word == "--type")
      o.type = argv[i + 1];
    else if (word == "--simd") {
      o.simd = simd_path_from_string(argv[i + 1]);
      if (!o.simd)
        return std::nullopt;
    } else
      return std::nullopt;
  }
  const bool whole = o.rows > 0 && o.rows % lanes == 0 && o.columns > 0 && o.columns % 256 == 0 && o.runs > 0;
  return whole && argc % 2 == 1 ? std::optional{o} : std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options)
    return std::fprintf(stderr,
                        "usage: matrix_bench [--threads N] [--simd PATH] [--rows N, of 16] [--columns N, of 256] "
                        "[--type NAME] [--runs N]\n"),
           1;
  auto pool = compute_pool::make(options->threads);
  const auto path = choose_simd_path(options->simd);
  if (!pool || !path)
    return std::fprintf(stderr, "%s\n", (pool ? path.error() : pool.error()).context.c_str()), 2;
  matrix_bench bench{*options, **pool, *path};
  for (auto type : types)
    if (options->type.empty() || options->type == to_string(type))
      bench.run(type);
}
