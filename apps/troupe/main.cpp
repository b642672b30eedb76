// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "apps/troupe/commands.hpp"

namespace {

using namespace troupe;

/// Set by the subcommand that argv names.
using action = std::function<exit_code()>;

void add_config_option(CLI::App& command, std::string& into) {
  command.add_option("-c,--config", into, "Configuration file")->type_name("FILE");
}

void add_serve(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("serve", "Run the node of a configuration in the foreground");
  auto options = std::make_shared<serve_options>();
  add_config_option(*command, options->config_file);
  command->add_option("--join", options->join, "Node of a cluster to join, as a decode worker without -c")
    ->type_name("HOST:PORT");
  command->add_option("--cluster", options->cluster, "Name of the cluster to join, where no file names it")
    ->type_name("NAME")
    ->capture_default_str();
  command->add_option("--model", options->model_file, "Model of a node without -c")->type_name("MODEL.gguf");
  command->callback([options, &chosen] {
    if (options->config_file.empty() && (options->join.empty() || options->model_file.empty()))
      throw CLI::ValidationError("serve", "--config FILE is required, or --join HOST:PORT with --model MODEL.gguf");
    if (!options->config_file.empty() && !options->model_file.empty())
      throw CLI::ValidationError("serve", "--model is for a node without -c FILE: there it stands in the file");
    chosen = [options] { return command_serve(*options); };
  });
}

// What stands before the question depends on -c, which CLI11 cannot express.
run_options sort_run_arguments(const std::string& config_file, std::vector<std::string> words) {
  run_options result;
  result.config_file = config_file;
  auto next = words.begin();
  if (config_file.empty() && next != words.end())
    result.model_file = *next++;
  if (next != words.end())
    result.question = *next++;
  if (next != words.end())
    throw CLI::ValidationError("run", "one question at most: put it in quotes");
  if (config_file.empty() && result.model_file.empty())
    throw CLI::ValidationError("run", "a model file or -c FILE is required");
  return result;
}

void add_run(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand(
    "run", "Run a node and talk to it: troupe run MODEL.gguf [QUESTION], or troupe run -c FILE [QUESTION]");
  auto config_file = std::make_shared<std::string>();
  auto words = std::make_shared<std::vector<std::string>>();
  add_config_option(*command, *config_file);
  command
    ->add_option("arguments", *words,
                 "Model file (without -c), then a question; without a question: a chat at a terminal")
    ->type_name("[MODEL.gguf] [QUESTION]");
  command->callback([config_file, words, &chosen] {
    chosen = [options = sort_run_arguments(*config_file, *words)] { return command_run(options); };
  });
}

void add_chat(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("chat", "Talk to a server that runs already");
  auto options = std::make_shared<chat_command_options>();
  options->url = "http://127.0.0.1:8000";
  command->add_option("--url", options->url, "Address of the server")->type_name("URL")->capture_default_str();
  command->add_option("question", options->question, "Answer this and end")->type_name("QUESTION");
  command->callback([options, &chosen] { chosen = [options] { return command_chat(*options); }; });
}

void add_check(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("check", "Say what is wrong with a configuration: all faults at once");
  auto options = std::make_shared<check_options>();
  add_config_option(*command, options->config_file);
  auto reference = std::make_shared<bool>(false);
  auto* flag = command->add_flag("--reference", *reference, "Print every option with its default and what it means");
  flag->excludes(command->get_option("--config"));
  command->callback([options, reference, &chosen] {
    if (*reference)
      options->what = check_what::reference;
    else if (options->config_file.empty())
      throw CLI::RequiredError("-c FILE");
    chosen = [options] { return command_check(*options); };
  });
}

void add_tokenize(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("tokenize", "Text on standard input to a JSON array of token ids");
  auto options = std::make_shared<tokenize_options>();
  command->add_option("model", options->model_file, "GGUF file, tokenizer.json, or a directory with one")
    ->required()
    ->type_name("MODEL.gguf|tokenizer.json|DIRECTORY");
  command->add_flag_callback(
    "--decode", [options] { options->direction = tokenize_direction::decode; }, "The reverse: ids to text");
  command->callback([options, &chosen] { chosen = [options] { return command_tokenize(*options); }; });
}

void add_render(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("render", "A JSON context on standard input to the text of a chat template");
  auto options = std::make_shared<render_options>();
  command
    ->add_option("template", options->file,
                 "Jinja file, or a model whose template is taken: GGUF file, tokenizer.json, or a directory with one")
    ->required()
    ->type_name("TEMPLATE.jinja|MODEL.gguf|tokenizer.json|DIRECTORY");
  command->add_option("--now", options->now, "Local time that the template sees, like 2024-07-26T12:00:00")
    ->type_name("ISO8601");
  command->callback([options, &chosen] { chosen = [options] { return command_render(*options); }; });
}

void add_certs(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("certs", "Make a cluster's CA, unless it is there, and certificates of nodes");
  auto options = std::make_shared<certs_options>();
  command->add_option("folder", options->folder, "Where the files are")->required()->type_name("DIR");
  command->add_option("--node", options->nodes, "Name of a node; once for each")
    ->required()
    ->type_name("NAME")
    ->allow_extra_args(false); // or it would take DIR for a name
  command->callback([options, &chosen] { chosen = [options] { return command_certs(*options); }; });
}

// For a parent process, which gives it a configuration and a lifeline: not for people, so --help does not show it.
void add_isolated_worker(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("isolated-worker", "")->group("");
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "")->required();
  command->callback([name, &chosen] { chosen = [name] { return command_isolated_worker(*name); }; });
}

void add_version(CLI::App& app, action& chosen) {
  auto* command = app.add_subcommand("version", "Print the version");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "As a JSON object");
  command->callback([json, &chosen] {
    chosen = [json] { return command_version(*json ? version_format::json : version_format::text); };
  });
}

exit_code run(int argc, char** argv) {
  action chosen;
  CLI::App app{"Troupe serves large language models with a troupe of actors.", "troupe"};
  app.require_subcommand(0, 1); // none is checked below, so that an unknown word is named before
  app.footer("troupe COMMAND --help explains a command.");
  add_serve(app, chosen);
  add_run(app, chosen);
  add_chat(app, chosen);
  add_check(app, chosen);
  add_tokenize(app, chosen);
  add_render(app, chosen);
  add_certs(app, chosen);
  add_version(app, chosen);
  add_isolated_worker(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_code::ok : exit_code::usage; // --help is no mistake
  }
  if (!chosen) {
    std::fputs(app.help().c_str(), stderr);
    return exit_code::usage;
  }
  return chosen();
}

} // namespace

int main(int argc, char** argv) {
  try {
    return static_cast<int>(run(argc, argv));
  } catch (const std::bad_alloc&) {
    std::fputs("troupe: out of memory\n", stderr);
    return static_cast<int>(exit_code::resource);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "troupe: internal error: %s\n", e.what());
    return static_cast<int>(exit_code::internal);
  }
}
