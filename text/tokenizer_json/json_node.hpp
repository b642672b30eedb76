// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "messages/errc.hpp"

namespace troupe::text {

/// The first thing that is wrong with a document.
struct json_fault {
  std::optional<error> first;

  void note(const std::string& path, const std::string& why) {
    if (!first)
      first = error{errc::resource, path + ": " + why};
  }
};

/// A value of a parsed document that knows where it stands, so that what is wrong with it can be named. A value that is
/// not there reads as null; one of another type than asked for is noted, and the reading goes on with a default.
class json_node {
public:
  json_node(simdjson::dom::element element, std::string path, json_fault& fault)
    : element_(element), path_(std::move(path)), fault_(&fault) {}
  json_node(std::string path, json_fault& fault) : path_(std::move(path)), fault_(&fault) {}

  bool is_null() const { return !element_ || element_->is_null(); }
  bool is_string() const { return element_ && element_->is_string(); }
  bool is_array() const { return element_ && element_->is_array(); }
  bool is_object() const { return element_ && element_->is_object(); }

  json_node operator[](std::string_view key) const {
    const auto path = path_ + '.' + std::string{key};
    simdjson::dom::element found;
    if (!is_object() || element_->at_key(key).get(found) != simdjson::SUCCESS)
      return {path, *fault_};
    return {found, path, *fault_};
  }

  /// A view into the document; empty if it is no string.
  std::string_view string() const {
    std::string_view value;
    if (!element_ || element_->get_string().get(value) != simdjson::SUCCESS)
      refuse(element_ ? "is no string" : "is missing");
    return value;
  }

  std::string_view string_or(std::string_view otherwise) const { return is_null() ? otherwise : string(); }

  bool boolean(bool otherwise) const {
    bool value = otherwise;
    if (!is_null() && element_->get_bool().get(value) != simdjson::SUCCESS)
      refuse("is neither true nor false");
    return value;
  }

  std::uint64_t number(std::uint64_t most) const {
    std::uint64_t value = 0;
    if (!element_ || element_->get_uint64().get(value) != simdjson::SUCCESS || value > most) {
      refuse(element_ ? "is no number from 0 to " + std::to_string(most) : "is missing");
      return 0;
    }
    return value;
  }

  double real() const {
    double value = 0;
    if (!element_ || element_->get_double().get(value) != simdjson::SUCCESS)
      refuse("is no number");
    return value;
  }

  /// visit(node) for each element, until something is wrong.
  template <class Visit>
  void for_each(Visit visit) const {
    simdjson::dom::array array;
    if (!element_ || element_->get_array().get(array) != simdjson::SUCCESS)
      return refuse(element_ ? "is no array" : "is missing");
    std::size_t index = 0;
    for (const auto element : array) {
      if (fault_->first)
        return;
      visit(json_node{element, path_ + '[' + std::to_string(index++) + ']', *fault_});
    }
  }

  /// visit(key, node) for each field, until something is wrong.
  template <class Visit>
  void for_each_field(Visit visit) const {
    simdjson::dom::object object;
    if (!element_ || element_->get_object().get(object) != simdjson::SUCCESS)
      return refuse(element_ ? "is no object" : "is missing");
    for (const auto field : object) {
      if (fault_->first)
        return;
      visit(field.key, json_node{field.value, path_, *fault_});
    }
  }

  std::size_t size() const {
    simdjson::dom::array array;
    simdjson::dom::object object;
    if (element_ && element_->get_array().get(array) == simdjson::SUCCESS)
      return array.size();
    return element_ && element_->get_object().get(object) == simdjson::SUCCESS ? object.size() : 0;
  }

  void refuse(const std::string& why) const { fault_->note(path_, why); }
  /// For a component of a type that is not supported, or not with these settings.
  void refuse_type(std::string_view type) const { refuse("'" + std::string{type} + "' is not supported"); }

  const std::string& path() const { return path_; }
  bool failed() const { return fault_->first.has_value(); }

private:
  std::optional<simdjson::dom::element> element_;
  std::string path_;
  json_fault* fault_;
};

/// A document of at most 256 MiB and 64 levels.
class json_document {
public:
  /// The root, whose path is `name`; a null node and a fault if the text is no JSON.
  json_node parse(std::string_view text, std::string_view name, json_fault& fault);

private:
  simdjson::dom::parser parser_;
};

} // namespace troupe::text
