// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/metrics_text.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string_view>

#include <unistd.h>

#include <fmt/format.h>

namespace troupe {

namespace {

namespace telemetry = caf::telemetry;

std::string_view view(caf::string_view text) { return {text.data(), text.size()}; }

void append_number(std::string& out, std::int64_t value) { out += std::to_string(value); }

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    // The shortest digits that read back, as Prometheus itself writes them: 0.0005, not 5e-04.
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_name(std::string& out, std::string_view name) {
  for (char c : name)
    out += c == '.' || c == '-' ? '_' : c;
}

/// Of a help text and of a label's value; quotes are escaped in the latter alone.
void append_escaped(std::string& out, std::string_view text, std::string_view escaped) {
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (escaped.find(c) != std::string_view::npos)
      out += '\\';
    out += c;
  }
}

/// Called by the registry for each metric, those of a family in a row.
class writer {
public:
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::dbl_counter* x) {
    sample(family, metric, "counter", x->value());
  }
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::int_counter* x) {
    sample(family, metric, "counter", x->value());
  }
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::dbl_gauge* x) {
    sample(family, metric, "gauge", x->value());
  }
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::int_gauge* x) {
    sample(family, metric, "gauge", x->value());
  }
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::dbl_histogram* x) {
    histogram(family, metric, *x);
  }
  void operator()(const telemetry::metric_family* family, const telemetry::metric* metric,
                  const telemetry::int_histogram* x) {
    histogram(family, metric, *x);
  }

  std::string take() { return std::move(out_); }

private:
  void begin(const telemetry::metric_family* family, std::string_view type) {
    if (family == family_)
      return;
    family_ = family;
    name_.clear();
    append_name(name_, family->prefix());
    name_ += '_';
    append_name(name_, family->name());
    if (family->unit() != "1") {
      name_ += '_';
      append_name(name_, family->unit());
    }
    if (family->is_sum() && type == "counter")
      name_ += "_total";
    out_ += "# HELP " + name_ + " ";
    append_escaped(out_, family->helptext(), "\\");
    out_ += "\n# TYPE " + name_ + " ";
    out_ += type;
    out_ += '\n';
  }

  void labels(const telemetry::metric* metric, std::string_view bound) {
    char separator = '{';
    for (const auto& label : metric->labels()) {
      out_ += separator;
      separator = ',';
      append_name(out_, view(label.name()));
      out_ += "=\"";
      append_escaped(out_, view(label.value()), "\\\"");
      out_ += '"';
    }
    if (!bound.empty()) {
      out_ += separator;
      separator = ',';
      out_ += "le=\"";
      out_ += bound;
      out_ += '"';
    }
    if (separator == ',')
      out_ += '}';
  }

  template <class Value>
  void line(std::string_view suffix, const telemetry::metric* metric, std::string_view bound, Value value) {
    out_ += name_;
    out_ += suffix;
    labels(metric, bound);
    out_ += ' ';
    append_number(out_, value);
    out_ += '\n';
  }

  template <class Value>
  void sample(const telemetry::metric_family* family, const telemetry::metric* metric, std::string_view type,
              Value value) {
    begin(family, type);
    line({}, metric, {}, value);
  }

  template <class Histogram>
  void histogram(const telemetry::metric_family* family, const telemetry::metric* metric, const Histogram& x) {
    begin(family, "histogram");
    // CAF counts per bucket, Prometheus up to each bound; the last bucket is everything.
    std::int64_t total = 0;
    const auto buckets = x.buckets();
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      total += buckets[i].count.value();
      std::string bound = "+Inf";
      if (i + 1 < buckets.size()) {
        bound.clear();
        append_number(bound, buckets[i].upper_bound);
      }
      line("_bucket", metric, bound, total);
    }
    line("_sum", metric, {}, x.sum());
    line("_count", metric, {}, total);
  }

  std::string out_;
  const telemetry::metric_family* family_ = nullptr;
  std::string name_;
};

std::int64_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::int64_t size = 0;
  std::int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

double start_seconds() {
  // As good as the kernel's own figure: this object is made when the process starts.
  static const double start =
    std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return start;
}

[[maybe_unused]] const double start_of_process = start_seconds();

template <class Value>
void append_gauge(std::string& out, std::string_view name, std::string_view help, Value value) {
  for (auto part : {std::string_view{"# HELP "}, name, std::string_view{" "}, help, std::string_view{"\n# TYPE "}, name,
                    std::string_view{" gauge\n"}, name, std::string_view{" "}})
    out += part;
  append_number(out, value);
  out += '\n';
}

} // namespace

std::string metrics_text(const caf::telemetry::metric_registry& registry) {
  writer w;
  registry.collect(w);
  auto out = w.take();
  append_gauge(out, "process_resident_memory_bytes", "Resident memory of the process.", resident_bytes());
  append_gauge(out, "process_start_time_seconds", "Start of the process, in seconds since 1970.", start_seconds());
  return out;
}

} // namespace troupe
