// SPDX-License-Identifier: Apache-2.0
// Speed of the tokenizer on text that it has not seen: one JSON object a line. tokenizer_bench.py runs it beside
// others.
//   tokenizer_bench TOKENIZER.json TEXT [--other TEXT] [--runs N] [--prompt-bytes N]
// Each run takes a tokenizer of its own and encodes the whole text, cut into prompts; before that the other text, whose
// time doesn't count, so that tables are in memory as in a process that serves.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

namespace {

using namespace troupe;

std::string read(const char* path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

double thread_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Prompts of at most so many bytes that end between characters.
std::vector<std::string_view> cut(std::string_view text, std::size_t bytes) {
  std::vector<std::string_view> prompts;
  while (!text.empty()) {
    auto end = std::min(bytes, text.size());
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      ++end;
    prompts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return prompts;
}

const char* text_option(int argc, char** argv, std::string_view name) {
  for (int i = 3; i + 1 < argc; ++i)
    if (argv[i] == name)
      return argv[i + 1];
  return nullptr;
}

double option(int argc, char** argv, std::string_view name, double otherwise) {
  const auto* found = text_option(argc, argv, name);
  return found == nullptr ? otherwise : std::atof(found);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: tokenizer_bench TOKENIZER.json TEXT [--other TEXT] [--runs N] [--prompt-bytes N]\n", stderr);
    return 2;
  }
  const auto json = read(argv[1]);
  const auto text = read(argv[2]);
  const auto* other_file = text_option(argc, argv, "--other");
  const auto other = other_file == nullptr ? std::string{} : read(other_file);
  const auto prompts = cut(text, static_cast<std::size_t>(option(argc, argv, "--prompt-bytes", 220'000)));
  // All are made before the first text is encoded, so that a profiler can tell the two apart.
  std::vector<text::tokenizer> tokenizers;
  const auto runs = static_cast<std::size_t>(option(argc, argv, "--runs", 1));
  const auto load_begin = thread_seconds();
  while (tokenizers.size() < runs) {
    auto description = text::read_tokenizer_json(json);
    if (!description)
      return std::fprintf(stderr, "%s\n", description.error().context.c_str()), 1;
    auto made = text::tokenizer::make(*std::move(description));
    if (!made)
      return std::fprintf(stderr, "%s\n", made.error().context.c_str()), 1;
    tokenizers.push_back(*std::move(made));
  }
  const auto load_seconds = (thread_seconds() - load_begin) / static_cast<double>(runs);
  for (const auto& tokenizer : tokenizers) {
    for (const auto prompt : cut(other, 220'000))
      (void)tokenizer.encode(prompt).value();
    const auto begin = thread_seconds();
    std::size_t tokens = 0;
    std::uint64_t hash = 0;
    for (const auto prompt : prompts) {
      const auto ids = tokenizer.encode(prompt).value();
      tokens += ids.size();
      for (const auto id : ids)
        hash = hash * 31 + id;
    }
    const auto seconds = thread_seconds() - begin;
    std::printf("{\"mb_per_s\":%.2f,\"bytes\":%zu,\"tokens\":%zu,\"hash\":%llu,\"load_ms\":%.1f}\n",
                static_cast<double>(text.size()) / seconds / 1e6, text.size(), tokens,
                static_cast<unsigned long long>(hash), load_seconds * 1e3);
    std::fflush(stdout);
  }
}
