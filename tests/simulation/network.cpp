// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/network.hpp"

#include <algorithm>

#include <caf/actor_proxy.hpp>
#include <caf/actor_registry.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

void caf::net::middleman::init(caf::actor_system_config&) { system_.node_ = id_; }

namespace troupe::test {

namespace {

class remote_actor final : public caf::actor_proxy {
public:
  remote_actor(caf::actor_config& cfg, network_port* port) : caf::actor_proxy(cfg), port_(port) {}

  bool enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    if (getf(is_terminated_flag))
      return false; // as CAF's own proxies: whoever cares monitors it
    port_->send(node(), id(), std::move(what));
    return true;
  }
  void kill_proxy(caf::execution_unit* unit, caf::error why) override { cleanup(std::move(why), unit); }

private:
  network_port* port_;
};

/// The machine of an address; one that there is not if it is none of the network's.
host_index host_of(const std::string& address) {
  constexpr std::string_view prefix = "10.0.0.";
  return address.starts_with(prefix) ? static_cast<host_index>(std::stoul(address.substr(prefix.size()))) : 0;
}

} // namespace

std::string address_of(host_index host) { return "10.0.0." + std::to_string(host); }

// -- one process -----------------------------------------------------------------------------------

network_port::network_port(network& net, host_index host, std::uint32_t process, caf::actor_system& system)
  : network_(net), host_(host), process_(process), id_(system.node()), system_(system), proxies_(system, *this),
    unit_(&system) {
  unit_.proxy_registry_ptr(&proxies_);
}

network_port::~network_port() = default;

void network_port::end() {
  middleman_ = caf::io::middleman_actor{};
  listening_.clear();
  proxies_.clear();
}

caf::io::middleman_actor network_port::middleman() {
  if (!middleman_)
    middleman_ = network_.spawn_middleman(*this);
  return middleman_;
}

caf::strong_actor_ptr network_port::make_proxy(caf::node_id node, caf::actor_id id) {
  caf::actor_config cfg;
  auto proxy = caf::make_actor<remote_actor, caf::strong_actor_ptr>(id, node, &system_, cfg, this);
  auto* other = network_.find(node);
  if (!other || !network_.view(*this, *other).up) {
    static_cast<remote_actor*>(caf::actor_cast<caf::abstract_actor*>(proxy))
      ->kill_proxy(nullptr, caf::exit_reason::remote_link_unreachable);
    return proxy;
  }
  // The other process tells us when the actor ends.
  network_.send(*this, *other, [id, me = this](network_port& there) {
    auto tell = [id, me, &there](const caf::error& why) {
      there.network_.send(there, *me,
                          [id, from = there.id_, why](network_port& here) { here.proxies_.erase(from, id, why); });
    };
    if (auto actor = there.system_.registry().get(id))
      actor->get()->attach_functor(tell);
    else
      tell(caf::exit_reason::unknown);
  });
  return proxy;
}

void network_port::send(const caf::node_id& to, caf::actor_id receiver, caf::mailbox_element_ptr what) {
  auto* other = network_.find(to);
  if (!other || dead_)
    return;
  caf::actor_id sender = 0;
  if (what->sender) {
    sender = what->sender->id();
    if (what->sender->node() == id_)
      system_.registry().put(sender, what->sender);
    else
      sender = 0; // a third process' actor: nobody of ours sends in its name
  }
  caf::byte_buffer bytes;
  caf::binary_serializer sink{&unit_, bytes};
  if (!sink.apply(what->payload))
    std::abort(); // a message that cannot cross a wire: a defect of the message
  auto deliver = [receiver, sender, mid = what->mid, bytes = std::move(bytes), from = id_](network_port& here) {
    auto target = here.system_.registry().get(receiver);
    auto source = sender == 0 ? nullptr : here.proxies_.get_or_put(from, sender);
    if (!target) {
      if (mid.is_request())
        caf::detail::sync_request_bouncer{caf::exit_reason::remote_link_unreachable}(source, mid);
      return;
    }
    caf::message payload;
    caf::binary_deserializer in{&here.unit_, bytes};
    if (!in.apply(payload))
      std::abort();
    target->enqueue(caf::make_mailbox_element(std::move(source), mid, {}, std::move(payload)), nullptr);
  };
  network_.send(*this, *other, std::move(deliver));
}

// -- links -----------------------------------------------------------------------------------------

network_port& network::add(host_index host, caf::actor_system& system) {
  ports_.push_back(std::make_unique<network_port>(*this, host, static_cast<std::uint32_t>(ports_.size()), system));
  return *ports_.back();
}

caf::node_id network::next_node_id() const {
  caf::node_id::default_data::host_id_type host{};
  host[0] = 1;
  return caf::make_node_id(static_cast<std::uint32_t>(ports_.size()) + 1, host);
}

network_port* network::find(const caf::node_id& id) {
  auto i = std::ranges::find_if(ports_, [&](auto& p) { return !p->dead_ && p->id_ == id; });
  return i == ports_.end() ? nullptr : i->get();
}

std::chrono::nanoseconds network::latency() {
  auto most = static_cast<std::uint32_t>(latency_max.count());
  // Most are quick, so that the slow ones are overtaken.
  return std::chrono::microseconds{random_.below(4) == 0 ? random_.below(most) + 1 : random_.below(most / 10) + 1};
}

void network::send(network_port& from, network_port& to, frame what) {
  auto& mine = view(from, to);
  if (!mine.up || from.dead_)
    return;
  ++sent_;
  auto deliver = [this, &to, &from, number = mine.number, what = std::move(what)] {
    if (auto& theirs = view(to, from); theirs.up && theirs.number == number)
      what(to);
  };
  if (is_cut(from.host_, to.host_)) {
    mine.held.push_back(std::move(deliver));
    return;
  }
  mine.last_due = std::max(mine.last_due, time_.now() + latency());
  time_.at(mine.last_due, [this, &to, deliver = std::move(deliver)] { arrive(to, deliver); });
}

void network::arrive(network_port& to, std::function<void()> what) {
  if (to.dead_)
    return;
  if (to.frozen_)
    to.kept_.push_back(std::move(what));
  else
    what();
}

void network::lose(network_port& mine, network_port& other) {
  auto& link = view(mine, other);
  if (!link.up || mine.dead_)
    return;
  // The close follows what was sent before it.
  if (!other.dead_)
    send(mine, other, [this, &mine](network_port& there) { lose(there, mine); });
  link.up = false;
  mine.proxies_.erase(other.id_);
}

void network::note_silence(network_port& hearer, network_port& silent, std::function<bool()> still) {
  auto& link = view(hearer, silent);
  if (!link.up)
    return;
  time_.after(silence_max, [this, &hearer, &silent, number = link.number, still = std::move(still)] {
    auto& now = view(hearer, silent);
    if (now.up && now.number == number && still())
      arrive(hearer, [this, &hearer, &silent] { lose(hearer, silent); });
  });
}

void network::kill(network_port& port) {
  port.dead_ = true;
  for (auto& other : ports_)
    if (!other->dead_ && view(*other, port).up) {
      auto gone = [this, other = other.get(), &port] { lose(*other, port); };
      if (is_cut(port.host_, other->host_))
        note_silence(*other, port, [] { return true; });
      else
        time_.after(latency(), [this, other = other.get(), gone] { arrive(*other, gone); });
    }
}

void network::freeze(network_port& port) {
  port.frozen_ = true;
  auto freeze = ++port.freezes_;
  for (auto& other : ports_)
    if (other.get() != &port && !other->dead_)
      note_silence(*other, port, [&port, freeze] { return port.frozen_ && port.freezes_ == freeze; });
}

void network::thaw(network_port& port) {
  port.frozen_ = false;
  // Its heartbeats may look at the clock before they look at what came.
  if (random_.below(2) == 0)
    for (auto& other : ports_)
      if (!view(*other, port).up)
        lose(port, *other);
  for (auto& what : std::exchange(port.kept_, {}))
    what();
}

void network::cut(host_index from, host_index to) {
  auto serial = ++numbers_;
  cuts_[{from, to}] = serial;
  for (auto& a : ports_)
    for (auto& b : ports_)
      if (a->host_ == from && b->host_ == to && !a->dead_ && !b->dead_)
        note_silence(*b, *a, [this, from, to, serial] {
          auto i = cuts_.find({from, to});
          return i != cuts_.end() && i->second == serial;
        });
}

void network::heal(host_index from, host_index to) {
  cuts_.erase({from, to});
  for (auto& a : ports_)
    for (auto& b : ports_)
      if (a->host_ == from && b->host_ == to) {
        auto& link = view(*a, *b);
        link.last_due = std::max(link.last_due, time_.now() + latency());
        for (auto& what : std::exchange(link.held, {}))
          time_.at(link.last_due, [this, to = b.get(), what] { arrive(*to, what); });
      }
}

// -- connecting ------------------------------------------------------------------------------------

void network::establish(network_port& a, network_port& b) {
  a.proxies_.erase(b.id_);
  b.proxies_.erase(a.id_);
  auto number = ++numbers_;
  for (auto* link : {&view(a, b), &view(b, a)}) {
    link->up = true;
    link->number = number;
    link->held.clear();
  }
}

void network::connect(network_port& from, host_index host, std::uint16_t port, caf::io::middleman_actor::pointer self,
                      caf::typed_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> promise,
                      virtual_instant until) {
  time_.after(latency() + latency(), [=, this, &from]() mutable {
    if (from.dead_)
      return;
    auto fail = [&](caf::sec why) {
      connecting_.erase({from.host_, host});
      arrive(from, [self, unit = &from.unit_, promise, why]() mutable {
        self->context(unit); // the actor does not run at the moment
        promise.deliver(caf::make_error(why));
      });
    };
    auto target = std::ranges::find_if(
      ports_, [&](auto& p) { return !p->dead_ && p->host_ == host && p->listening_.contains(port); });
    if (from.frozen_ || is_cut(from.host_, host) || is_cut(host, from.host_)
        || (target != ports_.end() && (*target)->frozen_)) {
      if (time_.now() >= until)
        fail(caf::sec::cannot_connect_to_node);
      else
        time_.after(std::chrono::milliseconds{50},
                    [=, this, &from]() mutable { connect(from, host, port, self, promise, until); });
      return;
    }
    if (target == ports_.end() || target->get() == &from) {
      fail(caf::sec::cannot_connect_to_node);
      return;
    }
    auto& to = **target;
    auto crossed = connecting_.contains({host, from.host_});
    connecting_.erase({from.host_, host});
    auto& mine = view(from, to);
    auto& theirs = view(to, from);
    if (!mine.up && !theirs.up)
      establish(from, to);
    else if (!mine.up || !theirs.up || mine.number != theirs.number) {
      fail(caf::sec::cannot_connect_to_node); // the other side has not noticed yet that the last link is gone
      return;
    }
    if (crossed) {
      note_silence(from, to, [] { return true; });
      note_silence(to, from, [] { return true; });
    }
    auto gate = to.listening_.at(port);
    to.system_.registry().put(gate->id(), gate);
    self->context(&from.unit_);
    promise.deliver(to.id_, from.proxies_.get_or_put(to.id_, gate->id()), std::set<std::string>{});
  });
}

caf::io::middleman_actor network::spawn_middleman(network_port& port) {
  using actor = caf::io::middleman_actor;
  auto no = [] { return caf::make_error(caf::sec::unsupported_operation); };
  return port.system_.spawn([this, &port, no](actor::pointer self) -> actor::behavior_type {
    return {
      [&port](caf::publish_atom, std::uint16_t number, const caf::strong_actor_ptr& who, const std::set<std::string>&,
              const std::string&, bool) -> caf::result<std::uint16_t> {
        port.listening_[number] = who;
        return number;
      },
      [no](caf::open_atom, std::uint16_t, const std::string&, bool) -> caf::result<std::uint16_t> { return no(); },
      [this, &port, self](caf::connect_atom, const std::string& host, std::uint16_t number)
        -> caf::result<caf::node_id, caf::strong_actor_ptr, std::set<std::string>> {
        auto to = host_of(host);
        connecting_.insert({port.host_, to});
        auto promise = self->make_response_promise<caf::node_id, caf::strong_actor_ptr, std::set<std::string>>();
        connect(port, to, number, self, promise, time_.now() + std::chrono::seconds{4});
        return promise;
      },
      [&port](caf::unpublish_atom, const caf::actor_addr&, std::uint16_t number) -> caf::result<void> {
        port.listening_.erase(number);
        return caf::unit;
      },
      [no](caf::close_atom, std::uint16_t) -> caf::result<void> { return no(); },
      [no](caf::spawn_atom, const caf::node_id&, const std::string&, const caf::message&,
           const std::set<std::string>&) -> caf::result<caf::strong_actor_ptr> { return no(); },
      [no](caf::get_atom, caf::group_atom, const caf::node_id&, const std::string&) -> caf::result<caf::actor> {
        return no();
      },
      [no](caf::get_atom, const caf::node_id&) -> caf::result<caf::node_id, std::string, std::uint16_t> {
        return no();
      },
    };
  });
}

} // namespace troupe::test
