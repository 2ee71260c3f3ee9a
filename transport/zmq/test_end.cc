#include "transport/zmq/test_end.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <variant>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::Duration kTurn = absl::Milliseconds(2);

}  // namespace

Message TextMessage(absl::string_view text) { return {{absl::Cord(text)}}; }

std::string TextOf(const Message& message) {
  return absl::StrJoin(message.parts, "|", [](std::string* out, const absl::Cord& part) {
    absl::StrAppend(out, std::string(part));
  });
}

ShortDirectory::ShortDirectory() {
  char name[] = "/tmp/zmq_test_XXXXXX";
  CHECK(mkdtemp(name) != nullptr);
  path_ = name;
}

ShortDirectory::~ShortDirectory() { std::filesystem::remove_all(path_); }

std::string ShortDirectory::Path(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

std::string TestKeys() {
  const char* const folder = std::getenv("TEST_TMPDIR");
  CHECK(folder != nullptr);
  return absl::StrCat(folder, "/keys");
}

absl::StatusOr<OpenedTransport> OpenZmq(const TransportOptions& options) {
  TransportOptions with_keys = options;
  if (with_keys.keys.empty()) with_keys.keys = TestKeys();
  // A worker may be opened first.
  CHECK_OK(MasterKeys::OpenOrCreate(TestKeys(), NewCurvePair).status());
  return OpenTransport(with_keys, {ZmqTransportFactory(), ZmqIpcTransportFactory()});
}

End::End(const TransportOptions& options) {
  absl::StatusOr<OpenedTransport> opened = OpenZmq(options);
  CHECK_OK(opened);
  CHECK(opened->role == options.role);
  transport_ = std::move(opened->transport);
  url_ = std::move(opened->url);
}

std::unique_ptr<End> End::Master(const std::string& url) {
  return std::make_unique<End>(TransportOptions{.url = url, .role = Role::kMaster});
}

std::unique_ptr<End> End::Worker(const std::string& url) {
  return std::make_unique<End>(TransportOptions{.url = url, .role = Role::kWorker});
}

void End::Turn(absl::Duration timeout, size_t max_events) {
  std::vector<TransportEvent> events;
  CHECK_OK(transport_->Poll(timeout, max_events, events));
  CHECK_LE(events.size(), max_events);
  for (TransportEvent& event : events) {
    std::visit([this](auto& one) { Take(one); }, event);
  }
}

absl::Status End::Send(PeerId to, absl::string_view text) {
  return transport_->Send(to, TextMessage(text));
}

std::string End::TakeText() {
  if (messages.empty()) return "";
  std::string text = TextOf(messages.front().message);
  messages.pop_front();
  return text;
}

void End::Take(PeerUp& up) {
  CHECK(up.peer == PeerId{ups.size() + 1}) << "peers count from 1";
  ups.push_back(up.peer);
  identities[up.peer] = std::move(up.identity);
}

void End::Take(PeerDown& down) {
  CHECK(std::find(ups.begin(), ups.end(), down.peer) != ups.end());
  CHECK(downs.emplace(down.peer, std::move(down.reason)).second);
}

void End::Take(Received& received) {
  CHECK(std::find(ups.begin(), ups.end(), received.peer) != ups.end());
  CHECK(!IsDown(received.peer));
  messages.push_back(std::move(received));
}

void End::Take(Writable& writable) {
  CHECK(std::find(ups.begin(), ups.end(), writable.peer) != ups.end());
  CHECK(!IsDown(writable.peer));
  writables.push_back(writable.peer);
}

bool TurnUntil(std::initializer_list<End*> ends, absl::FunctionRef<bool()> done) {
  const absl::Time deadline = Clock::Real().Now() + kPatience;
  while (!done()) {
    if (Clock::Real().Now() > deadline) return false;
    for (End* end : ends) end->Turn(kTurn);
  }
  return true;
}

Joined Join(End& master, const TransportOptions& options) {
  Joined joined{std::make_unique<End>(options), {}};
  End& worker = *joined.end;
  CHECK(TurnUntil({&master, &worker}, [&] { return !worker.ups.empty(); }));
  const size_t before = master.ups.size();
  CHECK_OK(worker.Send(worker.ups[0], "hello"));
  CHECK(TurnUntil({&master, &worker}, [&] { return master.ups.size() > before; }));
  joined.id = master.ups.back();
  CHECK(TurnUntil({&master, &worker}, [&] { return !master.messages.empty(); }));
  CHECK(master.messages.back().peer == joined.id);
  CHECK_EQ(TextOf(master.messages.back().message), "hello");
  master.messages.pop_back();
  return joined;
}

Joined Join(End& master) { return Join(master, {.url = master.url(), .role = Role::kWorker}); }

bool Echoes(End& master, Joined& worker) {
  if (!master.Send(worker.id, "there").ok()) return false;
  End& end = *worker.end;
  if (!TurnUntil({&master, &end}, [&] { return !end.messages.empty(); })) return false;
  if (end.TakeText() != "there" || !end.Send(end.ups.back(), "and back").ok()) return false;
  if (!TurnUntil({&master, &end}, [&] { return !master.messages.empty(); })) return false;
  return master.messages.front().peer == worker.id && master.TakeText() == "and back";
}

}  // namespace taskfarm::zmq_backend
