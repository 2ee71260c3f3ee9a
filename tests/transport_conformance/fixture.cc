#include "tests/transport_conformance/fixture.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "transport/clock.h"

namespace taskfarm::conformance {

void TransportConformance::TearDown() {
  if (master_ != nullptr && !closed_) {
    // Peers may still be sending; what they send now is nobody's concern.
    (void)CloseMaster(absl::ZeroDuration());
  }
  DestroyMaster();
  backend_->StopPeers();
}

void TransportConformance::Start(int peers) {
  OpenMaster();
  StartPeers(peers);
  WaitForPeers(static_cast<size_t>(std::max(peers, expected_peers_)));
}

void TransportConformance::OpenMaster() {
  absl::StatusOr<OpenedTransport> opened = TryOpen(url_, Role::kMaster);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->role, Role::kMaster);
  url_ = opened->url;
  expected_peers_ = opened->expected_peers;
  master_ = std::make_unique<CheckedTransport>(*std::move(opened));
  closed_ = false;
  peers_.clear();
  states_.clear();
}

void TransportConformance::WaitForPeers(size_t count) {
  const auto all_there = [&] {
    return peers_.size() >= count && std::all_of(peers_.begin(), peers_.end(),
                                                 [&](PeerId peer) { return state(peer).greeted; });
  };
  ASSERT_TRUE(TurnUntil(all_there)) << peers_.size() << " peers";
}

absl::Status TransportConformance::CloseMaster(absl::Duration linger) {
  closed_ = true;
  return master_->Close(linger);
}

void TransportConformance::DestroyMaster() {
  if (master_ == nullptr) return;
  for (const std::string& violation : master_->violations()) ADD_FAILURE() << violation;
  master_.reset();
}

absl::StatusOr<OpenedTransport> TransportConformance::TryOpen(const std::string& url, Role role) {
  TransportOptions options = SuiteOptions();
  options.url = url;
  options.role = role;
  return OpenTransport(options, {backend_->factory()});
}

void TransportConformance::Turn(size_t max_events) {
  const absl::Duration wait = backend_->Pump();
  if (master_ == nullptr || closed_) return;
  events_.clear();
  const absl::Status status = master_->Poll(wait, max_events, events_);
  ASSERT_TRUE(status.ok()) << status;
  for (TransportEvent& event : events_) Handle(event);
}

void TransportConformance::Handle(TransportEvent& event) {
  if (const PeerUp* up = std::get_if<PeerUp>(&event)) {
    peers_.push_back(up->peer);
  } else if (PeerDown* down = std::get_if<PeerDown>(&event)) {
    states_[down->peer].down = std::move(down->reason);
  } else if (const Writable* writable = std::get_if<Writable>(&event)) {
    ++states_[writable->peer].writables;
  } else {
    Received& received = std::get<Received>(event);
    PeerState& state = states_[received.peer];
    const absl::Cord& first = received.message.parts.front();
    if (first == "!hello") {
      state.greeted = true;
    } else if (first.StartsWith("!")) {
      state.answers.push_back(std::string(first));
    } else {
      state.messages.push_back(std::move(received.message));
    }
  }
}

testing::AssertionResult TransportConformance::TurnUntil(absl::FunctionRef<bool()> done) {
  const absl::Time deadline = Clock::Real().Now() + kPatience;
  while (!done()) {
    if (Clock::Real().Now() > deadline) return testing::AssertionFailure() << "waited in vain";
    Turn();
  }
  return testing::AssertionSuccess();
}

void TransportConformance::Send(PeerId peer, Message message) {
  while (true) {
    const int writables = state(peer).writables;
    const absl::Status status = master_->Send(peer, std::move(message));
    if (status.ok()) return;
    ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    ASSERT_TRUE(TurnUntil([&] { return state(peer).writables > writables; }));
  }
}

void TransportConformance::Command(PeerId peer, absl::string_view command) {
  Send(peer, {{absl::Cord(command)}});
}

void TransportConformance::Hold(PeerId peer, SideChannel& gate) {
  SideChannel holding;
  Command(peer, absl::StrCat("!hold ", gate.path(), " ", holding.path()));
  ASSERT_TRUE(TurnUntil([&] { return holding.WaitReadable(absl::ZeroDuration()); }));
}

Message TransportConformance::NextMessage(PeerId peer) {
  std::deque<Message>& messages = state(peer).messages;
  EXPECT_TRUE(TurnUntil([&] { return !messages.empty() || IsDown(peer); }));
  if (messages.empty()) {
    ADD_FAILURE() << "no message";
    return {{absl::Cord()}};
  }
  Message message = std::move(messages.front());
  messages.pop_front();
  return message;
}

std::string TransportConformance::NextAnswer(PeerId peer) {
  std::deque<std::string>& answers = state(peer).answers;
  EXPECT_TRUE(TurnUntil([&] { return !answers.empty() || IsDown(peer); }));
  if (answers.empty()) {
    ADD_FAILURE() << "no answer";
    return "";
  }
  std::string answer = std::move(answers.front());
  answers.pop_front();
  return answer;
}

Report TransportConformance::ReportOf(PeerId peer) {
  Command(peer, "!report");
  return ParseReport(absl::StripPrefix(NextAnswer(peer), "!report "));
}

Report TransportConformance::ReportFrom(SideChannel& channel) {
  EXPECT_TRUE(TurnUntil([&] { return channel.WaitReadable(backend_->Pump()); }));
  return ParseReport(channel.Read());
}

void TransportConformance::ExpectEcho(PeerId peer, const Message& message) {
  Command(peer, "!echo");
  Send(peer, message);
  const Message back = NextMessage(peer);
  ASSERT_EQ(back.parts.size(), message.parts.size());
  for (size_t i = 0; i < message.parts.size(); ++i) {
    // Not EXPECT_EQ: it would print hundreds of MiB.
    EXPECT_TRUE(back.parts[i] == message.parts[i]) << "part " << i;
  }
}

}  // namespace taskfarm::conformance
