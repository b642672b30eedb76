// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// What stands beside a tokenizer.json: tokenizer_config.json, generation_config.json and chat_template.jinja.
struct tokenizer_config {
  struct named_template {
    /// "default" for one without a name.
    std::string name;
    std::string source;
  };

  /// The tokens by name.
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  /// Where the file says so, they decide whether a text gets BOS and EOS; else tokenizer.json's post-processor does.
  std::optional<bool> add_bos_token;
  std::optional<bool> add_eos_token;
  std::vector<named_template> chat_templates;
  /// Tokens that end a generation.
  std::vector<token_id> end_tokens;

  /// The template for a chat: the default one, else the only one.
  const named_template* find_chat_template() const;
};

/// The texts of the files; empty for one that is not there. A chat_template.jinja goes before the template in
/// tokenizer_config.json.
struct tokenizer_config_files {
  std::string_view tokenizer_config;
  std::string_view generation_config;
  std::string_view chat_template;
};

/// Errors name the file and what is wrong in it.
expected<tokenizer_config, error> read_tokenizer_config(const tokenizer_config_files&);

/// Puts BOS, EOS and end tokens into a description that came from tokenizer.json. An error names the token that the
/// description doesn't have.
expected<void, error> apply(const tokenizer_config&, tokenizer_description&);

} // namespace troupe::text
