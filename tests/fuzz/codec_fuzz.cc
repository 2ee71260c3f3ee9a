// Bytes as a message of several parts: whatever the codec takes, it takes again, and means the
// same.
//
// Input: how many parts, which sample to start from (or none), and then edits of the sample, or the
// whole envelope.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "base/check.h"
#include "fuzzer/FuzzedDataProvider.h"
#include "google/protobuf/arena.h"
#include "protocol/codec.h"
#include "protocol/sample_envelopes.h"
#include "protocol/task_codec.h"
#include "protocol/taskfarm.pb.h"
#include "protocol/text.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

constexpr size_t kMaxFuzzedParts = 5;
// The largest object that two bytes of an envelope can become, and what an empty arena takes.
constexpr size_t kObjectBytes = 192;
constexpr size_t kArenaBytes = 8192;

// As `sample`, an Assign or a Result, but with payloads in parts of their own.
void MoveToParts(Envelope& sample) {
  if (sample.has_assign()) {
    protocol::Command& command = *sample.mutable_assign()->mutable_tasks(0)->mutable_command();
    command.clear_stdin();
    command.set_stdin_part(1);
    sample.mutable_assign()->mutable_tasks(1)->clear_request();
    sample.mutable_assign()->mutable_tasks(1)->set_request_part(2);
  } else if (sample.has_result()) {
    protocol::CommandOutput& output =
        *sample.mutable_result()->mutable_results(0)->mutable_command();
    output.clear_stdout();
    output.set_stdout_part(2);
    output.clear_stderr();
    output.set_stderr_part(1);
  }
}

// A sample after a number of changes, each at some place: bytes left out, and others put there.
std::string EditedSample(FuzzedDataProvider& input) {
  Envelope sample = SampleEnvelope(input.PickValueInArray(kAllBodies));
  if (input.ConsumeBool()) MoveToParts(sample);
  std::string bytes = sample.SerializeAsString();
  while (input.remaining_bytes() > 0) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, bytes.size());
    const size_t removed = input.ConsumeIntegralInRange<size_t>(0, 16);
    bytes.replace(at, removed, input.ConsumeRandomLengthString(16));
  }
  return bytes;
}

Message MessageOf(FuzzedDataProvider& input) {
  Message message;
  message.parts.resize(input.ConsumeIntegralInRange<size_t>(0, kMaxFuzzedParts),
                       absl::Cord("payload"));
  if (message.parts.empty()) return message;
  const bool from_sample = input.ConsumeBool();
  message.parts[0] =
      absl::Cord(from_sample ? EditedSample(input) : input.ConsumeRemainingBytesAsString());
  return message;
}

// Its tasks or results as the loops see them, put into a message again.
void CheckConversion(const Envelope& envelope, const Message& message) {
  google::protobuf::Arena arena;
  if (envelope.has_assign()) {
    AssignBatch batch(envelope.epoch(), arena);
    for (const auto& task : envelope.assign().tasks()) {
      CHECK(batch.Add(TaskFromWire(task, message)));
    }
    CHECK_OK(DecodeEnvelope(batch.Take(), arena));
  }
  if (envelope.has_result()) {
    ResultBatch batch(envelope.epoch(), envelope.result().sequence(), arena);
    for (const auto& result : envelope.result().results()) {
      CHECK(batch.Add(ResultFromWire(result, message)));
    }
    CHECK_OK(DecodeEnvelope(batch.Take(), arena));
  }
}

void Run(FuzzedDataProvider input) {
  Message message = MessageOf(input);
  const size_t bytes = message.parts.empty() ? 0 : message.parts[0].size();
  google::protobuf::Arena arena;
  const absl::StatusOr<Envelope*> decoded = DecodeEnvelope(message, arena);
  CHECK_LE(arena.SpaceUsed(), kArenaBytes + bytes / 2 * kObjectBytes);
  if (!decoded.ok()) {
    CHECK(absl::IsInvalidArgument(decoded.status()) || absl::IsFailedPrecondition(decoded.status()))
        << decoded.status();
    CHECK(!decoded.status().message().empty());
    CHECK(IsOneLine(decoded.status().message())) << decoded.status();
    return;
  }
  CheckConversion(**decoded, message);
  const std::string before = (*decoded)->SerializeAsString();
  const size_t parts = message.parts.size();
  const Message again = EncodeEnvelope(**decoded, std::move(message));
  CHECK_EQ(again.parts.size(), parts);
  const absl::StatusOr<Envelope*> decoded_again = DecodeEnvelope(again, arena);
  CHECK_OK(decoded_again);
  CHECK((*decoded_again)->SerializeAsString() == before);
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(FuzzedDataProvider(data, size));
  return 0;
}
