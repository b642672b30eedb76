// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/scope_analysis.hpp"

#include <unordered_set>
#include <utility>

namespace troupe::text::jinja {

namespace {

/// Names that one block knows from the start: parameters, loop variables.
using names = std::vector<symbol>;

class analyzer {
public:
  explicit analyzer(program& out) : out_(out), outer_(out.names.size(), 0) {}

  void analyze(const block& body, const names& given) {
    frame f;
    f.known.insert(given.begin(), given.end());
    read_block(body, f, certainty::always);
    if (!f.hidden.empty())
      out_.hidden.emplace(&body, std::move(f.hidden));
    for (const symbol s : f.known)
      ++outer_[s];
    visit_inner(body);
    for (const symbol s : f.known)
      --outer_[s];
  }

private:
  enum class certainty : std::uint8_t { always, perhaps };

  struct frame {
    std::unordered_set<symbol> known;
    std::vector<symbol> hidden;
  };

  void load(symbol name, frame& f) {
    if (outer_[name] == 0)
      f.known.insert(name);
  }

  void store(symbol name, frame& f, certainty when) {
    if (f.known.insert(name).second && outer_[name] == 0 && when == certainty::always)
      f.hidden.push_back(name);
  }

  /// With a stack of its own: a chain of operators is as deep as it is long.
  void load_all(const expression* root, frame& f) {
    std::vector<const expression*> left{root};
    while (!left.empty()) {
      const expression* e = left.back();
      left.pop_back();
      if (e == nullptr)
        continue;
      if (e->kind == expression_kind::variable)
        load(e->name, f);
      left.insert(left.end(), e->operands.begin(), e->operands.end());
      for (const auto& keyword : e->keywords)
        left.push_back(keyword.content);
      left.push_back(e->star);
      left.push_back(e->star_star);
    }
  }

  void store_target(const target& to, frame& f, certainty when) {
    if (to.is_tuple)
      for (const target& part : to.parts)
        store_target(part, f, when);
    else if (to.attribute.empty())
      store(to.name, f, when);
    else
      load(to.name, f);
  }

  /// What the block itself reads and assigns, in order, without its inner blocks.
  void read_block(const block& body, frame& f, certainty when) {
    for (const statement& s : body) {
      if (const auto* output = std::get_if<output_node>(&s.node)) {
        load_all(output->content, f);
      } else if (const auto* choice = std::get_if<if_node>(&s.node)) {
        for (const if_branch& branch : choice->branches) {
          load_all(branch.condition, f);
          read_block(branch.body, f, certainty::perhaps);
        }
      } else if (const auto* loop = std::get_if<for_node>(&s.node)) {
        load_all(loop->items, f);
      } else if (const auto* set = std::get_if<set_node>(&s.node)) {
        load_all(set->content, f);
        store_target(set->to, f, when);
      } else if (const auto* set_block = std::get_if<set_block_node>(&s.node)) {
        store_target(set_block->to, f, when);
      } else if (const auto* macro = std::get_if<macro_node>(&s.node)) {
        store(macro->variable, f, when);
      } else if (const auto* call = std::get_if<call_block_node>(&s.node)) {
        load_all(call->call, f);
      } else if (const auto* filter = std::get_if<filter_block_node>(&s.node)) {
        load_all(filter->filters, f);
      } else if (const auto* with = std::get_if<with_node>(&s.node)) {
        for (const expression* e : with->values)
          load_all(e, f);
      }
    }
  }

  static void collect(const target& to, names& out) {
    for (const target& part : to.parts)
      collect(part, out);
    if (!to.is_tuple)
      out.push_back(to.name);
  }

  void analyze_macro(const macro_node& macro) {
    names given{out_.caller, out_.kwargs, out_.varargs};
    for (const parameter& p : macro.parameters)
      given.push_back(p.name);
    analyze(macro.body, given);
  }

  void visit_inner(const block& body) {
    for (const statement& s : body) {
      if (const auto* choice = std::get_if<if_node>(&s.node)) {
        for (const if_branch& branch : choice->branches)
          visit_inner(branch.body);
      } else if (const auto* loop = std::get_if<for_node>(&s.node)) {
        names given{out_.loop};
        collect(loop->item, given);
        analyze(loop->body, given);
        analyze(loop->otherwise, {});
      } else if (const auto* set_block = std::get_if<set_block_node>(&s.node)) {
        analyze(set_block->body, {});
      } else if (const auto* macro = std::get_if<macro_node>(&s.node)) {
        analyze_macro(*macro);
      } else if (const auto* call = std::get_if<call_block_node>(&s.node)) {
        analyze_macro(call->caller);
      } else if (const auto* filter = std::get_if<filter_block_node>(&s.node)) {
        analyze(filter->body, {});
      } else if (const auto* with = std::get_if<with_node>(&s.node)) {
        names given;
        for (const target& to : with->targets)
          collect(to, given);
        analyze(with->body, given);
      } else if (const auto* inner = std::get_if<scope_node>(&s.node)) {
        analyze(inner->body, {});
      }
    }
  }

  program& out_;
  /// By symbol: how many blocks around the current one know it.
  std::vector<std::uint32_t> outer_;
};

} // namespace

void find_hidden_names(program& p) { analyzer{p}.analyze(p.body, {}); }

} // namespace troupe::text::jinja
