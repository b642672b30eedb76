// SPDX-License-Identifier: Apache-2.0
#include "actors/config/read_config.hpp"

#include <doctest/doctest.h>

#include "actors/config/validate.hpp"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

/// The least that is valid, with room for one more line in it.
std::string with(const std::string& lines) {
  return "troupe {\nmodel.path = \"m.gguf\"\nhttp {}\ndecode-worker {}\n" + lines + "\n}\n";
}

strings faults_of(const std::string& text) {
  strings result;
  if (auto read = read_config_text(text, "/etc/troupe/f.conf"); !read)
    for (const fault& x : read.error())
      result.push_back(to_string(x).substr(sizeof("/etc/troupe/") - 1));
  return result;
}

node_config read(const std::string& text) {
  auto result = read_config_text(text, "/etc/troupe/f.conf");
  if (!result)
    FAIL(to_string(result.error()));
  return *result;
}

} // namespace

TEST_CASE("what is absent has its default, and a present section runs its role") {
  node_config wanted;
  wanted.model.path = "/etc/troupe/m.gguf";
  wanted.http.emplace();
  wanted.decode_worker.emplace();
  CHECK(read(with("")) == wanted);
}

TEST_CASE("every kind of option is read") {
  const auto config = read(with("cluster { name = \"lab-1\", seeds = [\"127.0.0.1:7400\", \"[::1]:7401\"] }\nkv { "
                                "memory = 1.5GiB, dtype = \"f32\" }\ncompute.simd = \"avx2\"\n"
                                "limits { header-timeout = 250ms, request-timeout = 2min, stop-bytes = 64B }"));
  REQUIRE(config.cluster);
  CHECK(config.cluster->name == "lab-1");
  CHECK(config.cluster->seeds == std::vector<listen_address>{{"127.0.0.1", 7400}, {"::1", 7401}});
  CHECK(config.kv.memory_bytes == gib(1) + mib(512));
  CHECK(config.compute.simd == gpu::host::simd_path::avx2);
  CHECK(config.limits.header_timeout == 250ms);
  CHECK(config.limits.request_timeout == 2min);
  CHECK(config.limits.stop_bytes == 64);
}

TEST_CASE("an instruction path has the name that logs and benchmarks give it, auto is none of them") {
  for (const auto path : gpu::host::simd_paths)
    CHECK(read(with("compute.simd = \"" + std::string{to_string(path)} + "\"")).compute.simd == path);
  CHECK_FALSE(read(with("compute.simd = \"auto\"")).compute.simd);
  CHECK(faults_of(with("compute.simd = \"neon\""))
        == strings{"f.conf:5:troupe.compute.simd: 'neon' is none of auto, portable, avx2, avx512, avx512-vnni, amx"});
}

TEST_CASE("one reading reports all faults, with file, line and key, in order") {
  CHECK(faults_of("troupe {\n"
                  "  model { path = \"m.gguf\" }\n"
                  "  http { listen = \"0.0.0.0:8000\" }\n"
                  "  decode-worker { running-max = 0 }\n"
                  "  kv { memroy = 1GiB }\n"
                  "  log { level = info }\n"
                  "}\n")
        == strings{"f.conf:3:troupe.http.listen: 0.0.0.0:8000 can be reached from other machines, and there are no API "
                   "keys yet; use "
                   "127.0.0.1 or [::1], and a proxy with authentication in front",
                   "f.conf:4:troupe.decode-worker.running-max: out of range; allowed are 1 to 4096",
                   "f.conf:5:troupe.kv.memroy: unknown key; did you mean memory?",
                   "f.conf:6:troupe.log.level: a string needs quotes: \"info\""});
}

TEST_CASE("the admin listener is for this machine, and has an address of its own") {
  CHECK(faults_of(with("admin.listen = \"10.0.0.1:8001\""))
        == strings{"f.conf:5:troupe.admin.listen: 10.0.0.1:8001 can be reached from other machines, whose users could "
                   "end the node; use 127.0.0.1 or [::1]"});
  CHECK(faults_of(with("admin.listen = \"127.0.0.1:8000\""))
        == strings{"f.conf:5:troupe.admin.listen: 127.0.0.1:8000 is http's address, too"});
  CHECK(read(with("admin {}")).admin == admin_section{});
  CHECK_FALSE(read(with("")).admin);
}

TEST_CASE("a value of the wrong type is named with what is expected") {
  CHECK(faults_of(with("kv.block-tokens = \"16\""))
        == strings{"f.conf:5:troupe.kv.block-tokens: expected a number, found a string"});
  CHECK(faults_of(with("kv.block-tokens = 1.5"))
        == strings{"f.conf:5:troupe.kv.block-tokens: expected a whole number"});
  CHECK(faults_of(with("kv.block-tokens = 16s"))
        == strings{"f.conf:5:troupe.kv.block-tokens: expected a number, found the unit 's'"});
  CHECK(faults_of(with("kv.memory = 1000000"))
        == strings{"f.conf:5:troupe.kv.memory: expected a size like 1TiB (units: B, KiB, MiB, GiB, TiB), found a "
                   "number without unit"});
  CHECK(faults_of(with("kv.memory = 1GB"))
        == strings{
          "f.conf:5:troupe.kv.memory: expected a size like 1TiB (units: B, KiB, MiB, GiB, TiB), found the unit 'GB'"});
  CHECK(faults_of(with("limits.queue-timeout = 10"))
        == strings{"f.conf:5:troupe.limits.queue-timeout: expected a time like 10s (units: ns, us, ms, s, min, h), "
                   "found a number without unit"});
  CHECK(faults_of(with("log.level = true"))
        == strings{"f.conf:5:troupe.log.level: expected a string in quotes, found true or false"});
  CHECK(faults_of(with("log.level = \"loud\""))
        == strings{"f.conf:5:troupe.log.level: 'loud' is none of trace, debug, info, warning, error, off"});
  CHECK(faults_of(with("kv = 1GiB")) == strings{"f.conf:5:troupe.kv: expected a section { … }, found a number"});
  CHECK(faults_of(with("cluster.name = [1]"))
        == strings{"f.conf:5:troupe.cluster.name: expected a string in quotes, found a list"});
  CHECK(faults_of(with("cluster.seeds = \"127.0.0.1:7400\""))
        == strings{"f.conf:5:troupe.cluster.seeds: expected a list like [\"127.0.0.1:7400\"], found a string"});
  CHECK(faults_of(with("cluster.seeds = [\"127.0.0.1:0\", 3]")).size() == 2);
  CHECK(faults_of(with("http.listen = \"somewhere\""))
        == strings{"f.conf:5:troupe.http.listen: expected an address and a port like \"127.0.0.1:8000\" or "
                   "\"[::1]:8000\", found 'somewhere'"});
}

TEST_CASE("a value out of range is named with its bounds") {
  CHECK(faults_of(with("kv.block-tokens = 0"))
        == strings{"f.conf:5:troupe.kv.block-tokens: out of range; allowed are 1 to 1024"});
  CHECK(faults_of(with("kv.memory = 9223372036854775807TiB"))
        == strings{"f.conf:5:troupe.kv.memory: out of range; allowed are 1MiB to 1TiB"});
  CHECK(faults_of(with("kv.memory = 1e300GiB"))
        == strings{"f.conf:5:troupe.kv.memory: out of range; allowed are 1MiB to 1TiB"});
  CHECK(faults_of(with("limits.queue-timeout = -5s"))
        == strings{"f.conf:5:troupe.limits.queue-timeout: out of range; allowed are 10ms to 24h"});
  CHECK(faults_of(with("model.name = \"" + std::string(257, 'x') + "\""))
        == strings{"f.conf:5:troupe.model.name: longer than 256 bytes"});
  CHECK(read(with("supervisor { backoff-first = 0, drain-timeout = 0s }")).supervisor.drain_timeout == 0s);
}

TEST_CASE("an unknown key is answered with the nearest one, or with all where none is near") {
  CHECK(faults_of(with("routr { }")) == strings{"f.conf:5:troupe.routr: unknown key; did you mean router?"});
  CHECK(faults_of(with("kv { temperature = 1 }"))
        == strings{"f.conf:5:troupe.kv.temperature: unknown key; known here: memory, block-tokens, dtype, "
                   "landing-lease"});
  CHECK(faults_of(with("") + "trope { }\n") == strings{"f.conf:7:trope: unknown key; did you mean troupe?"});
}

TEST_CASE("what is missing is named, unless it may only be misspelt") {
  CHECK(faults_of("troupe {\nmodel { name = \"x\" }\ndecode-worker {}\n}\n")
        == strings{"f.conf:2:troupe.model.path: missing: name the model's GGUF file"});
  CHECK(faults_of("troupe {\nmodel { pth = \"x\" }\ndecode-worker {}\n}\n")
        == strings{"f.conf:2:troupe.model.pth: unknown key; did you mean path?"});
  CHECK(faults_of("troupe {\nmodle { path = \"x\" }\ndecode-worker {}\n}\n")
        == strings{"f.conf:2:troupe.modle: unknown key; did you mean model?"});
  CHECK(faults_of("troupe {\nmodel { path = x }\ndecode-worker {}\n}\n")
        == strings{"f.conf:2:troupe.model.path: a string needs quotes: \"x\""});
  CHECK(
    faults_of("")
    == strings{"f.conf:1:troupe.model.path: missing: name the model's GGUF file",
               "f.conf:1:troupe: no section that runs a role is present; add http, prefill-worker or decode-worker"});
  CHECK(
    faults_of("troupe {\nmodel.path = \"x\"\nhttp {}\nprefill-worker {}\n}\n")
    == strings{
      "f.conf:1:troupe: no section decode-worker is present, nor cluster to find one, so nothing generates tokens"});
}

TEST_CASE("options that contradict each other are named") {
  CHECK(faults_of(with("decode-worker.chunk-tokens = 1024"))
        == strings{"f.conf:5:troupe.decode-worker.chunk-tokens: 1024 is more than batch-tokens (512)"});
  CHECK(faults_of(with("limits.queue-timeout = 1h"))
        == strings{"f.conf:5:troupe.limits.queue-timeout: 1h is longer than request-timeout (10min)"});
  CHECK(faults_of(with("supervisor.backoff-max = 50ms"))
        == strings{"f.conf:5:troupe.supervisor.backoff-first: 100ms is longer than backoff-max (50ms)"});
  CHECK(faults_of(with("cluster.name = \"a b\""))
        == strings{"f.conf:5:troupe.cluster.name: must be letters, digits, - and _, and not empty"});
  // The bound that it is compared with could not be read: no second fault.
  CHECK(faults_of(with("decode-worker { chunk-tokens = 1024, batch-tokens = many }")).size() == 2);
}

TEST_CASE("a model section may be given several times; names are unique, and nothing else repeats") {
  const auto config = read("troupe {\nmodel { path = \"a.gguf\" }\nhttp {}\ndecode-worker {}\n"
                           "model { path = \"b.gguf\", name = \"two\" }\nmodel { path = \"c.gguf\" }\n}\n");
  CHECK(config.model == model_section{"/etc/troupe/a.gguf", ""});
  CHECK(config.further_models == std::vector<model_section>{{"/etc/troupe/b.gguf", "two"}, {"/etc/troupe/c.gguf", ""}});
  CHECK(config.further_models[1].served_name() == "c");
  CHECK(faults_of(with("model { path = \"x/b.gguf\" }\nmodel {\npath = \"c.gguf\"\nname = \"b\"\n}"))
        == strings{"f.conf:5:troupe.model.path: given twice; first in line 2"}); // dotted keys are the first one's
  const auto three = [](const std::string& last) {
    return "troupe {\nmodel { path = \"a.gguf\" }\nmodel { path = \"x/b.gguf\" }\nmodel {\n" + last
           + "\n}\nhttp {}\ndecode-worker {}\n}\n";
  };
  CHECK(faults_of(three("path = \"c.gguf\", name = \"b\""))
        == strings{"f.conf:5:troupe.model[3].name: another model of this file is called 'b', too"});
  CHECK(faults_of(three("path = \"a.gguf\""))
        == strings{"f.conf:4:troupe.model[3].name: another model of this file is called 'a', too"});
  CHECK(faults_of(three("name = \"c\""))
        == strings{"f.conf:4:troupe.model[3].path: missing: name the model's GGUF file"});
  CHECK(faults_of(three("pth = \"c\"")) == strings{"f.conf:5:troupe.model[3].pth: unknown key; did you mean path?"});
  CHECK(faults_of(with("kv {}\nkv {}")) == strings{"f.conf:6:troupe.kv: this section is given twice; first in line 5"});
}

TEST_CASE("relative paths are relative to the file") {
  CHECK(read(with("model.name = \"n\"")).model.path == "/etc/troupe/m.gguf");
  CHECK(read("troupe { model.path = \"../models/m.gguf\"\n decode-worker {} }").model.path == "/etc/models/m.gguf");
  CHECK(read("troupe { model.path = \"/m.gguf\"\n decode-worker {} }").model.path == "/m.gguf");
}

TEST_CASE("a file that cannot be read is one fault without a line") {
  const auto none = read_config("/nonexistent/x.conf");
  REQUIRE_FALSE(none);
  CHECK(to_string(none.error()) == "/nonexistent/x.conf: there is no such file\n");
  const auto folder = read_config("/tmp");
  REQUIRE_FALSE(folder);
  CHECK(to_string(folder.error()) == "/tmp: is not a file\n");
}

TEST_CASE("the configuration made for a model file is valid") { CHECK(validate(default_config("/m.gguf")).empty()); }
