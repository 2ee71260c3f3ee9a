// The codec on bytes that nobody meant: never a crash, and whatever it takes, it takes again.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/arena.h"
#include "gtest/gtest.h"
#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/sample_envelopes.h"
#include "protocol/task_codec.h"
#include "protocol/taskfarm.pb.h"
#include "protocol/text.h"

namespace taskfarm {
namespace {

using protocol::Envelope;

constexpr int kMutations = 100'000;
constexpr int kRandomMessages = 100'000;

// An encoded envelope and the number of parts of its message.
struct Sample {
  std::string bytes;
  size_t parts;
};

std::vector<Sample> Samples() {
  std::vector<Sample> samples;
  for (const Envelope::BodyCase body : kAllBodies) {
    samples.push_back({SampleEnvelope(body).SerializeAsString(), 1});
  }
  Envelope tasks = SampleEnvelope(Envelope::kAssign);
  protocol::Command& command = *tasks.mutable_assign()->mutable_tasks(0)->mutable_command();
  command.clear_stdin();
  command.set_stdin_part(1);
  tasks.mutable_assign()->mutable_tasks(1)->clear_request();
  tasks.mutable_assign()->mutable_tasks(1)->set_request_part(2);
  samples.push_back({tasks.SerializeAsString(), 3});
  Envelope results = SampleEnvelope(Envelope::kResult);
  protocol::CommandOutput& output =
      *results.mutable_result()->mutable_results(0)->mutable_command();
  output.clear_stdout();
  output.set_stdout_part(2);
  output.clear_stderr();
  output.set_stderr_part(1);
  results.mutable_result()->mutable_results(1)->clear_reply();
  results.mutable_result()->mutable_results(1)->set_reply_part(3);
  samples.push_back({results.SerializeAsString(), 4});
  return samples;
}

Message MessageOf(const std::string& bytes, size_t parts) {
  Message message;
  message.parts.resize(parts, absl::Cord("payload"));
  message.parts[0] = absl::Cord(bytes);
  return message;
}

// Everything in the envelope as tasks or results and back again is the same message each time.
void CheckConversion(const Envelope& envelope, const Message& message) {
  google::protobuf::Arena arena;
  if (envelope.has_assign()) {
    AssignBatch batch(envelope.epoch(), arena);
    for (const auto& task : envelope.assign().tasks()) {
      ASSERT_TRUE(batch.Add(TaskFromWire(task, message)));
    }
    ASSERT_TRUE(DecodeEnvelope(batch.Take(), arena).ok());
  }
  if (envelope.has_result()) {
    ResultBatch batch(envelope.epoch(), envelope.result().sequence(), arena);
    for (const auto& result : envelope.result().results()) {
      ASSERT_TRUE(batch.Add(ResultFromWire(result, message)));
    }
    ASSERT_TRUE(DecodeEnvelope(batch.Take(), arena).ok());
  }
}

// Returns whether the codec took it.
bool Feed(const std::string& bytes, size_t parts) {
  google::protobuf::Arena arena;
  Message message = MessageOf(bytes, parts);
  const auto decoded = DecodeEnvelope(message, arena);
  if (!decoded.ok()) {
    EXPECT_TRUE(absl::IsInvalidArgument(decoded.status()) ||
                absl::IsFailedPrecondition(decoded.status()))
        << decoded.status();
    EXPECT_FALSE(decoded.status().message().empty());
    EXPECT_TRUE(IsOneLine(decoded.status().message())) << decoded.status();
    return false;
  }
  CheckConversion(**decoded, message);
  const std::string before = (*decoded)->SerializeAsString();
  const Message again = EncodeEnvelope(**decoded, std::move(message));
  const auto decoded_again = DecodeEnvelope(again, arena);
  EXPECT_TRUE(decoded_again.ok()) << decoded_again.status();
  if (decoded_again.ok()) {
    EXPECT_EQ((*decoded_again)->SerializeAsString(), before);
  }
  return true;
}

size_t Below(std::mt19937_64& random, size_t end) { return random() % end; }

// Changes `bytes` in one place.
void Mutate(std::string& bytes, const std::vector<Sample>& samples, std::mt19937_64& random) {
  const size_t at = Below(random, bytes.size() + 1);
  const size_t count = std::min(Below(random, 8), bytes.size() - at);
  switch (Below(random, 7)) {
    case 0:  // a bit
      if (at < bytes.size()) bytes[at] ^= static_cast<char>(1 << Below(random, 8));
      break;
    case 1:  // a byte
      if (at < bytes.size()) bytes[at] = static_cast<char>(random());
      break;
    case 2:
      bytes.erase(at, count);
      break;
    case 3:
      bytes.insert(at, bytes.substr(at, count));
      break;
    case 4:  // a large number
      bytes.insert(at, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
      break;
    case 5:  // as if merged with another message
      bytes.insert(at, samples[Below(random, samples.size())].bytes);
      break;
    case 6:
      bytes.resize(at);
      break;
  }
}

TEST(CodecFuzzTest, TakesTheSamples) {
  for (const Sample& sample : Samples()) EXPECT_TRUE(Feed(sample.bytes, sample.parts));
}

TEST(CodecFuzzTest, SurvivesTruncationAtEveryByte) {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
      Feed(sample.bytes.substr(0, size), sample.parts);
    }
  }
}

TEST(CodecFuzzTest, SurvivesMutations) {
  const std::vector<Sample> samples = Samples();
  int taken = 0;
  for (int seed = 0; seed < kMutations; ++seed) {
    std::mt19937_64 random(seed);
    Sample sample = samples[Below(random, samples.size())];
    for (size_t i = 0; i <= Below(random, 3); ++i) Mutate(sample.bytes, samples, random);
    if (Below(random, 16) == 0) sample.parts = 1 + Below(random, 5);
    taken += Feed(sample.bytes, sample.parts) ? 1 : 0;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  // Both sides of the line were tried.
  EXPECT_GT(taken, kMutations / 100);
  EXPECT_LT(taken, kMutations / 2);
}

TEST(CodecFuzzTest, SurvivesRandomBytes) {
  for (int seed = 0; seed < kRandomMessages; ++seed) {
    std::mt19937_64 random(seed);
    // Half of them get past the version.
    std::string bytes = Below(random, 2) == 0 ? "\x08\x01" : "";
    const size_t size = Below(random, 64);
    while (bytes.size() < size) bytes.push_back(static_cast<char>(random()));
    Feed(bytes, 1 + Below(random, 3));
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// What is made of these two-byte fields would be forty times as large, were it not counted.
TEST(CodecFuzzTest, NeedsLittleMemoryWhateverComes) {
  const auto tag = [](int number) { return static_cast<char>(number << 3 | 2); };
  const auto repeat = [](const std::string& bytes, size_t count) {
    std::string all;
    for (size_t i = 0; i < count; ++i) all += bytes;
    return all;
  };
  const std::string hello_and_assign = {tag(3), 0, tag(6), 0};
  const std::string task = {tag(1), 0};
  const std::string group = "\x7b\x7c";
  for (const std::string& piece : {hello_and_assign, task, group}) {
    for (const size_t bytes : {kMaxEnvelopeBytes - 64, 2 * kMaxEnvelopeFields - 64}) {
      std::string body = repeat(piece, bytes / piece.size());
      Envelope empty;
      empty.set_version(kProtocolVersion);
      std::string envelope = empty.SerializeAsString();
      if (piece == task) {
        envelope += tag(6);
        for (size_t size = body.size(); size > 0; size >>= 7) {
          envelope += static_cast<char>((size & 0x7f) | (size >= 0x80 ? 0x80 : 0));
        }
      }
      google::protobuf::Arena arena;
      EXPECT_FALSE(DecodeEnvelope(MessageOf(envelope + body, 1), arena).ok());
      EXPECT_LT(arena.SpaceAllocated(), 3 * kMaxEnvelopeBytes);
    }
  }
}

}  // namespace
}  // namespace taskfarm
