// A worker with a key that is let in, and bad intentions. It joins a farm of commands and then does
// what --does says, until the master ends the connection:
//
//   silence   takes tasks, says that it is alive, and nothing else
//   deafness  takes tasks and never reads or says anything again
//   chatter   says that it is alive as fast as it can
//   flood     sends results that nobody asked it for, as fast as it can
//   replay    answers each task rightly, and then once more with another output
//   forgery   answers tasks with results of those that others were given
//
// Prints a line when it has joined, when it has been given a task, when it has forged, and why it
// was at its end.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "flags/parse.h"
#include "google/protobuf/arena.h"
#include "protocol/codec.h"
#include "protocol/taskfarm.pb.h"
#include "transport/open_transport.h"
#include "transport/transport.h"
#include "transport/zmq/zmq_transport.h"
#include "worker/registry.h"

ABSL_FLAG(std::string, transport, "", "where the master listens");
ABSL_FLAG(std::string, keys, "", "key file");
ABSL_FLAG(std::string, does, "silence", "what it does");

namespace taskfarm {
namespace {

constexpr size_t kMaxEvents = 64;
constexpr uint32_t kSlots = 64;

void Print(absl::string_view line) {
  std::printf("%s\n", std::string(line).c_str());
  std::fflush(stdout);
}

class HostileWorker {
 public:
  HostileWorker(std::unique_ptr<Transport> transport, std::string does)
      : transport_(std::move(transport)), does_(std::move(does)) {}

  // Returns why it has ended.
  absl::Status Run() {
    while (end_.ok()) {
      const bool is_busy = joined_ && (does_ == "chatter" || does_ == "flood") && !is_blocked_;
      std::vector<TransportEvent> events;
      absl::Status polled = transport_->Poll(
          is_busy ? absl::ZeroDuration() : absl::Milliseconds(200), kMaxEvents, events);
      if (!polled.ok()) return polled;
      for (const TransportEvent& event : events) {
        std::visit([this](const auto& of_a_kind) { On(of_a_kind); }, event);
      }
      if (joined_ && end_.ok() && (is_busy || events.empty())) Act();
    }
    return end_;
  }

 private:
  void On(const PeerUp& up) {
    master_ = up.peer;
    protocol::Envelope hello;
    hello.mutable_hello()->set_program_digest(Registry().Digest());
    hello.mutable_hello()->set_slots(kSlots);
    hello.mutable_hello()->set_hostname("hostile");
    hello.mutable_hello()->set_pid(1);
    Send(hello);
  }

  void On(const PeerDown& down) {
    end_ = down.reason.ok() ? absl::UnavailableError("the master has hung up") : down.reason;
  }

  void On(const Writable&) { is_blocked_ = false; }

  void On(const Received& received) {
    google::protobuf::Arena arena;
    const absl::StatusOr<protocol::Envelope*> decoded = DecodeEnvelope(received.message, arena);
    CHECK_OK(decoded);
    const protocol::Envelope& envelope = **decoded;
    if (envelope.has_welcome()) {
      epoch_ = envelope.epoch();
      joined_ = true;
      Print("joined");
    } else if (envelope.has_reject()) {
      end_ = absl::PermissionDeniedError(envelope.reject().text());
    } else if (envelope.has_goodbye()) {
      end_ = absl::CancelledError(envelope.goodbye().reason());
    }
    for (const protocol::Task& task : envelope.assign().tasks()) Take(task);
    // It will be given no more, so whatever it was not given is another's.
    if (envelope.has_heartbeat() && leaves_ && does_ == "forgery") Forge();
  }

  void Take(const protocol::Task& task) {
    Print(absl::StrCat("was given task ", task.id()));
    given_.insert(task.id());
    if (does_ == "deafness") {
      while (true) pause();
    } else if (does_ == "replay") {
      absl::string_view output = task.command().argv(task.command().argv_size() - 1);
      absl::ConsumePrefix(&output, "echo ");
      Answer(task.id(), task.attempt(), absl::StrCat(output, "\n"));
      Answer(task.id(), task.attempt(), "replayed\n");
    } else if (does_ == "forgery" && !std::exchange(leaves_, true)) {
      protocol::Envelope envelope;
      envelope.mutable_drain();
      Send(envelope);
      envelope.mutable_heartbeat()->set_sent_ns(1);
      Send(envelope);
    }
  }

  // As many results as it owes, of the newest tasks that others were given.
  void Forge() {
    if (std::exchange(has_forged_, true)) return;
    size_t owed = given_.size();
    for (uint64_t id = *std::max_element(given_.begin(), given_.end()); id > 0 && owed > 0; --id) {
      if (given_.contains(id)) continue;
      Answer(id, 1, "forged\n");
      --owed;
    }
    Print("has forged");
  }

  void Act() {
    if (does_ == "flood") {
      ++flooded_;
      Answer(flooded_ % 1000 + 1, 1, "flooded\n");
    } else {
      protocol::Envelope alive;
      alive.mutable_heartbeat()->set_sent_ns(1);
      Send(alive);
    }
  }

  void Answer(uint64_t id, uint32_t attempt, const std::string& output) {
    protocol::Envelope envelope;
    envelope.mutable_result()->set_sequence(++sequence_);
    protocol::TaskResult& result = *envelope.mutable_result()->add_results();
    result.set_id(id);
    result.set_attempt(attempt);
    result.set_outcome(protocol::OK);
    result.set_queued_ns(1);
    result.mutable_command()->set_stdout(output);
    result.mutable_command()->set_stdout_total_bytes(output.size());
    Send(envelope);
  }

  void Send(protocol::Envelope& envelope) {
    if (!envelope.has_hello()) envelope.set_epoch(epoch_);
    Message message = EncodeEnvelope(envelope, Message());
    is_blocked_ = absl::IsResourceExhausted(transport_->Send(master_, std::move(message)));
  }

  const std::unique_ptr<Transport> transport_;
  const std::string does_;
  PeerId master_{};
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
  uint64_t flooded_ = 0;
  absl::flat_hash_set<uint64_t> given_;
  bool joined_ = false;
  bool leaves_ = false;
  bool has_forged_ = false;
  bool is_blocked_ = false;
  absl::Status end_;
};

int Main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  CHECK_OK(ParseCommandLine(arguments));
  TransportOptions options;
  options.url = absl::GetFlag(FLAGS_transport);
  options.role = Role::kWorker;
  options.keys = absl::GetFlag(FLAGS_keys);
  absl::StatusOr<OpenedTransport> opened = OpenTransport(options, {ZmqTransportFactory()});
  CHECK_OK(opened);
  HostileWorker worker(std::move(opened->transport), absl::GetFlag(FLAGS_does));
  Print(absl::StrCat("ended: ", worker.Run().message()));
  return 0;
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::Main(argc, argv); }
