#include "protocol/envelope_check.h"

#include <bitset>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "protocol/limits.h"
#include "protocol/task_check.h"
#include "protocol/text.h"

namespace taskfarm {
namespace {

using google::protobuf::RepeatedPtrField;

constexpr uint32_t kMaxStatusCode = 16;  // absl::StatusCode::kUnauthenticated
constexpr uint32_t kMaxSignal = 127;
constexpr uint64_t kEndOfTime = std::numeric_limits<int64_t>::max();  // of nanoseconds since 1970

template <typename... Pieces>
absl::Status Refuse(const Pieces&... pieces) {
  return absl::InvalidArgumentError(absl::StrCat(pieces...));
}

// Puts `where` before what is wrong inside of it: a field, or, after a colon, the whole. Only on
// the way out, so that paths cost nothing while all is well.
absl::Status Within(absl::string_view where, const absl::Status& bad) {
  return Refuse(where, absl::StartsWith(bad.message(), ":") ? "" : ".", bad.message());
}

// Which parts of the message a payload has named.
class PartNames {
 public:
  explicit PartNames(size_t parts) : parts_(parts) {}

  absl::Status Name(absl::string_view field, uint32_t part) {
    if (part >= parts_) {
      return Refuse(field, "_part is ", part, " in a message of ", parts_, " parts");
    }
    if (named_[part]) return Refuse(field, "_part is ", part, ", which is named already");
    named_[part] = true;
    ++count_;
    return absl::OkStatus();
  }

  absl::Status CheckAllNamed() const {
    if (count_ == parts_ - 1) return absl::OkStatus();
    size_t part = 1;
    while (named_[part]) ++part;
    return Refuse("part ", part, " of ", parts_, " is named by no payload");
  }

 private:
  const size_t parts_;
  size_t count_ = 0;
  std::bitset<kMaxParts> named_;
};

absl::Status CheckText(absl::string_view field, absl::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) return Refuse(field, " is longer than ", max_bytes, " bytes");
  if (!IsOneLine(text)) return Refuse(field, " is not one line of printable UTF-8");
  return absl::OkStatus();
}

// The number of elements of a batch.
absl::Status CheckCount(absl::string_view field, int count, int least) {
  if (count < least) return Refuse(field, " is empty");
  if (static_cast<size_t>(count) > kMaxBatch) {
    return Refuse(field, " has ", count, " elements, more than ", kMaxBatch);
  }
  return absl::OkStatus();
}

// Of anything with an id and an attempt.
template <typename Wire>
absl::Status CheckIds(const Wire& wire) {
  if (wire.id() == 0) return Refuse("id is 0");
  if (wire.attempt() == 0) return Refuse("attempt is 0");
  return absl::OkStatus();
}

// The two fields of a payload.
absl::Status CheckPayload(absl::string_view field, const std::string& inline_bytes, uint32_t part,
                          PartNames& parts) {
  if (part != 0) {
    if (!inline_bytes.empty()) return Refuse(field, " is both inline and in part ", part);
    return parts.Name(field, part);
  }
  if (inline_bytes.size() > kMaxInlinePayloadBytes) {
    return Refuse(field, " has ", inline_bytes.size(), " bytes inline, more than ",
                  kMaxInlinePayloadBytes);
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const protocol::Command& command, PartNames& parts) {
  CommandRules rules;
  for (int i = 0; i < command.argv_size(); ++i) {
    if (absl::Status bad = rules.Argument(command.argv(i)); !bad.ok()) {
      return Refuse("argv[", i, "]: ", bad.message());
    }
  }
  for (int i = 0; i < command.env_size(); ++i) {
    const protocol::EnvironmentVariable& variable = command.env(i);
    if (absl::Status bad = rules.Variable(variable.name(), variable.value()); !bad.ok()) {
      return Refuse("env[", i, "]: ", bad.message());
    }
  }
  absl::Status bad = rules.Rest(command.cwd(), command.name(), command.output_limit_bytes());
  if (bad.ok()) bad = rules.Finish();
  if (!bad.ok()) return Refuse(": ", bad.message());
  return CheckPayload("stdin", command.stdin(), command.stdin_part(), parts);
}

absl::Status CheckTask(const protocol::Task& task, PartNames& parts) {
  if (absl::Status bad = CheckIds(task); !bad.ok()) return bad;
  if (task.timeout_ns() < 0) return Refuse("timeout_ns is negative");
  if (task.has_command()) {
    if (task.function() != 0 || !task.request().empty() || task.request_part() != 0 ||
        task.isolation() != protocol::ISOLATION_DEFAULT) {
      return Refuse(": both a function call and a command");
    }
    absl::Status bad = CheckCommand(task.command(), parts);
    return bad.ok() ? bad : Within("command", bad);
  }
  if (task.function() >= kMaxFunctions) {
    return Refuse("function is ", task.function(), ", not below ", kMaxFunctions);
  }
  if (!protocol::Isolation_IsValid(task.isolation())) {
    return Refuse("isolation is ", static_cast<int>(task.isolation()));
  }
  return CheckPayload("request", task.request(), task.request_part(), parts);
}

absl::Status CheckOutput(const protocol::CommandOutput& output, PartNames& parts) {
  if (output.signal() > kMaxSignal) return Refuse("signal is ", output.signal());
  absl::Status bad = CheckPayload("stdout", output.stdout(), output.stdout_part(), parts);
  if (!bad.ok()) return bad;
  return CheckPayload("stderr", output.stderr(), output.stderr_part(), parts);
}

absl::Status CheckTimes(const protocol::TaskResult& result) {
  if (result.queued_ns() > kEndOfTime) return Refuse("queued_ns is out of range");
  if (result.ended_after_ns() > kEndOfTime - result.queued_ns()) {
    return Refuse("ended_after_ns is out of range");
  }
  if (result.started_after_ns() > result.ended_after_ns()) {
    return Refuse("started_after_ns is later than ended_after_ns");
  }
  return absl::OkStatus();
}

absl::Status CheckResult(const protocol::TaskResult& result, PartNames& parts) {
  if (absl::Status bad = CheckIds(result); !bad.ok()) return bad;
  if (result.outcome() < protocol::OK || result.outcome() > protocol::CRASHED) {
    return Refuse("outcome is ", static_cast<int>(result.outcome()));
  }
  if (absl::Status bad = CheckTimes(result); !bad.ok()) return bad;
  const bool ok = result.outcome() == protocol::OK;
  if (result.status_code() > kMaxStatusCode || (result.status_code() == 0) != ok) {
    return Refuse("status_code is ", result.status_code(), " where outcome is ",
                  static_cast<int>(result.outcome()));
  }
  if (!result.error().empty()) {
    if (ok) return Refuse("error is there though outcome is OK");
    if (absl::Status bad = CheckText("error", result.error(), kMaxTextBytes); !bad.ok()) return bad;
  }
  if (result.has_command()) {
    if (!result.reply().empty() || result.reply_part() != 0) {
      return Refuse(": both a reply and the output of a command");
    }
    absl::Status bad = CheckOutput(result.command(), parts);
    return bad.ok() ? bad : Within("command", bad);
  }
  return CheckPayload("reply", result.reply(), result.reply_part(), parts);
}

absl::Status CheckRunId(absl::string_view field, absl::string_view run_id) {
  if (run_id.empty() || run_id.size() == kRunIdBytes) return absl::OkStatus();
  return Refuse(field, " has ", run_id.size(), " bytes, not ", kRunIdBytes);
}

absl::Status CheckHeld(const protocol::Hello& hello) {
  if (absl::Status bad = CheckRunId("previous_run_id", hello.previous_run_id()); !bad.ok()) {
    return bad;
  }
  if (static_cast<size_t>(hello.held_size()) > kMaxHeldTasks) {
    return Refuse("held has ", hello.held_size(), " elements, more than ", kMaxHeldTasks);
  }
  if (hello.held_size() > 0 && hello.previous_epoch() == 0) {
    return Refuse("held is there without previous_epoch");
  }
  for (int i = 0; i < hello.held_size(); ++i) {
    if (absl::Status bad = CheckIds(hello.held(i)); !bad.ok()) {
      return Within(absl::StrCat("held[", i, "]"), bad);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHello(const protocol::Hello& hello) {
  if (absl::Status bad = CheckText("program_digest", hello.program_digest(), kMaxNameBytes);
      !bad.ok()) {
    return bad;
  }
  if (static_cast<size_t>(hello.functions_size()) > kMaxFunctions) {
    return Refuse("functions has ", hello.functions_size(), " elements, more than ", kMaxFunctions);
  }
  for (int i = 0; i < hello.functions_size(); ++i) {
    absl::Status bad = CheckText("", hello.functions(i), kMaxNameBytes);
    if (bad.ok() && hello.functions(i).empty()) bad = Refuse(" is empty");
    if (!bad.ok()) return Refuse("functions[", i, "]", bad.message());
  }
  if (hello.slots() == 0 || hello.slots() > kMaxSlots) {
    return Refuse("slots is ", hello.slots(), ", not from 1 to ", kMaxSlots);
  }
  if (absl::Status bad = CheckText("hostname", hello.hostname(), kMaxNameBytes); !bad.ok()) {
    return bad;
  }
  return CheckHeld(hello);
}

absl::Status CheckWelcome(const protocol::Welcome& welcome) {
  if (welcome.worker_id() == 0) return Refuse("worker_id is 0");
  if (welcome.heartbeat_interval_ns() < kMinHeartbeatNs) {
    return Refuse("heartbeat_interval_ns is ", welcome.heartbeat_interval_ns(), ", below ",
                  kMinHeartbeatNs);
  }
  if (welcome.lease_ns() > kMaxLeaseNs) {
    return Refuse("lease_ns is ", welcome.lease_ns(), ", over ", kMaxLeaseNs);
  }
  if (welcome.heartbeat_interval_ns() >= welcome.lease_ns()) {
    return Refuse("heartbeat_interval_ns is not shorter than lease_ns");
  }
  return CheckRunId("run_id", welcome.run_id());
}

absl::Status CheckReject(const protocol::Reject& reject) {
  if (reject.reason() == protocol::Reject::REASON_UNSPECIFIED ||
      !protocol::Reject::Reason_IsValid(reject.reason())) {
    return Refuse("reason is ", static_cast<int>(reject.reason()));
  }
  return CheckText("text", reject.text(), kMaxTextBytes);
}

// A batch whose every element passes `check`.
template <typename Element, typename Check>
absl::Status CheckEach(absl::string_view field, const RepeatedPtrField<Element>& elements,
                       int least, Check check) {
  if (absl::Status bad = CheckCount(field, elements.size(), least); !bad.ok()) return bad;
  for (int i = 0; i < elements.size(); ++i) {
    if (absl::Status bad = check(elements[i]); !bad.ok()) {
      return Within(absl::StrCat(field, "[", i, "]"), bad);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRefs(const RepeatedPtrField<protocol::TaskRef>& refs, int least) {
  return CheckEach("tasks", refs, least, CheckIds<protocol::TaskRef>);
}

absl::Status CheckBody(const protocol::Envelope& envelope, PartNames& parts) {
  switch (envelope.body_case()) {
    case protocol::Envelope::kHello:
      return CheckHello(envelope.hello());
    case protocol::Envelope::kWelcome:
      return CheckWelcome(envelope.welcome());
    case protocol::Envelope::kReject:
      return CheckReject(envelope.reject());
    case protocol::Envelope::kAssign:
      return CheckEach("tasks", envelope.assign().tasks(), 1,
                       [&parts](const auto& task) { return CheckTask(task, parts); });
    case protocol::Envelope::kResult:
      if (envelope.result().sequence() == 0) return Refuse("sequence is 0");
      if (envelope.result().sent_ns() > kEndOfTime) return Refuse("sent_ns is out of range");
      return CheckEach("results", envelope.result().results(), 1,
                       [&parts](const auto& result) { return CheckResult(result, parts); });
    case protocol::Envelope::kResultAck:
      if (envelope.result_ack().sequence() == 0) return Refuse("sequence is 0");
      return absl::OkStatus();
    case protocol::Envelope::kCancel:
      return CheckRefs(envelope.cancel().tasks(), 1);
    case protocol::Envelope::kRecall:
      if (envelope.recall().recall_id() == 0) return Refuse("recall_id is 0");
      return CheckRefs(envelope.recall().tasks(), 1);
    case protocol::Envelope::kRecalled:
      return CheckRefs(envelope.recalled().tasks(), 0);
    case protocol::Envelope::kGoodbye:
      return CheckText("reason", envelope.goodbye().reason(), kMaxTextBytes);
    case protocol::Envelope::kHeartbeat:
    case protocol::Envelope::kDrain:
    case protocol::Envelope::BODY_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

// "assign" of an envelope with that body.
std::string BodyName(const protocol::Envelope& envelope) {
  return protocol::Envelope::descriptor()->FindFieldByNumber(envelope.body_case())->name();
}

}  // namespace

absl::Status CheckEnvelope(const protocol::Envelope& envelope, size_t parts) {
  if (envelope.version() != kProtocolVersion) return Refuse("version is ", envelope.version());
  if (envelope.body_case() == protocol::Envelope::BODY_NOT_SET) return Refuse("body is missing");
  const bool in_session = !envelope.has_hello() && !envelope.has_reject();
  if ((envelope.epoch() != 0) != in_session) {
    return Refuse("epoch is ", in_session ? "0" : "not 0", " in ", BodyName(envelope));
  }
  PartNames names(parts);
  if (absl::Status bad = CheckBody(envelope, names); !bad.ok()) {
    return Within(BodyName(envelope), bad);
  }
  return names.CheckAllNamed();
}

}  // namespace taskfarm
