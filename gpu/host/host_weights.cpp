// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/host_weights.hpp"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "gpu/host/cpu_count.hpp"
#include "gpu/host/packed_matrix.hpp"

namespace troupe::gpu::host {

namespace {

constexpr std::uint64_t matrix_alignment = 64;
/// Of a file, in one go of a thread.
constexpr std::uint64_t piece_bytes = std::uint64_t{4} << 20;
constexpr std::chrono::milliseconds progress_interval{100};

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + matrix_alignment - 1) / matrix_alignment * matrix_alignment;
}

} // namespace

/// Collects what is to be packed, then does so with several threads.
class weight_loader {
public:
  weight_loader(host_weights& out, weight_format format) : out_(out), format_(format) {}

  /// Where each matrix will lie, and all vectors.
  void lay_out(const model_description& model) {
    const auto& tensors = model.tensors;
    out_.config_ = model.config;
    add(tensors.embedding, out_.embedding_);
    if (tensors.head)
      add(*tensors.head, out_.head_);
    out_.output_norm_ = norm(tensors.output_norm);
    out_.layers_.resize(tensors.layers.size()); // jobs point into it
    for (std::size_t i = 0; i < tensors.layers.size(); ++i)
      lay_out(tensors.layers[i], out_.layers_[i]);
  }

  /// errc::resource if there is no memory or thread.
  expected<void, error> run(const std::function<void(load_progress)>& progress) {
    auto memory = mapped_memory::make(memory_bytes_);
    if (!memory)
      return unexpected{memory.error()};
    out_.memory_ = std::move(*memory);
    out_.memory_.prefer_huge_pages();
    for (auto& m : matrices_)
      split(m);
    const bool is_tied = out_.head_.data == nullptr;
    for (const auto& m : matrices_)
      if (is_tied || m.out != &out_.embedding_)
        out_.types_ |= 1u << static_cast<unsigned>(m.out->type);
    auto ok = run_threads(progress);
    if (is_tied)
      out_.head_ = out_.embedding_;
    return ok;
  }

  std::uint64_t hash() const {
    // Numbers one by one: structs may have padding.
    const auto& c = out_.config_;
    std::vector<std::uint64_t> numbers{hash_of(c.architecture.data(), c.architecture.size()),
                                       c.vocabulary,
                                       c.context_tokens,
                                       c.width,
                                       c.heads,
                                       c.kv_heads,
                                       c.head_width,
                                       c.hidden,
                                       c.experts.count,
                                       c.experts.used,
                                       c.experts.hidden,
                                       c.experts.normalised,
                                       static_cast<std::uint64_t>(c.pairs),
                                       static_cast<std::uint64_t>(format_)};
    for (const double number : {static_cast<double>(c.rms_epsilon), static_cast<double>(c.embedding_scale),
                                static_cast<double>(c.attention_scale)})
      numbers.push_back(hash_of(&number, sizeof number));
    for (const auto& rope : c.ropes) {
      numbers.push_back(hash_of(&rope.base, sizeof rope.base));
      numbers.push_back(hash_of(rope.divisors.data(), rope.divisors.size() * sizeof(double)));
    }
    for (const auto& layer : c.layers)
      numbers.insert(numbers.end(), {layer.window, layer.rope});
    numbers.insert(numbers.end(), vector_hashes_.begin(), vector_hashes_.end());
    for (const auto& m : matrices_)
      push_name_and_type(numbers, *m.source);
    for (const auto& one : pieces_)
      numbers.push_back(one.hash);
    return hash_of(numbers.data(), numbers.size() * sizeof numbers[0]);
  }

private:
  struct matrix {
    const tensor_info* source;
    packed_view* out;
    tensor_type type;
    std::uint64_t offset;
  };
  /// Neighbouring groups of rows of a matrix.
  struct piece {
    tensor_info source;
    tensor_type type;
    std::byte* out;
    std::uint64_t hash = 0;
  };

  static std::uint64_t hash_of(const void* data, std::size_t bytes) { return XXH3_64bits(data, bytes); }

  static void push_name_and_type(std::vector<std::uint64_t>& to, const tensor_info& tensor) {
    to.push_back(hash_of(tensor.name.data(), tensor.name.size()));
    to.push_back(static_cast<std::uint64_t>(tensor.type));
  }

  void add(const tensor_info& source, packed_view& out) {
    const auto type = converted_type(source.type, source.dims[0], format_);
    matrices_.push_back({&source, &out, type, memory_bytes_});
    memory_bytes_ += aligned(
      packed_bytes(type, static_cast<std::uint32_t>(source.dims[1]), static_cast<std::uint32_t>(source.dims[0])));
    state_.bytes_total += source.data.size();
  }

  std::vector<float> vector(const tensor_info& source) {
    push_name_and_type(vector_hashes_, source);
    vector_hashes_.push_back(hash_of(source.data.data(), source.data.size()));
    auto result = to_floats(source);
    result.resize(padded(static_cast<std::uint32_t>(result.size())));
    return result;
  }

  std::vector<float> norm(const tensor_info& source) {
    auto result = vector(source);
    if (out_.config_.norms_less_one)
      for (std::size_t i = 0; i < source.dims[0]; ++i)
        result[i] += 1;
    return result;
  }

  std::vector<float> norm(const std::optional<tensor_info>& source) {
    return source ? norm(*source) : std::vector<float>{};
  }

  void add(const projection_tensors& source, host_projection& out) {
    add(source.weight, out.weight);
    if (source.bias)
      out.bias = vector(*source.bias);
  }

  void lay_out(const layer_tensors& source, host_layer& out) {
    out.attention_norm = norm(source.attention_norm);
    out.query_norm = norm(source.query_norm);
    out.key_norm = norm(source.key_norm);
    out.post_attention_norm = norm(source.post_attention_norm);
    out.ffn_norm = norm(source.ffn_norm);
    out.post_ffn_norm = norm(source.post_ffn_norm);
    add(source.query, out.query);
    add(source.key, out.key);
    add(source.value, out.value);
    add(source.attention_out, out.attention_out);
    if (source.router)
      add(*source.router, out.router);
    out.ffn.resize(source.ffn.size());
    for (std::size_t i = 0; i < source.ffn.size(); ++i) {
      add(source.ffn[i].gate, out.ffn[i].gate);
      add(source.ffn[i].up, out.ffn[i].up);
      add(source.ffn[i].down, out.ffn[i].down);
    }
  }

  void split(const matrix& m) {
    const auto rows = static_cast<std::uint32_t>(m.source->dims[1]);
    const auto columns = static_cast<std::uint32_t>(m.source->dims[0]);
    const auto source_row = m.source->data.size() / rows;
    const auto group_bytes = packed_bytes(m.type, lanes, columns);
    auto* out = out_.memory_.data() + m.offset;
    *m.out = {out, packed_type_of(m.type), rows, columns, group_bytes};
    const auto step = std::max<std::uint64_t>(piece_bytes / (source_row * lanes), 1) * lanes;
    for (std::uint64_t row = 0; row < rows; row += step) {
      const auto count = std::min<std::uint64_t>(step, rows - row);
      piece one{*m.source, m.type, out + row / lanes * group_bytes};
      one.source.dims[1] = count;
      one.source.data = m.source->data.subspan(row * source_row, count * source_row);
      pieces_.push_back(std::move(one));
    }
  }

  static void carry_out(piece& p) {
    p.hash = hash_of(p.source.data.data(), p.source.data.size());
    if (p.type == p.source.type) {
      pack(p.source, p.out);
      return;
    }
    const auto converted = convert_matrix(p.source, p.type);
    auto as_file = p.source;
    as_file.type = p.type;
    as_file.data = converted;
    pack(as_file, p.out);
  }

  expected<void, error> run_threads(const std::function<void(load_progress)>& progress) {
    std::atomic<std::size_t> next = 0;
    std::atomic<std::uint64_t> done = 0;
    std::atomic<bool> no_memory = false;
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t running = 0;
    auto work = [&] {
      for (auto i = next++; i < pieces_.size() && !no_memory; i = next++) {
        try {
          carry_out(pieces_[i]);
        } catch (const std::bad_alloc&) {
          no_memory = true;
        }
        done += pieces_[i].source.data.size();
      }
      const std::lock_guard lock{mutex};
      --running;
      ended.notify_one();
    };
    std::vector<std::jthread> threads;
    std::unique_lock lock{mutex};
    try {
      for (auto i = std::min<std::size_t>(usable_cpus(), pieces_.size()); i > 0; --i) {
        threads.emplace_back(work);
        ++running;
      }
    } catch (const std::system_error&) { // fewer do as well
      if (threads.empty())
        return fail(errc::resource, "no thread to load weights with");
    }
    while (!ended.wait_for(lock, progress_interval, [&] { return running == 0; }))
      if (progress)
        progress({done, state_.bytes_total});
    lock.unlock();
    if (no_memory)
      return fail(errc::resource, "not enough memory to convert weights");
    if (progress)
      progress({state_.bytes_total, state_.bytes_total});
    return {};
  }

  host_weights& out_;
  weight_format format_;
  std::vector<matrix> matrices_;
  std::vector<piece> pieces_;
  std::vector<std::uint64_t> vector_hashes_;
  std::uint64_t memory_bytes_ = 0;
  load_progress state_;
};

expected<std::shared_ptr<const host_weights>, error>
host_weights::load(const model_description& model, weight_format format,
                   const std::function<void(load_progress)>& progress) try {
  std::shared_ptr<host_weights> result{new host_weights};
  weight_loader loader{*result, format};
  loader.lay_out(model);
  if (auto ok = loader.run(progress); !ok)
    return unexpected{ok.error()};
  result->hash_ = loader.hash();
  return std::shared_ptr<const host_weights>{std::move(result)};
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "not enough memory for the weights");
}

} // namespace troupe::gpu::host
