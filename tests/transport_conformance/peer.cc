#include "tests/transport_conformance/peer.h"

#include <iostream>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace taskfarm::conformance {
namespace {

// Messages a round sends before it looks at what came in.
constexpr int kSendsPerStep = 16;

int64_t Number(absl::string_view text) {
  int64_t number;
  CHECK(absl::SimpleAtoi(text, &number)) << std::string(text);
  return number;
}

Message TextMessage(absl::string_view text) { return {{absl::Cord(text)}}; }

}  // namespace

std::string FormatReport(const Report& report) {
  return absl::StrJoin(report, " ", absl::PairFormatter("="));
}

Report ParseReport(absl::string_view text) {
  Report report;
  for (const absl::string_view field : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(field, '=');
    report[pair.first] = Number(pair.second);
  }
  return report;
}

Peer::Peer(OpenedTransport opened, bool leaves_with_master)
    : leaves_with_master_(leaves_with_master), transport_(std::move(opened)) {}

bool Peer::Step(absl::Duration timeout) {
  if (closed_) return false;
  if (stopped_.load()) {
    Close(absl::ZeroDuration());
    return false;
  }
  if (hold_.has_value()) {
    if (!hold_->WaitReadable(timeout)) return true;
    hold_.reset();
  }
  SendWhatCanBeSent();
  if (closed_) return false;
  const bool more_to_send = stream_next_ < stream_end_ && master_.has_value() && !blocked_;
  // One event at a time, so that nothing more is taken after a command to hold.
  std::vector<TransportEvent> events;
  const absl::Status status =
      transport_.Poll(more_to_send ? absl::ZeroDuration() : timeout, 1, events);
  if (!status.ok()) {
    closed_ = true;
    return false;
  }
  for (TransportEvent& event : events) {
    std::visit([this](auto& one) { Handle(one); }, event);
  }
  return !closed_;
}

void Peer::Stop() {
  stopped_.store(true);
  transport_.Wake();
}

void Peer::Handle(const PeerUp& up) {
  ++ups_;
  master_ = up.peer;
  blocked_ = false;
  answers_.push_back(TextMessage("!hello"));
}

void Peer::Handle(const PeerDown& down) {
  ++downs_;
  if (down.reason.ok()) ++orderly_;
  master_.reset();
  answers_.clear();
  stream_end_ = stream_next_;
  if (!report_at_.empty()) SideChannel(report_at_).Write(FormatReport(MakeReport()));
  report_at_.clear();
  if (leaves_with_master_) Close(absl::ZeroDuration());
}

void Peer::Handle(Received& received) {
  const absl::Cord& first = received.message.parts.front();
  if (first.StartsWith("!")) {
    Obey(std::string(first));
  } else if (echo_) {
    answers_.push_back(std::move(received.message));
  } else {
    received_.Take(received.message);
  }
}

void Peer::Handle(const Writable&) {
  ++writables_;
  blocked_ = false;
}

void Peer::Obey(absl::string_view command) {
  const std::vector<std::string> words = absl::StrSplit(command, ' ');
  const std::string& verb = words[0];
  if (verb == "!echo") {
    echo_ = true;
  } else if (verb == "!hold") {
    hold_.emplace(words.at(1));
    SideChannel(words.at(2)).Write("holding");
  } else if (verb == "!send") {
    stream_next_ = 0;
    stream_end_ = static_cast<uint64_t>(Number(words.at(1)));
    stream_bytes_ = static_cast<size_t>(Number(words.at(2)));
  } else if (verb == "!finish") {
    finish_ = absl::Milliseconds(Number(words.at(1)));
  } else if (verb == "!close") {
    Close(absl::Milliseconds(Number(words.at(1))));
  } else if (verb == "!oversize") {
    TryOversize(static_cast<size_t>(Number(words.at(1))), static_cast<size_t>(Number(words.at(2))));
  } else if (verb == "!report") {
    answers_.push_back(TextMessage(absl::StrCat("!report ", FormatReport(MakeReport()))));
  } else if (verb == "!report_at") {
    report_at_ = words.at(1);
  } else {
    CHECK(false) << "unknown command " << verb;
  }
}

void Peer::TryOversize(size_t parts, size_t bytes) {
  const absl::Status status = transport_.Send(*master_, ShapedMessage(parts, bytes));
  answers_.push_back(
      TextMessage(absl::StrCat("!status ", absl::StatusCodeToString(status.code()))));
}

void Peer::SendWhatCanBeSent() {
  if (!master_.has_value()) return;
  for (int i = 0; i < kSendsPerStep && !blocked_; ++i) {
    if (!answers_.empty()) {
      if (TrySend(answers_.front())) answers_.pop_front();
    } else if (stream_next_ < stream_end_) {
      Message message = NumberedMessage(stream_next_, stream_bytes_);
      if (TrySend(message)) ++stream_next_;
    } else {
      if (finish_.has_value()) Close(*finish_);
      return;
    }
  }
}

// False: refused. What the master is no longer there to take counts as sent.
bool Peer::TrySend(Message& message) {
  const absl::Status status = transport_.Send(*master_, std::move(message));
  blocked_ = status.code() == absl::StatusCode::kResourceExhausted;
  return !blocked_;
}

void Peer::Close(absl::Duration linger) {
  closed_ = true;
  // Whether everything left in time is for the test to see, at the other end.
  transport_.Close(linger).IgnoreError();
}

Report Peer::MakeReport() const {
  for (const std::string& violation : transport_.violations()) {
    std::cerr << "at a peer: " << violation << std::endl;
  }
  return {{"ups", ups_},
          {"downs", downs_},
          {"orderly", orderly_},
          {"received", static_cast<int64_t>(received_.count())},
          {"intact", received_.intact() ? 1 : 0},
          {"refusals", static_cast<int64_t>(transport_.refusals())},
          {"writables", writables_},
          {"violations", static_cast<int64_t>(transport_.violations().size())}};
}

void RunPeer(Peer& peer) {
  while (peer.Step(absl::Milliseconds(100))) {
  }
}

}  // namespace taskfarm::conformance
