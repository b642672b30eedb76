// SPDX-License-Identifier: Apache-2.0
// The numbers of a GGUF file: what it leaves out, and what would change the arithmetic.
#include <doctest/doctest.h>

#include <string>

#include "gpu/model/describe_model.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

using additions = std::function<void(test::gguf_writer&)>;

expected<model_config, error> config_with(const additions& more) {
  const test::temporary_file file{test::tiny_llama{.more = more}.write()};
  auto opened = gguf_file::open(file.path());
  REQUIRE_MESSAGE(opened, opened.error().context);
  return read_model_config(*opened);
}

error refusal_with(const additions& more) {
  auto config = config_with(more);
  REQUIRE_FALSE(config);
  return config.error();
}

} // namespace

TEST_CASE("text of the file is quoted in errors") {
  CHECK(refusal_with([](auto& f) { f.add_string("llama.rope.scaling.type", "a\nb"); }).context.find("'a\\x0ab'")
        != std::string::npos);
  test::gguf_writer other;
  other.add_string("general.architecture", "a\x1b[2Jb");
  const test::temporary_file file{other.finish()};
  auto opened = gguf_file::open(file.path());
  REQUIRE(opened);
  const auto config = read_model_config(*opened);
  REQUIRE_FALSE(config);
  CHECK(config.error().context.starts_with("general.architecture is 'a\\x1b[2Jb', known are "));
}
