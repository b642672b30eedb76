// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/request_parser.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::openai;

namespace {

enum class in : std::uint8_t { chat, completions, both };

std::string chat_body(std::string_view more) {
  return R"({"model":"m","messages":[{"role":"user","content":"x"}])" + (more.empty() ? "" : "," + std::string{more})
         + "}";
}

std::string completion_body(std::string_view more) {
  return R"({"model":"m","prompt":"x")" + (more.empty() ? "" : "," + std::string{more}) + "}";
}

result<completion_request> parse(api which, std::string_view more) {
  request_parser parser{{}};
  return parser.parse_completion(which, which == api::chat ? chat_body(more) : completion_body(more));
}

struct accepted_row {
  in where;
  std::string_view fields;
};

// Null, empty and default values, and values at the bounds.
const accepted_row accepted[] = {
  {in::both, ""},
  {in::both, R"("max_tokens":1)"},
  {in::both, R"("max_tokens":4294967295)"},
  {in::both, R"("max_tokens":null)"},
  {in::chat, R"("max_completion_tokens":7)"},
  {in::chat, R"("max_completion_tokens":7,"max_tokens":7)"},
  {in::both, R"("temperature":0)"},
  {in::both, R"("temperature":2)"},
  {in::both, R"("temperature":0.7)"},
  {in::both, R"("temperature":null)"},
  {in::both, R"("top_p":0)"},
  {in::both, R"("top_p":1.0)"},
  {in::both, R"("top_k":-1)"},
  {in::both, R"("top_k":0)"},
  {in::both, R"("top_k":40)"},
  {in::both, R"("min_p":0.05)"},
  {in::both, R"("presence_penalty":-2)"},
  {in::both, R"("presence_penalty":2)"},
  {in::both, R"("frequency_penalty":-2.0)"},
  {in::both, R"("repetition_penalty":1.1)"},
  {in::both, R"("seed":0)"},
  {in::both, R"("seed":-9223372036854775808)"},
  {in::both, R"("seed":18446744073709551615)"},
  {in::both, R"("logit_bias":{})"},
  {in::both, R"("logit_bias":{"5":-100,"6":100})"},
  {in::both, R"("stop":"END")"},
  {in::both, R"("stop":["a","b"])"},
  {in::both, R"("stop":[])"},
  {in::both, R"("stop":"")"},
  {in::both, R"("stop":null)"},
  {in::both, R"("stop_token_ids":[1,2])"},
  {in::both, R"("ignore_eos":true)"},
  {in::both, R"("skip_special_tokens":false)"},
  {in::completions, R"("add_special_tokens":false)"},
  {in::chat, R"("add_generation_prompt":false)"},
  {in::chat, R"("chat_template_kwargs":{"enable_thinking":false})"},
  {in::both, R"("n":1)"},
  {in::both, R"("n":8)"},
  {in::both, R"("n":2.0)"},
  {in::chat, R"("logprobs":true)"},
  {in::chat, R"("logprobs":true,"top_logprobs":20)"},
  {in::chat, R"("logprobs":false,"top_logprobs":0)"},
  {in::completions, R"("logprobs":0)"},
  {in::completions, R"("logprobs":20)"},
  {in::completions, R"("logprobs":false)"},
  {in::both, R"("stream":true)"},
  {in::both, R"("stream":true,"stream_options":{"include_usage":true})"},
  {in::both, R"("stream":true,"stream_options":{"include_usage":null,"include_obfuscation":false})"},
  {in::both, R"("stream_options":null)"},
  {in::both, R"("priority":-2147483648)"},
  {in::both, R"("user":"u")"},
  {in::both, R"("metadata":{"a":"b"})"},
  {in::both, R"("store":false)"},
  {in::both, R"("service_tier":"auto")"},
  {in::both, R"("service_tier":"default")"},
  {in::chat, R"("parallel_tool_calls":true)"},
  {in::chat, R"("tools":[])"},
  {in::chat, R"("tools":null,"tool_choice":"none")"},
  {in::chat, R"("functions":[],"function_call":"auto")"},
  {in::both, R"("response_format":{"type":"text"})"},
  {in::both, R"("response_format":null)"},
  {in::chat, R"("modalities":["text"])"},
  {in::chat, R"("audio":null)"},
  {in::chat, R"("prediction":null)"},
  {in::chat, R"("reasoning_effort":"none")"},
  {in::chat, R"("verbosity":"medium")"},
  {in::both, R"("best_of":1)"},
  {in::both, R"("echo":false)"},
  {in::completions, R"("suffix":"")"},
  {in::both, R"("min_tokens":0)"},
  {in::both, R"("use_beam_search":false)"},
  {in::both, R"("length_penalty":1.0)"},
  {in::both, R"("spaces_between_special_tokens":true)"},
  {in::both, R"("safety_identifier":"s","prompt_cache_key":"k")"},
  {in::both, R"("something_unknown":null)"},
};

struct refused_row {
  in where;
  std::string_view fields;
  std::string_view param;
};

const refused_row refused[] = {
  {in::both, R"("max_tokens":0)", "max_tokens"},
  {in::both, R"("max_tokens":-1)", "max_tokens"},
  {in::both, R"("max_tokens":1.5)", "max_tokens"},
  {in::both, R"("max_tokens":"7")", "max_tokens"},
  {in::both, R"("max_tokens":4294967296)", "max_tokens"},
  {in::both, R"("max_tokens":1e30)", "max_tokens"},
  {in::chat, R"("max_completion_tokens":0)", "max_completion_tokens"},
  {in::chat, R"("max_completion_tokens":7,"max_tokens":8)", "max_tokens"},
  {in::completions, R"("max_completion_tokens":7)", "max_completion_tokens"},
  {in::both, R"("temperature":-0.1)", "temperature"},
  {in::both, R"("temperature":2.1)", "temperature"},
  {in::both, R"("temperature":"1")", "temperature"},
  {in::both, R"("top_p":-0.1)", "top_p"},
  {in::both, R"("top_p":1.1)", "top_p"},
  {in::both, R"("top_k":-2)", "top_k"},
  {in::both, R"("top_k":2147483648)", "top_k"},
  {in::both, R"("min_p":1.01)", "min_p"},
  {in::both, R"("presence_penalty":2.01)", "presence_penalty"},
  {in::both, R"("frequency_penalty":-2.01)", "frequency_penalty"},
  {in::both, R"("repetition_penalty":0)", "repetition_penalty"},
  {in::both, R"("repetition_penalty":11)", "repetition_penalty"},
  {in::both, R"("seed":1.5)", "seed"},
  {in::both, R"("seed":"x")", "seed"},
  {in::both, R"("logit_bias":{"5":101})", "logit_bias"},
  {in::both, R"("logit_bias":{"5":-100.5})", "logit_bias"},
  {in::both, R"("logit_bias":{"x":1})", "logit_bias"},
  {in::both, R"("logit_bias":{"4294967296":1})", "logit_bias"},
  {in::both, R"("logit_bias":[1])", "logit_bias"},
  {in::both, R"("stop":5)", "stop"},
  {in::both, R"("stop":["a",5])", "stop"},
  {in::both, R"("stop":["a",""])", "stop"},
  {in::both, R"("stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])", "stop"},
  {in::both, R"("stop_token_ids":[-1])", "stop_token_ids"},
  {in::both, R"("ignore_eos":1)", "ignore_eos"},
  {in::chat, R"("add_special_tokens":false)", "add_special_tokens"},
  {in::chat, R"("chat_template_kwargs":[])", "chat_template_kwargs"},
  {in::both, R"("n":0)", "n"},
  {in::both, R"("n":9)", "n"},
  {in::chat, R"("logprobs":5)", "logprobs"},
  {in::chat, R"("top_logprobs":5)", "top_logprobs"},
  {in::chat, R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
  {in::completions, R"("logprobs":21)", "logprobs"},
  {in::completions, R"("logprobs":true)", "logprobs"},
  {in::both, R"("stream":"yes")", "stream"},
  {in::both, R"("stream_options":{"include_usage":true})", "stream_options"},
  {in::both, R"("stream":true,"stream_options":{"include_usage":"x"})", "stream_options.include_usage"},
  {in::both, R"("stream":true,"stream_options":{"other":true})", "stream_options.other"},
  {in::both, R"("priority":2147483648)", "priority"},
  {in::both, R"("store":true)", "store"},
  {in::both, R"("service_tier":"flex")", "service_tier"},
  {in::chat, R"("tools":[{"type":"function"}])", "tools"},
  {in::chat, R"("tool_choice":"required")", "tool_choice"},
  {in::chat, R"("tool_choice":{"type":"function"})", "tool_choice"},
  {in::chat, R"("functions":[{"name":"f"}])", "functions"},
  {in::both, R"("response_format":{"type":"json_object"})", "response_format.type"},
  {in::both, R"("response_format":{"type":"json_schema","json_schema":{}})", "response_format.type"},
  {in::both, R"("response_format":"text")", "response_format"},
  {in::chat, R"("modalities":["text","audio"])", "modalities"},
  {in::chat, R"("audio":{"voice":"x"})", "audio"},
  {in::chat, R"("prediction":{"type":"content"})", "prediction"},
  {in::chat, R"("web_search_options":{"a":1})", "web_search_options"},
  {in::chat, R"("reasoning_effort":"high")", "reasoning_effort"},
  {in::chat, R"("verbosity":"low")", "verbosity"},
  {in::both, R"("best_of":2)", "best_of"},
  {in::both, R"("echo":true)", "echo"},
  {in::completions, R"("suffix":"s")", "suffix"},
  {in::chat, R"("suffix":"s")", "suffix"},
  {in::both, R"("min_tokens":1)", "min_tokens"},
  {in::both, R"("use_beam_search":true)", "use_beam_search"},
  {in::both, R"("length_penalty":0.5)", "length_penalty"},
  {in::both, R"("prompt_logprobs":1)", "prompt_logprobs"},
  {in::both, R"("truncate_prompt_tokens":1)", "truncate_prompt_tokens"},
  {in::both, R"("include_stop_str_in_output":true)", "include_stop_str_in_output"},
  {in::both, R"("spaces_between_special_tokens":false)", "spaces_between_special_tokens"},
  {in::chat, R"("continue_final_message":true)", "continue_final_message"},
  {in::chat, R"("chat_template":"{{x}}")", "chat_template"},
  {in::both, R"("cache_salt":"s")", "cache_salt"},
  {in::both, R"("guided_json":{"type":"object"})", "guided_json"},
  {in::both, R"("return_token_ids":true)", "return_token_ids"},
  {in::both, R"("something_unknown":1)", "something_unknown"},
  {in::both, R"("temperature":1,"temperature":1)", "temperature"},
  {in::both, R"("model":5)", "model"},
};

std::vector<api> apis(in where) {
  if (where == in::both)
    return {api::chat, api::completions};
  return {where == in::chat ? api::chat : api::completions};
}

} // namespace

TEST_CASE("null, empty, default and harmless values are accepted, and so are values at the bounds") {
  for (const auto& row : accepted)
    for (auto which : apis(row.where)) {
      CAPTURE(row.fields);
      const auto parsed = parse(which, row.fields);
      CHECK_MESSAGE(parsed.has_value(), (parsed ? "" : parsed.error().message));
    }
}

TEST_CASE("what asks for something that is not offered, or is out of bounds, is refused by name") {
  for (const auto& row : refused)
    for (auto which : apis(row.where)) {
      if (row.param == "model")
        continue; // has a row of its own below: the field would be there twice
      CAPTURE(row.fields);
      const auto parsed = parse(which, row.fields);
      REQUIRE(!parsed);
      CHECK(parsed.error().param == row.param);
      CHECK(parsed.error().reason == errc::invalid_argument);
      CHECK(parsed.error().message.find("'" + std::string{row.param}) != std::string::npos);
    }
}

TEST_CASE("a range error names field, value and bound") {
  const auto parsed = parse(api::chat, R"("temperature":3.5)");
  REQUIRE(!parsed);
  CHECK(parsed.error().message == "'temperature' is 3.5, but must be between 0 and 2");
}

TEST_CASE("each row of the field table has a test above, and names are unique") {
  std::set<std::string_view> names;
  for (const auto& field : request_fields()) {
    CHECK(names.insert(field.name).second);
    CHECK((field.in_chat || field.in_completions));
    const auto quoted = "\"" + std::string{field.name} + "\":";
    const auto mentions = [&](const auto& row) { return row.fields.find(quoted) != std::string_view::npos; };
    const bool tested = std::any_of(std::begin(refused), std::end(refused), mentions)
                        || std::any_of(std::begin(accepted), std::end(accepted), mentions);
    const bool shape = field.name == "messages" || field.name == "prompt";
    if (!tested && !shape) {
      // Fields that share their reader with a tested one are tried here, by what the table says of them.
      const auto which = field.in_chat ? api::chat : api::completions;
      CAPTURE(field.name);
      const bool taken = parse(which, quoted + R"("x")").has_value();
      CHECK(taken == (field.use == field_use::harmless));
    }
  }
}

TEST_CASE("every refused field is accepted as null where it is known, and elsewhere too") {
  for (const auto& field : request_fields()) {
    if (field.name == "model" || field.name == "messages" || field.name == "prompt")
      continue;
    CAPTURE(field.name);
    CHECK(parse(api::chat, "\"" + std::string{field.name} + "\":null").has_value());
    CHECK(parse(api::completions, "\"" + std::string{field.name} + "\":null").has_value());
  }
}

TEST_CASE("fields reach the request") {
  const auto r = parse(api::chat, R"("temperature":0.5,"top_p":0.25,"top_k":3,"min_p":0.125,"presence_penalty":1,
    "frequency_penalty":-1,"repetition_penalty":2,"seed":-1,"n":3,"max_tokens":9,"stop":["a","bc"],"stream":true,
    "stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":4,"logit_bias":{"7":-3},"priority":-1,
    "stop_token_ids":[5],"ignore_eos":true,"skip_special_tokens":false,"chat_template_kwargs":{"a": [1, true]},
    "add_generation_prompt":false)");
  REQUIRE(r);
  CHECK(r->sampling.temperature == 0.5f);
  CHECK(r->sampling.top_p == 0.25f);
  CHECK(r->sampling.top_k == 3);
  CHECK(r->sampling.min_p == 0.125f);
  CHECK(r->sampling.presence_penalty == 1);
  CHECK(r->sampling.frequency_penalty == -1);
  CHECK(r->sampling.repetition_penalty == 2);
  CHECK(r->seed == 0xffffffffffffffffu);
  CHECK(r->choices == 3);
  CHECK(r->output_tokens_max == 9);
  CHECK(r->stops == std::vector<std::string>{"a", "bc"});
  CHECK(r->stream);
  CHECK(r->stream_usage);
  CHECK(r->sampling.logprobs);
  CHECK(r->sampling.top_logprobs == 4);
  REQUIRE(r->sampling.logit_bias.size() == 1);
  CHECK(r->sampling.logit_bias[0].token == 7);
  CHECK(r->sampling.logit_bias[0].bias == -3);
  CHECK(r->priority == -1);
  CHECK(r->stop_tokens == std::vector<token_id>{5});
  CHECK(r->ignore_end_of_generation);
  CHECK(!r->skip_special_tokens);
  CHECK(r->template_variables == R"({"a":[1,true]})");
  CHECK(!r->add_generation_prompt);
}

TEST_CASE("messages: text parts become one string, developer becomes system, media are refused by name") {
  request_parser parser{{}};
  auto messages = [&](std::string_view list) {
    return parser.parse_completion(api::chat, R"({"model":"m","messages":)" + std::string{list} + "}");
  };
  CHECK(messages(R"([{"role":"user","content":[{"type":"text","text":"a\"\n"},{"type":"text","text":"é"}]}])")->messages
        == R"([{"role":"user","content":"a\"\né"}])");
  CHECK(messages(R"([{"role":"developer","content":"x"}])")->messages == R"([{"role":"system","content":"x"}])");
  CHECK(messages(R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}])")->messages
        == R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}])");
  struct row {
    std::string_view list;
    std::string_view param;
  };
  const row rows[] = {
    {"[]", "messages"},
    {"{}", "messages"},
    {"[5]", "messages"},
    {R"([{"content":"x"}])", "messages[0].role"},
    {R"([{"role":"king","content":"x"}])", "messages[0].role"},
    {R"([{"role":5,"content":"x"}])", "messages[0].role"},
    {R"([{"role":"user","content":"x"},{"role":"user","content":5}])", "messages[1].content"},
    {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])", "messages[0].content[0].type"},
    {R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_audio"}]}])",
     "messages[0].content[1].type"},
    {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0]"},
    {R"([{"role":"user","content":["x"]}])", "messages[0].content[0]"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.list);
    const auto parsed = messages(r.list);
    REQUIRE(!parsed);
    CHECK(parsed.error().param == r.param);
  }
}

TEST_CASE("prompts: a string, ids, and lists of either") {
  request_parser parser{{}};
  auto prompts = [&](std::string_view value) {
    return parser.parse_completion(api::completions, R"({"model":"m","prompt":)" + std::string{value} + "}");
  };
  using ids = std::vector<token_id>;
  CHECK(prompts(R"("a")")->prompts == std::vector<prompt_input>{std::string{"a"}});
  CHECK(prompts(R"(["a","b"])")->prompts == std::vector<prompt_input>{std::string{"a"}, std::string{"b"}});
  CHECK(prompts("[1,2]")->prompts == std::vector<prompt_input>{ids{1, 2}});
  CHECK(prompts("[[1,2],[3]]")->prompts == std::vector<prompt_input>{ids{1, 2}, ids{3}});
  CHECK(prompts(R"(["a",[1]])")->prompts == std::vector<prompt_input>{std::string{"a"}, ids{1}});
  for (auto wrong : {"5", "[]", "{}", "[1,\"a\"]", "[1.5]", "[-1]", "[4294967296]", "[[1],5]", "[[[1]]]", "true"}) {
    CAPTURE(wrong);
    const auto parsed = prompts(wrong);
    REQUIRE(!parsed);
    CHECK(parsed.error().param == "prompt");
  }
  std::string many = "[";
  for (int i = 0; i < 65; ++i)
    many += i > 0 ? ",\"a\"" : "\"a\"";
  CHECK(!prompts(many + "]"));
}

TEST_CASE("what is missing is named") {
  request_parser parser{{}};
  CHECK(parser.parse_completion(api::chat, R"({"messages":[{"role":"user"}]})").error().param == "model");
  CHECK(parser.parse_completion(api::chat, R"({"model":5,"messages":[{"role":"user"}]})").error().param == "model");
  CHECK(parser.parse_completion(api::chat, R"({"model":"m"})").error().param == "messages");
  CHECK(parser.parse_completion(api::completions, R"({"model":"m"})").error().param == "prompt");
  CHECK(parser.parse_tokenize("{}").error().param == "prompt");
  CHECK(parser.parse_detokenize("{}").error().param == "tokens");
}

TEST_CASE("a body is nested 64 levels at most, the root included") {
  request_parser parser{{}};
  auto nested = [&](int levels) {
    return parser.parse_completion(api::completions, R"({"model":"m","prompt":"x","metadata":)"
                                                       + std::string(levels - 1, '[') + std::string(levels - 1, ']')
                                                       + "}");
  };
  CHECK(nested(64).has_value());
  REQUIRE(!nested(65));
  CHECK(nested(65).error().message == "the body is nested more than 64 levels deep");
  CHECK(!nested(1'000'000));
  // A long body needs larger buffers, which keep the limit.
  CHECK(!parser.parse_completion(api::completions,
                                 std::string(100'000, ' ') + std::string(65, '[') + std::string(65, ']')));
}

TEST_CASE("what is no JSON object is refused") {
  request_parser parser{{}};
  for (std::string_view body : {"", " ", "null", "[]", "5", "\"x\"", "{", "{\"model\"", "{\"a\":1}x", "\xff\xfe",
                                "{\"model\":\"\xff\"}", "{\"model\":\"\\ud800\"}", "{'model':1}", "{\"model\":NaN}"}) {
    CAPTURE(body);
    CHECK(!parser.parse_completion(api::chat, body));
  }
}
