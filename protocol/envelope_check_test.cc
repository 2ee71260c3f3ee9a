#include "protocol/envelope_check.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "protocol/limits.h"
#include "protocol/sample_envelopes.h"
#include "protocol/taskfarm.pb.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

const char kNotText[] = "a\nb";

// What is wrong with the sample of that body after `change`, in a message of `parts`; empty if
// nothing.
template <typename Change>
std::string Wrong(Envelope::BodyCase body, Change change, size_t parts = 1) {
  Envelope envelope = SampleEnvelope(body);
  change(envelope);
  const absl::Status status = CheckEnvelope(envelope, parts);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

// The samples have more than one task or result; what is wrong is wrong with the second.
template <typename Change>
std::string WrongTask(Change change, size_t parts = 1) {
  return Wrong(
      Envelope::kAssign, [&](Envelope& e) { change(*e.mutable_assign()->mutable_tasks(1)); },
      parts);
}

template <typename Change>
std::string WrongResult(Change change, size_t parts = 1) {
  return Wrong(
      Envelope::kResult, [&](Envelope& e) { change(*e.mutable_result()->mutable_results(1)); },
      parts);
}

TEST(CheckEnvelopeTest, HasAnEpochExactlyInASession) {
  for (const Envelope::BodyCase body : kAllBodies) {
    const bool in_session = body != Envelope::kHello && body != Envelope::kReject;
    const std::string wrong =
        Wrong(body, [&](Envelope& envelope) { envelope.set_epoch(in_session ? 0 : 1); });
    EXPECT_EQ(wrong.substr(0, in_session ? 14 : 18),
              in_session ? "epoch is 0 in " : "epoch is not 0 in ");
  }
  EXPECT_EQ(Wrong(Envelope::kResultAck, [](Envelope& e) { e.set_epoch(0); }),
            "epoch is 0 in result_ack");
}

TEST(CheckEnvelopeTest, ChecksHello) {
  const auto wrong = [](auto change) {
    return Wrong(Envelope::kHello, [&](Envelope& e) { change(*e.mutable_hello()); });
  };
  const std::string longest(kMaxNameBytes, 'x');
  EXPECT_EQ(wrong([](auto& hello) { hello.set_slots(0); }), "hello.slots is 0, not from 1 to 4096");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_slots(kMaxSlots); }), "");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_slots(kMaxSlots + 1); }),
            "hello.slots is 4097, not from 1 to 4096");
  EXPECT_EQ(wrong([&](auto& hello) {
              hello.set_hostname(longest);
              hello.set_program_digest(longest);
              hello.set_functions(0, longest);
            }),
            "");
  EXPECT_EQ(wrong([&](auto& hello) { hello.set_hostname(longest + "x"); }),
            "hello.hostname is longer than 4096 bytes");
  EXPECT_EQ(wrong([&](auto& hello) { hello.set_program_digest(longest + "x"); }),
            "hello.program_digest is longer than 4096 bytes");
  EXPECT_EQ(wrong([&](auto& hello) { hello.set_functions(1, longest + "x"); }),
            "hello.functions[1] is longer than 4096 bytes");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_functions(1, ""); }), "hello.functions[1] is empty");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_hostname("caf\xe9"); }),
            "hello.hostname is not one line of printable UTF-8");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_program_digest(kNotText); }),
            "hello.program_digest is not one line of printable UTF-8");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_functions(0, kNotText); }),
            "hello.functions[0] is not one line of printable UTF-8");
  const auto functions = [](size_t count) {
    return [count](auto& hello) {
      hello.clear_functions();
      for (size_t i = 0; i < count; ++i) hello.add_functions("f");
    };
  };
  EXPECT_EQ(wrong(functions(0)), "");
  EXPECT_EQ(wrong(functions(kMaxFunctions)), "");
  EXPECT_EQ(wrong(functions(kMaxFunctions + 1)),
            "hello.functions has 4097 elements, more than 4096");
}

TEST(CheckEnvelopeTest, ChecksWhatAWorkerHolds) {
  const auto wrong = [](auto change) {
    return Wrong(Envelope::kHello, [&](Envelope& e) { change(*e.mutable_hello()); });
  };
  EXPECT_EQ(wrong([](auto& hello) { hello.clear_previous_run_id(); }), "");
  EXPECT_EQ(wrong([](auto& hello) { hello.set_previous_run_id("short"); }),
            "hello.previous_run_id has 5 bytes, not 16");
  EXPECT_EQ(wrong([](auto& hello) { hello.clear_previous_epoch(); }),
            "hello.held is there without previous_epoch");
  EXPECT_EQ(wrong([](auto& hello) { hello.mutable_held(1)->set_id(0); }), "hello.held[1].id is 0");
  EXPECT_EQ(wrong([](auto& hello) { hello.mutable_held(0)->set_attempt(0); }),
            "hello.held[0].attempt is 0");
  const auto holding = [](size_t count) {
    return [count](auto& hello) {
      hello.clear_held();
      for (size_t i = 1; i <= count; ++i) {
        hello.add_held()->set_id(i);
        hello.mutable_held()->rbegin()->set_attempt(1);
      }
    };
  };
  EXPECT_EQ(wrong(holding(kMaxHeldTasks)), "");
  EXPECT_EQ(wrong(holding(kMaxHeldTasks + 1)), "hello.held has 32769 elements, more than 32768");
}

TEST(CheckEnvelopeTest, ChecksWelcome) {
  const auto wrong = [](int64_t heartbeat_ns, int64_t lease_ns) {
    return Wrong(Envelope::kWelcome, [&](Envelope& e) {
      e.mutable_welcome()->set_heartbeat_interval_ns(heartbeat_ns);
      e.mutable_welcome()->set_lease_ns(lease_ns);
    });
  };
  EXPECT_EQ(Wrong(Envelope::kWelcome, [](Envelope& e) { e.mutable_welcome()->clear_worker_id(); }),
            "welcome.worker_id is 0");
  EXPECT_EQ(wrong(kMinHeartbeatNs, kMinHeartbeatNs + 1), "");
  EXPECT_EQ(wrong(kMinHeartbeatNs - 1, kMaxLeaseNs),
            "welcome.heartbeat_interval_ns is 999999, below 1000000");
  EXPECT_EQ(wrong(-1, kMaxLeaseNs), "welcome.heartbeat_interval_ns is -1, below 1000000");
  EXPECT_EQ(wrong(kMaxLeaseNs - 1, kMaxLeaseNs), "");
  EXPECT_EQ(wrong(kMinHeartbeatNs, kMaxLeaseNs + 1),
            "welcome.lease_ns is 86400000000001, over 86400000000000");
  EXPECT_EQ(wrong(kMinHeartbeatNs, kMinHeartbeatNs),
            "welcome.heartbeat_interval_ns is not shorter than lease_ns");
  EXPECT_EQ(wrong(kMinHeartbeatNs, -1),
            "welcome.heartbeat_interval_ns is not shorter than lease_ns");
  const auto run_id = [](const char* id) {
    return Wrong(Envelope::kWelcome, [&](Envelope& e) { e.mutable_welcome()->set_run_id(id); });
  };
  EXPECT_EQ(run_id(""), "");
  EXPECT_EQ(run_id("0123456789abcdefg"), "welcome.run_id has 17 bytes, not 16");
}

TEST(CheckEnvelopeTest, ChecksReject) {
  const auto wrong = [](auto change) {
    return Wrong(Envelope::kReject, [&](Envelope& e) { change(*e.mutable_reject()); });
  };
  EXPECT_EQ(wrong([](auto& reject) { reject.clear_reason(); }), "reject.reason is 0");
  EXPECT_EQ(wrong([](auto& r) { r.set_reason(static_cast<protocol::Reject::Reason>(5)); }),
            "reject.reason is 5");
  EXPECT_EQ(wrong([](auto& r) { r.set_reason(static_cast<protocol::Reject::Reason>(-1)); }),
            "reject.reason is -1");
  EXPECT_EQ(wrong([](auto& reject) { reject.set_text(std::string(kMaxTextBytes, 'x')); }), "");
  EXPECT_EQ(wrong([](auto& reject) { reject.set_text(std::string(kMaxTextBytes + 1, 'x')); }),
            "reject.text is longer than 65536 bytes");
  EXPECT_EQ(wrong([](auto& reject) { reject.set_text(kNotText); }),
            "reject.text is not one line of printable UTF-8");
}

TEST(CheckEnvelopeTest, ChecksGoodbye) {
  const auto wrong = [](std::string reason) {
    return Wrong(Envelope::kGoodbye,
                 [&](Envelope& e) { e.mutable_goodbye()->set_reason(std::move(reason)); });
  };
  EXPECT_EQ(wrong(""), "");
  EXPECT_EQ(wrong(std::string(kMaxTextBytes, 'x')), "");
  EXPECT_EQ(wrong(std::string(kMaxTextBytes + 1, 'x')),
            "goodbye.reason is longer than 65536 bytes");
  EXPECT_EQ(wrong(kNotText), "goodbye.reason is not one line of printable UTF-8");
}

TEST(CheckEnvelopeTest, ChecksTasks) {
  EXPECT_EQ(WrongTask([](auto& task) { task.set_id(0); }), "assign.tasks[1].id is 0");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_attempt(0); }), "assign.tasks[1].attempt is 0");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_timeout_ns(-1); }),
            "assign.tasks[1].timeout_ns is negative");
  EXPECT_EQ(WrongTask([](auto& task) {
              task.set_timeout_ns(std::numeric_limits<int64_t>::max());
              task.set_priority(std::numeric_limits<int32_t>::min());
            }),
            "");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_function(kMaxFunctions - 1); }), "");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_function(kMaxFunctions); }),
            "assign.tasks[1].function is 4096, not below 4096");
  EXPECT_EQ(WrongTask([](auto& task) { task.clear_request(); }), "");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_isolation(static_cast<protocol::Isolation>(3)); }),
            "assign.tasks[1].isolation is 3");
}

TEST(CheckEnvelopeTest, ChecksCommands) {
  const auto wrong = [](auto change) {
    return WrongTask([&](auto& task) {
      task.clear_function();
      task.clear_request();
      task.clear_isolation();
      task.mutable_command()->add_argv("true");
      task.mutable_command()->add_env()->set_name("A");
      change(task);
    });
  };
  EXPECT_EQ(wrong([](auto&) {}), "");
  const std::string both = "assign.tasks[1]: both a function call and a command";
  EXPECT_EQ(wrong([](auto& task) { task.set_function(1); }), both);
  EXPECT_EQ(wrong([](auto& task) { task.set_request("x"); }), both);
  EXPECT_EQ(wrong([](auto& task) { task.set_request_part(1); }), both);
  EXPECT_EQ(wrong([](auto& task) { task.mutable_command()->clear_argv(); }),
            "assign.tasks[1].command: the command is empty");
  EXPECT_EQ(wrong([](auto& t) { t.mutable_command()->add_argv(std::string(1, '\0')); }),
            "assign.tasks[1].command.argv[1]: an argument has a NUL byte");
  EXPECT_EQ(wrong([](auto& t) { t.mutable_command()->add_env()->set_name("="); }),
            "assign.tasks[1].command.env[1]: the name of an environment variable has a NUL byte "
            "or '='");
  EXPECT_EQ(wrong([](auto& t) { t.mutable_command()->set_cwd(std::string(1, '\0')); }),
            "assign.tasks[1].command: the working directory has a NUL byte");
  EXPECT_EQ(wrong([](auto& t) { t.mutable_command()->set_name(std::string(1, '\0')); }),
            "assign.tasks[1].command: the task's name has a NUL byte");
  EXPECT_EQ(
      wrong([](auto& t) { t.mutable_command()->set_output_limit_bytes(kMaxOutputLimitBytes); }),
      "");
  EXPECT_EQ(
      wrong([](auto& t) { t.mutable_command()->set_output_limit_bytes(kMaxOutputLimitBytes + 1); }),
      "assign.tasks[1].command: the output limit of 268435457 bytes is over 268435456");
  const size_t most = kMaxCommandBytes - 3 * kCommandStringBytes - 5;
  const auto argument = [](size_t bytes) {
    return [bytes](auto& task) { task.mutable_command()->add_argv(std::string(bytes, 'x')); };
  };
  EXPECT_EQ(wrong(argument(most - kCommandStringBytes)), "");
  EXPECT_NE(wrong(argument(most - kCommandStringBytes + 1)), "");
}

TEST(CheckEnvelopeTest, ChecksResults) {
  EXPECT_EQ(Wrong(Envelope::kResult, [](Envelope& e) { e.mutable_result()->set_sequence(0); }),
            "result.sequence is 0");
  EXPECT_EQ(WrongResult([](auto& result) { result.set_id(0); }), "result.results[1].id is 0");
  EXPECT_EQ(WrongResult([](auto& result) { result.set_attempt(0); }),
            "result.results[1].attempt is 0");
  for (const int outcome : {-1, 0, 6}) {
    EXPECT_EQ(
        WrongResult([&](auto& r) { r.set_outcome(static_cast<protocol::TaskOutcome>(outcome)); }),
        absl::StrCat("result.results[1].outcome is ", outcome));
  }
  EXPECT_EQ(WrongResult([](auto& result) { result.set_status_code(1); }),
            "result.results[1].status_code is 1 where outcome is 1");
  EXPECT_EQ(WrongResult([](auto& result) { result.set_outcome(protocol::FAILED); }),
            "result.results[1].status_code is 0 where outcome is 2");
  EXPECT_EQ(WrongResult([](auto& result) { result.set_error("why"); }),
            "result.results[1].error is there though outcome is OK");
  EXPECT_EQ(WrongResult([](auto& result) { result.mutable_command(); }),
            "result.results[1]: both a reply and the output of a command");
}

TEST(CheckEnvelopeTest, ChecksFailures) {
  const auto wrong = [](uint32_t code, std::string error) {
    return WrongResult([&](auto& result) {
      result.set_outcome(protocol::CRASHED);
      result.set_status_code(code);
      result.set_error(std::move(error));
    });
  };
  EXPECT_EQ(wrong(1, ""), "");
  EXPECT_EQ(wrong(16, std::string(kMaxTextBytes, 'x')), "");
  EXPECT_EQ(wrong(17, ""), "result.results[1].status_code is 17 where outcome is 5");
  EXPECT_EQ(wrong(1, std::string(kMaxTextBytes + 1, 'x')),
            "result.results[1].error is longer than 65536 bytes");
  EXPECT_EQ(wrong(1, kNotText), "result.results[1].error is not one line of printable UTF-8");
}

TEST(CheckEnvelopeTest, ChecksTimes) {
  constexpr uint64_t kEnd = std::numeric_limits<int64_t>::max();
  const auto wrong = [](uint64_t queued, uint64_t started_after, uint64_t ended_after) {
    return WrongResult([&](auto& result) {
      result.set_queued_ns(queued);
      result.set_started_after_ns(started_after);
      result.set_ended_after_ns(ended_after);
    });
  };
  EXPECT_EQ(wrong(0, 0, 0), "");
  EXPECT_EQ(wrong(kEnd, 0, 0), "");
  EXPECT_EQ(wrong(kEnd - 5, 5, 5), "");
  EXPECT_EQ(wrong(kEnd + 1, 0, 0), "result.results[1].queued_ns is out of range");
  EXPECT_EQ(wrong(kEnd - 5, 5, 6), "result.results[1].ended_after_ns is out of range");
  EXPECT_EQ(wrong(1, 0, ~uint64_t{0}), "result.results[1].ended_after_ns is out of range");
  EXPECT_EQ(wrong(0, 6, 5), "result.results[1].started_after_ns is later than ended_after_ns");
}

TEST(CheckEnvelopeTest, ChecksOutputs) {
  const auto wrong = [](auto change) {
    return WrongResult([&](auto& result) {
      result.clear_reply();
      change(result);
    });
  };
  EXPECT_EQ(wrong([](auto& r) { r.mutable_command()->set_signal(127); }), "");
  EXPECT_EQ(wrong([](auto& r) { r.mutable_command()->set_signal(128); }),
            "result.results[1].command.signal is 128");
  EXPECT_EQ(wrong([](auto& r) { r.mutable_command()->set_exit_code(-1); }), "");
  EXPECT_EQ(wrong([](auto& r) {
              r.mutable_command();
              r.set_reply_part(1);
            }),
            "result.results[1]: both a reply and the output of a command");
}

TEST(CheckEnvelopeTest, ChecksSmallMessages) {
  EXPECT_EQ(
      Wrong(Envelope::kResultAck, [](Envelope& e) { e.mutable_result_ack()->clear_sequence(); }),
      "result_ack.sequence is 0");
  EXPECT_EQ(Wrong(Envelope::kRecall, [](Envelope& e) { e.mutable_recall()->clear_recall_id(); }),
            "recall.recall_id is 0");
  EXPECT_EQ(
      Wrong(Envelope::kRecalled, [](Envelope& e) { e.mutable_recalled()->clear_recall_id(); }), "");
  EXPECT_EQ(
      Wrong(Envelope::kHeartbeat, [](Envelope& e) { e.mutable_heartbeat()->clear_sent_ns(); }), "");
  EXPECT_EQ(Wrong(Envelope::kDrain, [](Envelope& e) { e.clear_body(); }), "body is missing");
  EXPECT_EQ(Wrong(Envelope::kDrain, [](Envelope& e) { e.set_version(3); }), "version is 3");
}

// Makes `batch` the `count` copies of its first element.
template <typename Batch>
void Fill(Batch& batch, size_t count) {
  const auto element = batch[0];
  batch.Clear();
  for (size_t i = 0; i < count; ++i) *batch.Add() = element;
}

TEST(CheckEnvelopeTest, HoldsBatchesToTheirLimit) {
  const auto wrong = [](Envelope::BodyCase body, size_t count) {
    return Wrong(body, [&](Envelope& e) {
      if (e.has_assign()) Fill(*e.mutable_assign()->mutable_tasks(), count);
      if (e.has_result()) Fill(*e.mutable_result()->mutable_results(), count);
      if (e.has_cancel()) Fill(*e.mutable_cancel()->mutable_tasks(), count);
      if (e.has_recall()) Fill(*e.mutable_recall()->mutable_tasks(), count);
      if (e.has_recalled()) Fill(*e.mutable_recalled()->mutable_tasks(), count);
    });
  };
  const std::pair<Envelope::BodyCase, std::string> batches[] = {
      {Envelope::kAssign, "assign.tasks"},     {Envelope::kResult, "result.results"},
      {Envelope::kCancel, "cancel.tasks"},     {Envelope::kRecall, "recall.tasks"},
      {Envelope::kRecalled, "recalled.tasks"},
  };
  for (const auto& [body, name] : batches) {
    EXPECT_EQ(wrong(body, kMaxBatch), "");
    EXPECT_EQ(wrong(body, kMaxBatch + 1), name + " has 4097 elements, more than 4096");
    EXPECT_EQ(wrong(body, 0), body == Envelope::kRecalled ? "" : name + " is empty");
  }
}

TEST(CheckEnvelopeTest, ChecksTaskReferences) {
  const auto wrong = [](Envelope::BodyCase body, auto change) {
    return Wrong(body, [&](Envelope& e) {
      if (e.has_cancel()) change(*e.mutable_cancel()->mutable_tasks(0));
      if (e.has_recall()) change(*e.mutable_recall()->mutable_tasks(0));
      if (e.has_recalled()) change(*e.mutable_recalled()->mutable_tasks(0));
    });
  };
  const std::pair<Envelope::BodyCase, std::string> bodies[] = {
      {Envelope::kCancel, "cancel.tasks[0]"},
      {Envelope::kRecall, "recall.tasks[0]"},
      {Envelope::kRecalled, "recalled.tasks[0]"},
  };
  for (const auto& [body, name] : bodies) {
    EXPECT_EQ(wrong(body, [](auto& ref) { ref.set_id(0); }), name + ".id is 0");
    EXPECT_EQ(wrong(body, [](auto& ref) { ref.set_attempt(0); }), name + ".attempt is 0");
  }
}

TEST(CheckEnvelopeTest, HoldsInlinePayloadsToTheirLimit) {
  const std::string most(kMaxInlinePayloadBytes, 'x');
  const std::string more = most + "x";
  EXPECT_EQ(WrongTask([&](auto& task) { task.set_request(most); }), "");
  EXPECT_EQ(WrongTask([&](auto& task) { task.set_request(more); }),
            "assign.tasks[1].request has 65537 bytes inline, more than 65536");
  EXPECT_EQ(WrongResult([&](auto& result) { result.set_reply(most); }), "");
  EXPECT_EQ(WrongResult([&](auto& result) { result.set_reply(more); }),
            "result.results[1].reply has 65537 bytes inline, more than 65536");
}

TEST(CheckEnvelopeTest, WantsEachPartNamedOnce) {
  const auto part = [](uint32_t number) {
    return [number](auto& task) {
      task.clear_request();
      task.set_request_part(number);
    };
  };
  EXPECT_EQ(WrongTask(part(1), 2), "");
  EXPECT_EQ(WrongTask(part(1), 1), "assign.tasks[1].request_part is 1 in a message of 1 parts");
  EXPECT_EQ(WrongTask(part(2), 2), "assign.tasks[1].request_part is 2 in a message of 2 parts");
  EXPECT_EQ(WrongTask(part(~0u), 2),
            "assign.tasks[1].request_part is 4294967295 in a message of 2 parts");
  EXPECT_EQ(WrongTask(part(kMaxParts - 1), kMaxParts), "part 1 of 1025 is named by no payload");
  EXPECT_EQ(WrongTask([](auto&) {}, 2), "part 1 of 2 is named by no payload");
  EXPECT_EQ(WrongTask(part(1), 3), "part 2 of 3 is named by no payload");
  EXPECT_EQ(WrongTask([](auto& task) { task.set_request_part(1); }, 2),
            "assign.tasks[1].request is both inline and in part 1");
  EXPECT_EQ(Wrong(
                Envelope::kDrain, [](Envelope&) {}, 2),
            "part 1 of 2 is named by no payload");
}

TEST(CheckEnvelopeTest, RefusesAPartNamedTwice) {
  const auto outputs = [](uint32_t out, uint32_t err) {
    return [out, err](auto& result) {
      result.clear_reply();
      result.mutable_command()->set_stdout_part(out);
      result.mutable_command()->set_stderr_part(err);
    };
  };
  EXPECT_EQ(WrongResult(outputs(2, 1), 3), "");
  EXPECT_EQ(WrongResult(outputs(2, 2), 3),
            "result.results[1].command.stderr_part is 2, which is named already");
  EXPECT_EQ(WrongTask(
                [](auto& task) {
                  task.clear_request();
                  task.mutable_command()->add_argv("cat");
                  task.mutable_command()->set_stdin_part(1);
                },
                2),
            "assign.tasks[1]: both a function call and a command");
}

}  // namespace
}  // namespace taskfarm
