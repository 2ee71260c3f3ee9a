#include "tests/fuzz/some_envelope.h"

#include "absl/strings/cord.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

constexpr Envelope::BodyCase kBodies[] = {
    Envelope::kHello,     Envelope::kWelcome, Envelope::kReject, Envelope::kAssign,
    Envelope::kResult,    Envelope::kResult,  Envelope::kResult, Envelope::kResultAck,
    Envelope::kHeartbeat, Envelope::kCancel,  Envelope::kRecall, Envelope::kRecalled,
    Envelope::kDrain,     Envelope::kGoodbye,
};
constexpr int kMaxElements = 6;

class Writer {
 public:
  Writer(FuzzedDataProvider& input, const Surroundings& surroundings)
      : input_(input), surroundings_(surroundings) {}

  Envelope Write() {
    Envelope envelope;
    envelope.set_version(kProtocolVersion);
    const Envelope::BodyCase body = input_.PickValueInArray(kBodies);
    const bool has_epoch = body != Envelope::kHello && body != Envelope::kReject;
    if (has_epoch) envelope.set_epoch(Near(surroundings_.epoch));
    Fill(body, envelope);
    return envelope;
  }

 private:
  bool Rarely() { return input_.ConsumeIntegralInRange(0, 15) == 15; }

  // Mostly `right`, else one beside it or any number.
  template <typename T>
  T Near(T right) {
    switch (input_.ConsumeIntegralInRange(0, 15)) {
      case 15:
        return input_.ConsumeIntegral<T>();
      case 14:
        return right + 1;
      case 13:
        return right - 1;
      default:
        return right;
    }
  }

  // Sets id and attempt.
  template <typename Wire>
  void Name(Wire& wire) {
    if (!surroundings_.tasks.empty() && input_.ConsumeIntegralInRange(0, 7) != 7) {
      const size_t last = surroundings_.tasks.size() - 1;
      const auto& [id, attempt] =
          surroundings_.tasks[input_.ConsumeIntegralInRange<size_t>(0, last)];
      wire.set_id(Near(id));
      wire.set_attempt(Near(attempt));
    } else {
      wire.set_id(input_.ConsumeIntegralInRange<uint64_t>(0, 9));
      wire.set_attempt(input_.ConsumeIntegralInRange<uint32_t>(0, 3));
    }
  }

  int Count() { return input_.ConsumeIntegralInRange(0, kMaxElements); }
  std::string Text() { return input_.ConsumeRandomLengthString(12); }

  template <typename Refs>
  void NameSome(Refs& refs) {
    for (int count = Count(); count > 0; --count) Name(*refs.add_tasks());
  }

  void Fill(Envelope::BodyCase body, Envelope& envelope) {
    switch (body) {
      case Envelope::kHello:
        return Fill(*envelope.mutable_hello());
      case Envelope::kWelcome:
        return Fill(*envelope.mutable_welcome());
      case Envelope::kReject:
        envelope.mutable_reject()->set_reason(static_cast<protocol::Reject::Reason>(Count()));
        return envelope.mutable_reject()->set_text(Text());
      case Envelope::kAssign:
        for (int count = Count(); count > 0; --count) Fill(*envelope.mutable_assign()->add_tasks());
        return static_cast<void>(envelope.mutable_assign());
      case Envelope::kResult:
        envelope.mutable_result()->set_sequence(Near(surroundings_.next_result));
        for (int count = Count(); count > 0; --count) {
          Fill(*envelope.mutable_result()->add_results());
        }
        return;
      case Envelope::kResultAck:
        return envelope.mutable_result_ack()->set_sequence(
            input_.ConsumeIntegralInRange<uint64_t>(0, 6));
      case Envelope::kHeartbeat:
        return envelope.mutable_heartbeat()->set_sent_ns(input_.ConsumeIntegral<uint64_t>());
      case Envelope::kCancel:
        return NameSome(*envelope.mutable_cancel());
      case Envelope::kRecall:
        envelope.mutable_recall()->set_recall_id(input_.ConsumeIntegralInRange<uint64_t>(0, 4));
        return NameSome(*envelope.mutable_recall());
      case Envelope::kRecalled:
        envelope.mutable_recalled()->set_recall_id(input_.ConsumeIntegralInRange<uint64_t>(0, 4));
        return NameSome(*envelope.mutable_recalled());
      case Envelope::kDrain:
        return static_cast<void>(envelope.mutable_drain());
      default:
        envelope.mutable_goodbye()->set_reason(Text());
        return envelope.mutable_goodbye()->set_evicted(input_.ConsumeBool());
    }
  }

  void Fill(protocol::Hello& hello) {
    hello.set_program_digest(Rarely() ? Text() : "digest");
    hello.add_functions("F(A) -> B");
    hello.set_slots(Rarely() ? input_.ConsumeIntegral<uint32_t>() : 1 + Count());
    hello.set_hostname(Rarely() ? Text() : "host");
    hello.set_pid(7);
    if (input_.ConsumeBool()) return;
    hello.set_previous_epoch(Near(surroundings_.epoch));
    hello.set_previous_run_id(surroundings_.run_id);
    for (int count = Count(); count > 0; --count) {
      protocol::HeldTask& held = *hello.add_held();
      Name(held);
      held.set_key_high(input_.ConsumeIntegralInRange<uint64_t>(0, 2));
      held.set_key_low(input_.ConsumeIntegralInRange<uint64_t>(0, 9));
    }
  }

  void Fill(protocol::Welcome& welcome) {
    welcome.set_worker_id(Near<uint64_t>(1));
    welcome.set_heartbeat_interval_ns(Near<int64_t>(1'000'000'000));
    welcome.set_lease_ns(Near<int64_t>(10'000'000'000));
    if (input_.ConsumeBool()) welcome.set_run_id(surroundings_.run_id);
  }

  void Fill(protocol::Task& task) {
    Name(task);
    task.set_priority(Near(0));
    task.set_key_high(1);
    task.set_key_low(task.id());
    if (Rarely()) task.set_timeout_ns(input_.ConsumeIntegral<int64_t>());
    if (!Rarely()) {
      task.set_function(Near<uint32_t>(1));
      return task.set_request(Text());
    }
    for (int count = Count(); count > 0; --count) task.mutable_command()->add_argv(Text());
    task.mutable_command()->set_cwd(Text());
  }

  void Fill(protocol::TaskResult& result) {
    Name(result);
    const bool ok = input_.ConsumeBool();
    result.set_outcome(
        ok ? protocol::OK
           : static_cast<protocol::TaskOutcome>(input_.ConsumeIntegralInRange(0, 6)));
    result.set_status_code(ok ? 0 : input_.ConsumeIntegralInRange<uint32_t>(0, 17));
    if (!ok) result.set_error(Text());
    result.set_queued_ns(Near<uint64_t>(1'000'000'000));
    result.set_started_after_ns(Near<uint64_t>(10));
    result.set_ended_after_ns(Near<uint64_t>(20));
    if (Rarely()) {
      result.mutable_command()->set_exit_code(Near(0));
      result.mutable_command()->set_stdout(surroundings_.reply);
    } else {
      result.set_reply(surroundings_.reply);
    }
  }

  FuzzedDataProvider& input_;
  const Surroundings& surroundings_;
};

}  // namespace

Message SomeMessage(FuzzedDataProvider& input, const Surroundings& surroundings) {
  Message message;
  const int raw = input.ConsumeIntegralInRange(0, 31);
  if (raw == 31) {
    message = Message{{absl::Cord(input.ConsumeRandomLengthString(64))}};
  } else {
    message = AsMessage(Writer(input, surroundings).Write());
  }
  if (raw == 30) message.parts.emplace_back("one part more");
  return message;
}

Message AsMessage(protocol::Envelope envelope) {
  envelope.set_version(kProtocolVersion);
  return Message{{absl::Cord(envelope.SerializeAsString())}};
}

}  // namespace taskfarm
