// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/transformers_directory.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "gpu/model/in_quotes.hpp"
#include "gpu/model/json_file.hpp"
#include "gpu/model/safetensors.hpp"

namespace troupe::gpu {

namespace {

constexpr std::size_t shards_max = 4096;

/// The files that an index names. A name with a folder in it could lead out of the directory.
expected<std::set<std::string>, error> read_index(const std::filesystem::path& path) {
  auto index = read_json_file(path);
  if (!index)
    return unexpected{index.error()};
  if (!index->is_object() || !index->contains("weight_map") || !(*index)["weight_map"].is_object())
    return fail(errc::malformed_file, path.string() + " has no object weight_map");
  std::set<std::string> result;
  for (const auto& [tensor, file] : (*index)["weight_map"].items()) {
    if (!file.is_string() || file.get_ref<const std::string&>().find('/') != std::string::npos)
      return fail(errc::malformed_file, path.string() + ": weight_map does not name a file of the directory");
    result.insert(file.get<std::string>());
  }
  if (result.empty() || result.size() > shards_max)
    return fail(errc::malformed_file, path.string() + " names " + std::to_string(result.size()) + " files");
  return result;
}

} // namespace

struct transformers_directory::content {
  std::filesystem::path path;
  nlohmann::json config;
  std::vector<mapped_file> files;
  std::vector<tensor_info> tensors;
  std::unordered_map<std::string_view, const tensor_info*> by_name;

  expected<void, error> add(const std::filesystem::path& shard) {
    auto file = mapped_file::open(shard);
    if (!file)
      return unexpected{file.error()};
    auto found = parse_safetensors(file->bytes());
    if (!found)
      return fail(found.error().code, shard.string() + ": " + found.error().context);
    files.push_back(std::move(*file));
    std::ranges::move(*found, std::back_inserter(tensors));
    return {};
  }
};

expected<transformers_directory, error> transformers_directory::open(const std::filesystem::path& path) {
  auto result = std::make_unique<content>();
  result->path = path;
  auto config = read_json_file(path / "config.json");
  if (!config)
    return unexpected{config.error()};
  if (!config->is_object())
    return fail(errc::malformed_file, (path / "config.json").string() + " is not an object");
  result->config = std::move(*config);
  std::error_code ignored;
  const auto index = path / "model.safetensors.index.json";
  std::set<std::string> names{"model.safetensors"};
  if (std::filesystem::exists(index, ignored)) {
    auto listed = read_index(index);
    if (!listed)
      return unexpected{listed.error()};
    names = std::move(*listed);
  }
  for (const auto& name : names)
    if (auto added = result->add(path / name); !added)
      return unexpected{added.error()};
  for (const auto& tensor : result->tensors)
    if (!result->by_name.emplace(tensor.name, &tensor).second)
      return fail(errc::malformed_file, path.string() + ": tensor " + in_quotes(tensor.name) + " is in two files");
  return transformers_directory{std::move(result)};
}

transformers_directory::transformers_directory(std::unique_ptr<content> c) : content_(std::move(c)) {}
transformers_directory::transformers_directory(transformers_directory&&) noexcept = default;
transformers_directory& transformers_directory::operator=(transformers_directory&&) noexcept = default;
transformers_directory::~transformers_directory() = default;

const nlohmann::json& transformers_directory::config() const { return content_->config; }
std::span<const tensor_info> transformers_directory::tensors() const { return content_->tensors; }
const std::filesystem::path& transformers_directory::path() const { return content_->path; }

const tensor_info* transformers_directory::find_tensor(std::string_view name) const {
  auto i = content_->by_name.find(name);
  return i == content_->by_name.end() ? nullptr : i->second;
}

} // namespace troupe::gpu
