// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/node/exit_code.hpp"

/// The commands, one function each. main.cpp reads their options; the rest of the program never sees argv.
namespace troupe {

struct serve_options {
  /// May be empty if `join` is given: then the node is a decode worker of `model_file` at a port of the system's
  /// choice.
  std::string config_file;
  /// Address and port of a node to join, beside the seeds of the configuration.
  std::string join;
  /// Name of the cluster to join, if the configuration has none.
  std::string cluster = "troupe";
  std::string model_file;
};

/// Runs the node of a configuration until SIGINT or SIGTERM.
exit_code command_serve(const serve_options&);

/// Runs the configuration that the parent process gave, for as long as the parent lives or until it says SIGTERM.
/// `name` stands in log lines.
exit_code command_isolated_worker(const std::string& name);

struct run_options {
  /// One of these two is set.
  std::string config_file;
  std::string model_file;
  std::optional<std::string> question;
};

/// Runs a node and talks to it: answers the question, or chats at a terminal; without either it serves.
exit_code command_run(const run_options&);

struct chat_command_options {
  std::string url;
  std::optional<std::string> question;
};

/// Talks to a server that runs already.
exit_code command_chat(const chat_command_options&);

enum class check_what : std::uint8_t { file, reference };

struct check_options {
  check_what what = check_what::file;
  std::string config_file;
};

/// Says what is wrong with a configuration, or prints the reference.
exit_code command_check(const check_options&);

enum class tokenize_direction : std::uint8_t { encode, decode };

struct tokenize_options {
  tokenize_direction direction = tokenize_direction::encode;
  std::string model_file;
};

/// Text on standard input to a JSON array of ids, or the reverse.
exit_code command_tokenize(const tokenize_options&);

struct render_options {
  /// A GGUF file or a Jinja template, told apart by their first bytes.
  std::string file;
  /// Empty: the time of the call.
  std::string now;
};

/// A JSON context on standard input to the text of a chat template.
exit_code command_render(const render_options&);

struct certs_options {
  std::string folder;
  /// At least one.
  std::vector<std::string> nodes;
};

/// Makes a cluster's CA, unless it is there, and certificates of nodes.
exit_code command_certs(const certs_options&);

enum class version_format : std::uint8_t { text, json };

exit_code command_version(version_format);

} // namespace troupe
