// SPDX-License-Identifier: Apache-2.0
#include "actors/model/vocabulary_from_gguf.hpp"

#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace troupe {

namespace {

/// Reads keys until the first error, which it keeps, so that the keys can be read one after another.
class key_reader {
public:
  explicit key_reader(const gpu::gguf_file& file) : file_(file) {}

  std::string string(std::string_view key) {
    const auto found = file_.find_string(key);
    return found ? std::string{*found} : note(found.error(), std::string{});
  }

  std::vector<std::string> strings(std::string_view key) {
    const auto found = file_.find_strings(key);
    return found ? std::vector<std::string>(found->begin(), found->end())
                 : note(found.error(), std::vector<std::string>{});
  }

  std::vector<float> floats(std::string_view key) {
    auto found = file_.find_floats(key);
    return found ? *std::move(found) : note(found.error(), std::vector<float>{});
  }

  bool boolean(std::string_view key, bool otherwise) {
    if (!file_.has(key))
      return otherwise;
    const auto found = file_.find_bool(key);
    return found ? *found : note(found.error(), otherwise);
  }

  std::optional<token_id> id(std::string_view key, std::optional<token_id> otherwise) {
    if (!file_.has(key))
      return otherwise;
    const auto found = file_.find_uint(key);
    if (!found)
      return note(found.error(), otherwise);
    if (*found > std::numeric_limits<token_id>::max())
      return refuse(std::string{key} + ": " + std::to_string(*found) + " is no token id", otherwise);
    return static_cast<token_id>(*found);
  }

  std::vector<text::token_type> types(std::string_view key) {
    if (!file_.has(key))
      return {};
    const auto found = file_.find_ints(key);
    if (!found)
      return note(found.error(), std::vector<text::token_type>{});
    std::vector<text::token_type> types;
    types.reserve(found->size());
    for (const auto value : *found) {
      if (value < 1 || value > 6)
        return refuse(fmt::format("{}: entry {} is {}, which is no token type", key, types.size(), value),
                      std::vector<text::token_type>{});
      types.push_back(static_cast<text::token_type>(value));
    }
    return types;
  }

  template <class T>
  T refuse(std::string context, T instead) {
    if (!error_)
      error_ = error{errc::resource, std::move(context)};
    return instead;
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  /// The file's errors name their key.
  template <class T>
  T note(const gpu::error& e, T instead) {
    return refuse(e.context, std::move(instead));
  }

  const gpu::gguf_file& file_;
  std::optional<error> error_;
};

} // namespace

expected<text::vocabulary, error> vocabulary_from_gguf(const gpu::gguf_file& file) {
  key_reader keys{file};
  text::vocabulary v;
  const auto model = keys.string("tokenizer.ggml.model");
  if (model == "gpt2")
    v.kind = text::vocabulary_kind::byte_level_bpe;
  else if (model == "llama")
    v.kind = text::vocabulary_kind::sentencepiece_bpe;
  else
    keys.refuse("tokenizer.ggml.model: '" + model + "' is not supported, only gpt2 and llama are", 0);
  const bool is_sentencepiece = v.kind == text::vocabulary_kind::sentencepiece_bpe;
  v.tokens = keys.strings("tokenizer.ggml.tokens");
  v.types = keys.types("tokenizer.ggml.token_type");
  if (is_sentencepiece) {
    v.scores = keys.floats("tokenizer.ggml.scores");
  } else {
    v.pre_tokenizer = keys.string("tokenizer.ggml.pre");
    v.merges = keys.strings("tokenizer.ggml.merges");
  }
  // A default stands only for a token that exists.
  auto usual = [&](token_id id) { return is_sentencepiece && id < v.tokens.size() ? std::optional{id} : std::nullopt; };
  v.bos = keys.id("tokenizer.ggml.bos_token_id", usual(1));
  v.eos = keys.id("tokenizer.ggml.eos_token_id", usual(2));
  v.unk = keys.id("tokenizer.ggml.unknown_token_id", usual(0));
  v.eot = keys.id("tokenizer.ggml.eot_token_id", std::nullopt);
  v.pad = keys.id("tokenizer.ggml.padding_token_id", std::nullopt);
  v.add_bos = keys.boolean("tokenizer.ggml.add_bos_token", is_sentencepiece);
  v.add_eos = keys.boolean("tokenizer.ggml.add_eos_token", false);
  v.add_space_prefix = keys.boolean("tokenizer.ggml.add_space_prefix", is_sentencepiece);
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  return v;
}

} // namespace troupe
