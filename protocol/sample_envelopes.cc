#include "protocol/sample_envelopes.h"

#include <cstdint>
#include <map>
#include <string>

#include "base/check.h"
#include "google/protobuf/text_format.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

const char kAssign[] = R"(
  assign {
    tasks {
      id: 7 attempt: 1 priority: -3 timeout_ns: 5000000000
      command {
        argv: "sort" argv: "-r" argv: "caf\xe9"
        env { name: "LC_ALL" value: "C" }
        env { name: "EMPTY" }
        cwd: "/tmp"
        stdin: "b\na\n"
        output_limit_bytes: 1000
        name: "sort it"
      }
    }
    tasks { id: 8 attempt: 2 priority: 5 timeout_ns: 1 function: 3 request: "\x08\x96\x01"
            isolation: PROCESS key_high: 21 key_low: 22 }
    tasks { id: 9 attempt: 1 request: "x" }
  })";

const char kResult[] = R"(
  result {
    sequence: 12
    results {
      id: 7 attempt: 1 outcome: FAILED
      queued_ns: 1700000000123456789 started_after_ns: 5000 ended_after_ns: 9000
      status_code: 2 error: "exit status 143"
      command {
        exit_code: 143 signal: 15
        stdout: "out\n" stderr: "err\0\n"
        stdout_total_bytes: 4 stderr_total_bytes: 70000
      }
    }
    results {
      id: 8 attempt: 2 outcome: OK
      queued_ns: 1700000000000000000 started_after_ns: 1 ended_after_ns: 2
      reply: "\x08\x01"
    }
    results { id: 9 attempt: 1 outcome: OK reply: "x" }
  })";

const std::map<Envelope::BodyCase, std::string>& Bodies() {
  static const auto& bodies = *new std::map<Envelope::BodyCase, std::string>{
      {Envelope::kHello, R"(
         hello {
           program_digest: "0123456789abcdef"
           functions: "Square(demo.Number) -> demo.Number"
           functions: "Sum(demo.Chunk) -> demo.Total"
           slots: 8 hostname: "h\303\266st-1" pid: 4711
           previous_epoch: 77 previous_run_id: "0123456789abcdef"
           held { id: 5 attempt: 1 key_high: 11 key_low: 12 }
           held { id: 6 attempt: 2 }
         })"},
      {Envelope::kWelcome,
       "welcome { worker_id: 3 heartbeat_interval_ns: 1000000000 lease_ns: 10000000000 "
       "run_id: '0123456789abcdef' }"},
      {Envelope::kReject, "reject { reason: PROGRAM_DIGEST text: 'other functions' }"},
      {Envelope::kAssign, kAssign},
      {Envelope::kResult, kResult},
      {Envelope::kResultAck, "result_ack { sequence: 12 }"},
      {Envelope::kHeartbeat, "heartbeat { sent_ns: 1700000000000000001 }"},
      {Envelope::kCancel, "cancel { tasks { id: 7 attempt: 1 } tasks { id: 9 attempt: 1 } }"},
      {Envelope::kRecall, "recall { recall_id: 4 tasks { id: 8 attempt: 2 } }"},
      {Envelope::kRecalled, "recalled { recall_id: 4 tasks { id: 8 attempt: 2 } }"},
      {Envelope::kDrain, "drain { }"},
      {Envelope::kGoodbye, "goodbye { reason: 'the job is over' evicted: true }"},
  };
  return bodies;
}

}  // namespace

Envelope SampleEnvelope(Envelope::BodyCase body) {
  Envelope envelope;
  CHECK(google::protobuf::TextFormat::ParseFromString(Bodies().at(body), &envelope));
  CHECK_EQ(envelope.body_case(), body);
  envelope.set_version(kProtocolVersion);
  const bool in_session = !envelope.has_hello() && !envelope.has_reject();
  envelope.set_epoch(in_session ? 0x0123456789abcdef : 0);
  return envelope;
}

}  // namespace taskfarm
