// SPDX-License-Identifier: Apache-2.0
// Any bytes as a tokenizer.json: they are refused, or make a tokenizer that encodes and decodes. With
// TROUPE_FUZZ_CANARY an added token with a character that none of the seeds' has ends the process: mutations get
// through the reader.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_config.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace troupe::text;
  const std::string_view json{reinterpret_cast<const char*>(data), size};
  (void)read_tokenizer_config({json, json, ""});
  auto description = read_tokenizer_json(json);
  if (!description)
    return 0;
#ifdef TROUPE_FUZZ_CANARY
  for (const auto& token : description->added)
    if (token.content.find_first_of("#%&*+=^{}~") != std::string::npos)
      std::abort();
#endif
  const auto made = tokenizer::make(*std::move(description));
  if (!made)
    return 0;
  constexpr tokenizer::encode_options all{parse_special::yes, add_special::yes};
  for (const std::string_view text :
       {"", "Hello, w\xC3\xB6rld! <s> 123\n\n  \xE6\x97\xA5\xE6\x9C\xAC", "\xFF\xC3 a\xCC\x81 \xE2\x96\x81"}) {
    const auto ids = made->encode(text, all);
    if (ids)
      (void)made->decode(*ids, special_output::keep);
  }
  return 0;
}
