#include "worker/master_double.h"

#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "google/protobuf/arena.h"
#include "protocol/codec.h"
#include "protocol/task_codec.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/open_transport.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxShownBytes = 40;

std::string ResultText(const FinishedWork& finished) {
  std::string text = absl::StrCat(Value(finished.task), ".", Value(finished.attempt), " ",
                                  OutcomeName(finished.outcome));
  const absl::Cord& output =
      finished.is_command ? finished.command.standard_output : finished.reply;
  if (output.size() > kMaxShownBytes) {
    absl::StrAppend(&text, " (", output.size(), " bytes)");
  } else if (!output.empty()) {
    absl::StrAppend(&text, " '", std::string(output), "'");
  }
  if (!finished.status.ok()) absl::StrAppend(&text, " ", finished.status.message());
  return text;
}

std::string HelloText(const protocol::Hello& hello) {
  std::string text = "hello";
  if (hello.held_size() > 0) {
    absl::StrAppend(&text, " with ", hello.slots(), " slots, from ", hello.previous_epoch(),
                    " holding");
  }
  for (const protocol::HeldTask& held : hello.held()) {
    absl::StrAppend(&text, " ", held.id(), ".", held.attempt(), "/", held.key_low());
  }
  return text;
}

}  // namespace

std::string MessageText(const protocol::Envelope& envelope, const Message& message) {
  switch (envelope.body_case()) {
    case protocol::Envelope::kHello:
      return HelloText(envelope.hello());
    case protocol::Envelope::kHeartbeat:
      return "heartbeat";
    case protocol::Envelope::kDrain:
      return "drain";
    case protocol::Envelope::kGoodbye:
      return absl::StrCat("goodbye: ", envelope.goodbye().reason());
    case protocol::Envelope::kRecalled: {
      std::string text = absl::StrCat("recalled #", envelope.recalled().recall_id(), ":");
      for (const protocol::TaskRef& task : envelope.recalled().tasks()) {
        absl::StrAppend(&text, " ", task.id(), ".", task.attempt());
      }
      return text;
    }
    case protocol::Envelope::kResult: {
      std::string text = absl::StrCat("result #", envelope.result().sequence(), ":");
      for (const protocol::TaskResult& result : envelope.result().results()) {
        absl::StrAppend(&text, " ", ResultText(ResultFromWire(result, message)));
      }
      return text;
    }
    default:
      return absl::StrCat("unexpected: ", envelope.ShortDebugString());
  }
}

MasterDouble::MasterDouble(std::shared_ptr<InprocNetwork> network, size_t send_window_messages) {
  TransportOptions options;
  options.url = "inproc:";
  options.role = Role::kMaster;
  options.send_window_messages = send_window_messages;
  absl::StatusOr<OpenedTransport> opened =
      OpenTransport(options, {InprocTransportFactory(std::move(network))});
  CHECK_OK(opened);
  transport_ = std::move(opened->transport);
}

MasterDouble::~MasterDouble() {
  if (transport_ == nullptr) return;
  for (const std::string& line : Hear()) CHECK(line == "down") << "not expected: " << line;
}

std::vector<std::string> MasterDouble::Hear(absl::Duration timeout) {
  Poll(absl::ZeroDuration());
  if (heard_.empty()) Poll(timeout);
  return std::exchange(heard_, {});
}

void MasterDouble::Poll(absl::Duration timeout) {
  std::vector<TransportEvent> events;
  CHECK_OK(transport_->Poll(timeout, 100'000, events));
  for (const TransportEvent& event : events) {
    if (const auto* const up = std::get_if<PeerUp>(&event); up != nullptr) {
      peer_ = up->peer;
      heard_.push_back("up");
    } else if (std::holds_alternative<PeerDown>(event)) {
      heard_.push_back("down");
    } else if (const auto* const received = std::get_if<Received>(&event); received != nullptr) {
      google::protobuf::Arena arena;
      const auto envelope = DecodeEnvelope(received->message, arena);
      CHECK_OK(envelope);
      const bool is_hello = (*envelope)->has_hello();
      CHECK_EQ((*envelope)->epoch(), is_hello ? 0 : kEpoch);
      heard_.push_back(MessageText(**envelope, received->message));
    }
  }
}

void MasterDouble::Say(protocol::Envelope envelope, uint64_t epoch) {
  envelope.set_epoch(epoch);
  CHECK_OK(transport_->Send(peer_, EncodeEnvelope(envelope, Message{})));
}

void MasterDouble::SayWelcome(uint64_t worker, uint64_t epoch) {
  protocol::Envelope envelope;
  envelope.mutable_welcome()->set_worker_id(worker);
  envelope.mutable_welcome()->set_heartbeat_interval_ns(1'000'000'000);
  envelope.mutable_welcome()->set_lease_ns(10'000'000'000);
  Say(std::move(envelope), epoch);
}

void MasterDouble::Assign(const std::vector<TaskWork>& tasks) {
  google::protobuf::Arena arena;
  AssignBatch batch(kEpoch, arena);
  for (const TaskWork& task : tasks) CHECK(batch.Add(task));
  CHECK_OK(transport_->Send(peer_, batch.Take()));
}

void MasterDouble::Acknowledge(uint64_t sequence) {
  protocol::Envelope envelope;
  envelope.mutable_result_ack()->set_sequence(sequence);
  Say(std::move(envelope));
}

void MasterDouble::SayRaw(absl::string_view part) {
  CHECK_OK(transport_->Send(peer_, Message{{absl::Cord(part)}}));
}

void MasterDouble::Close() {
  transport_->Close(absl::ZeroDuration()).IgnoreError();  // the worker may have more to read
  transport_.reset();
}

TaskWork FunctionTask(uint64_t task, absl::string_view request, uint32_t function) {
  TaskWork work;
  work.task = TaskId{task};
  work.attempt = Attempt{1};
  work.key = TaskKey{1, task + 100};
  work.work = FunctionWork{.function = function, .request = absl::Cord(request)};
  return work;
}

}  // namespace taskfarm
