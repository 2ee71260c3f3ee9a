#include "protocol/task_codec.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "gtest/gtest.h"
#include "protocol/codec.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

constexpr uint64_t kEpoch = 99;
const absl::Time kQueued = absl::FromUnixNanos(1'700'000'000'123'456'789);

TaskWork Call(absl::Cord request) {
  TaskWork task;
  task.task = TaskId{7};
  task.attempt = Attempt{2};
  task.work = FunctionWork{3, std::move(request)};
  return task;
}

TaskWork CommandTask(std::vector<std::string> argv) {
  TaskWork task;
  task.task = TaskId{8};
  task.attempt = Attempt{1};
  task.work.emplace<CommandWork>().argv = std::move(argv);
  return task;
}

FinishedWork Reply(absl::Cord reply) {
  FinishedWork finished;
  finished.task = TaskId{7};
  finished.attempt = Attempt{2};
  finished.queued = kQueued;
  finished.started = kQueued + absl::Microseconds(3);
  finished.ended = kQueued + absl::Microseconds(5);
  finished.reply = std::move(reply);
  return finished;
}

// Larger than what travels inline, and one flat piece.
absl::Cord Large(size_t bytes = kInlinePayloadBytes + 1) {
  return absl::Cord(std::string(bytes, 'x'));
}

// There and back, in a batch of its own.
TaskWork Travel(const TaskWork& task) {
  google::protobuf::Arena arena;
  AssignBatch batch(kEpoch, arena);
  EXPECT_TRUE(batch.Add(task));
  const Message message = batch.Take();
  const auto envelope = DecodeEnvelope(message, arena);
  EXPECT_TRUE(envelope.ok()) << envelope.status();
  if (!envelope.ok()) return {};
  EXPECT_EQ((*envelope)->epoch(), kEpoch);
  return TaskFromWire((*envelope)->assign().tasks(0), message);
}

FinishedWork Travel(const FinishedWork& finished) {
  google::protobuf::Arena arena;
  ResultBatch batch(kEpoch, 5, arena);
  EXPECT_TRUE(batch.Add(finished));
  const Message message = batch.Take();
  const auto envelope = DecodeEnvelope(message, arena);
  EXPECT_TRUE(envelope.ok()) << envelope.status();
  if (!envelope.ok()) return {};
  EXPECT_EQ((*envelope)->epoch(), kEpoch);
  EXPECT_EQ((*envelope)->result().sequence(), 5);
  return ResultFromWire((*envelope)->result().results(0), message);
}

TEST(TaskCodecTest, GivesBackACall) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, kInlinePayloadBytes,
                             kInlinePayloadBytes + 1, size_t{1'000'000}}) {
    TaskWork task = Call(absl::Cord(std::string(bytes, 'x')));
    task.priority = -12;
    task.timeout = absl::Milliseconds(1500);
    task.key = TaskKey{1, 2};
    std::get<FunctionWork>(task.work).isolation = Isolation::kProcess;
    const TaskWork back = Travel(task);
    EXPECT_EQ(back.task, TaskId{7});
    EXPECT_EQ(back.attempt, Attempt{2});
    EXPECT_EQ(back.priority, -12);
    EXPECT_EQ(back.timeout, absl::Milliseconds(1500));
    ASSERT_TRUE(std::holds_alternative<FunctionWork>(back.work));
    EXPECT_EQ(back.key, (TaskKey{1, 2}));
    EXPECT_EQ(std::get<FunctionWork>(back.work).function, 3);
    EXPECT_EQ(std::get<FunctionWork>(back.work).isolation, Isolation::kProcess);
    EXPECT_EQ(std::get<FunctionWork>(back.work).request, std::get<FunctionWork>(task.work).request);
  }
}

TEST(TaskCodecTest, GivesBackACommand) {
  for (const size_t bytes : {size_t{0}, size_t{5}, kInlinePayloadBytes + 1}) {
    TaskWork task = CommandTask({"sort", "", "a b\n", "caf\xe9"});
    auto& command = std::get<CommandWork>(task.work);
    command.env = {{"A", "1"}, {"B", ""}};
    command.cwd = "/tmp";
    command.name = "the name";
    command.output_limit_bytes = 12345;
    command.standard_input = absl::Cord(std::string(bytes, 'i'));
    const TaskWork back = Travel(task);
    EXPECT_EQ(back.task, TaskId{8});
    EXPECT_EQ(back.timeout, absl::InfiniteDuration());
    ASSERT_TRUE(std::holds_alternative<CommandWork>(back.work));
    const auto& got = std::get<CommandWork>(back.work);
    EXPECT_EQ(got.argv, command.argv);
    EXPECT_EQ(got.env, command.env);
    EXPECT_EQ(got.cwd, command.cwd);
    EXPECT_EQ(got.name, command.name);
    EXPECT_EQ(got.output_limit_bytes, 12345);
    EXPECT_EQ(got.standard_input, command.standard_input);
  }
}

TEST(TaskCodecTest, KeepsTimeoutsOnTheSafeSide) {
  const auto timeout = [](absl::Duration timeout) {
    TaskWork task = Call(absl::Cord());
    task.timeout = timeout;
    return Travel(task).timeout;
  };
  EXPECT_EQ(timeout(absl::InfiniteDuration()), absl::InfiniteDuration());
  EXPECT_EQ(timeout(absl::Nanoseconds(1)), absl::Nanoseconds(1));
  // None of these may turn into "no timeout".
  EXPECT_EQ(timeout(absl::ZeroDuration()), absl::Nanoseconds(1));
  EXPECT_EQ(timeout(absl::Nanoseconds(0.25)), absl::Nanoseconds(1));
  EXPECT_EQ(timeout(-absl::Seconds(1)), absl::Nanoseconds(1));
  EXPECT_EQ(timeout(absl::Hours(24 * 365 * 1000)),
            absl::Nanoseconds(std::numeric_limits<int64_t>::max()));
}

TEST(TaskCodecTest, GivesBackAReply) {
  for (const size_t bytes : {size_t{0}, size_t{8}, kInlinePayloadBytes, kInlinePayloadBytes + 1}) {
    const FinishedWork finished = Reply(absl::Cord(std::string(bytes, 'r')));
    const FinishedWork back = Travel(finished);
    EXPECT_EQ(back.task, TaskId{7});
    EXPECT_EQ(back.attempt, Attempt{2});
    EXPECT_EQ(back.outcome, Outcome::kOk);
    EXPECT_EQ(back.queued, finished.queued);
    EXPECT_EQ(back.started, finished.started);
    EXPECT_EQ(back.ended, finished.ended);
    EXPECT_EQ(back.status, absl::OkStatus());
    EXPECT_EQ(back.reply, finished.reply);
    EXPECT_FALSE(back.is_command);
  }
}

TEST(TaskCodecTest, GivesBackWhatACommandLeft) {
  FinishedWork finished = Reply(absl::Cord());
  finished.is_command = true;
  finished.outcome = Outcome::kFailed;
  finished.status = absl::InternalError("exit status 143");
  finished.command.exit_code = 143;
  finished.command.signal = 15;
  finished.command.standard_output = Large();
  finished.command.standard_error = Large(70'000);
  finished.command.standard_output_total_bytes = 1'000'000;
  finished.command.standard_error_total_bytes = 70'000;
  const FinishedWork back = Travel(finished);
  EXPECT_TRUE(back.is_command);
  EXPECT_EQ(back.outcome, Outcome::kFailed);
  EXPECT_EQ(back.status, finished.status);
  EXPECT_EQ(back.command.exit_code, 143);
  EXPECT_EQ(back.command.signal, 15);
  EXPECT_EQ(back.command.standard_output, finished.command.standard_output);
  EXPECT_EQ(back.command.standard_error, finished.command.standard_error);
  EXPECT_EQ(back.command.standard_output_total_bytes, 1'000'000);
  EXPECT_EQ(back.command.standard_error_total_bytes, 70'000);
}

TEST(TaskCodecTest, TellsACommandWithoutOutputFromAReply) {
  FinishedWork finished = Reply(absl::Cord());
  finished.is_command = true;
  EXPECT_TRUE(Travel(finished).is_command);
}

TEST(TaskCodecTest, MakesAnErrorOneLine) {
  const auto error = [](Outcome outcome, absl::Status status) {
    FinishedWork finished = Reply(absl::Cord());
    finished.outcome = outcome;
    finished.status = std::move(status);
    const FinishedWork back = Travel(finished);
    EXPECT_EQ(back.outcome, outcome);
    return back.status;
  };
  EXPECT_EQ(error(Outcome::kFailed, absl::DataLossError("a\nb\xff")), absl::DataLossError("a b?"));
  EXPECT_EQ(error(Outcome::kTimedOut, absl::OkStatus()), absl::UnknownError("timed_out"));
  EXPECT_EQ(error(Outcome::kOk, absl::InternalError("forgotten")), absl::OkStatus());
  EXPECT_EQ(error(Outcome::kCancelled, absl::Status(static_cast<absl::StatusCode>(99), "x")).code(),
            absl::StatusCode::kUnknown);
  const absl::Status cut = error(Outcome::kCrashed, absl::AbortedError(std::string(100'000, 'x')));
  EXPECT_EQ(cut.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(cut.message().size(), kErrorBytes);
}

TEST(TaskCodecTest, SurvivesAClockThatIsWrong) {
  const absl::Time times[] = {
      absl::InfinitePast(),       absl::UnixEpoch() - absl::Seconds(1),
      absl::UnixEpoch(),          kQueued,
      kQueued + absl::Seconds(1), absl::FromUnixNanos(std::numeric_limits<int64_t>::max()),
      absl::InfiniteFuture(),
  };
  for (const absl::Time queued : times) {
    for (const absl::Time started : times) {
      for (const absl::Time ended : times) {
        FinishedWork finished = Reply(absl::Cord());
        finished.queued = queued;
        finished.started = started;
        finished.ended = ended;
        const FinishedWork back = Travel(finished);
        EXPECT_LE(back.queued, back.started);
        EXPECT_LE(back.started, back.ended);
      }
    }
  }
}

TEST(TaskCodecTest, NeverCopiesLargePayloads) {
  google::protobuf::Arena arena;
  AssignBatch batch(kEpoch, arena);
  const TaskWork large = Call(Large(1'000'000));
  const TaskWork small = Call(absl::Cord("small"));
  ASSERT_TRUE(batch.Add(large));
  ASSERT_FALSE(batch.Add(Call(Large(1'000'000))));
  ASSERT_TRUE(batch.Add(small));
  const Message message = batch.Take();
  ASSERT_EQ(message.parts.size(), 2);
  const auto envelope = DecodeEnvelope(message, arena);
  ASSERT_TRUE(envelope.ok()) << envelope.status();
  const auto& tasks = (*envelope)->assign().tasks();
  ASSERT_EQ(tasks.size(), 2);
  const TaskWork back = TaskFromWire(tasks[0], message);
  EXPECT_EQ(std::get<FunctionWork>(back.work).request.TryFlat()->data(),
            std::get<FunctionWork>(large.work).request.TryFlat()->data());
  EXPECT_EQ(std::get<FunctionWork>(TaskFromWire(tasks[1], message).work).request, "small");
}

TEST(BatchTest, TakesOneTaskOfAnySize) {
  google::protobuf::Arena arena;
  AssignBatch batch(kEpoch, arena);
  EXPECT_TRUE(batch.empty());
  EXPECT_TRUE(batch.Add(Call(Large(10 * kBatchBytes))));
  EXPECT_FALSE(batch.empty());
  EXPECT_FALSE(batch.Add(Call(absl::Cord())));
}

// Adds `task` until the batch is full; how many went in. The message must be one that others take.
size_t FillBatch(const TaskWork& task) {
  google::protobuf::Arena arena;
  AssignBatch batch(kEpoch, arena);
  size_t count = 0;
  while (batch.Add(task)) ++count;
  const Message message = batch.Take();
  EXPECT_LE(message.total_bytes(), kBatchBytes);
  const auto envelope = DecodeEnvelope(message, arena);
  EXPECT_TRUE(envelope.ok()) << envelope.status();
  if (!envelope.ok()) return 0;
  EXPECT_EQ((*envelope)->assign().tasks_size(), count);
  return count;
}

TEST(BatchTest, EndsAtItsLimits) {
  EXPECT_EQ(FillBatch(Call(absl::Cord())), kMaxBatch);
  EXPECT_EQ(FillBatch(Call(Large())), kBatchBytes / (kInlinePayloadBytes + 1 + 64));
  EXPECT_EQ(FillBatch(Call(absl::Cord(std::string(1000, 'x')))), kBatchBytes / 1064);
}

// Many tiny strings are what makes fields: a batch of these is full long before kMaxBatch.
TEST(BatchTest, NeverHasMoreFieldsThanOthersTake) {
  TaskWork arguments = CommandTask(std::vector<std::string>(100, ""));
  std::get<CommandWork>(arguments.work).argv[0] = "x";
  EXPECT_GT(FillBatch(arguments), 500);
  TaskWork variables = CommandTask({"x"});
  std::get<CommandWork>(variables.work).env.assign(100, {"A", ""});
  EXPECT_GT(FillBatch(variables), 250);
}

TEST(BatchTest, TakesTheLargestCommand) {
  // As many variables as kMaxCommandBytes allows: three fields each.
  TaskWork task = CommandTask({"x"});
  auto& command = std::get<CommandWork>(task.work);
  const size_t variable_bytes = 1 + 2 * kCommandStringBytes;
  command.env.assign((kMaxCommandBytes - 1 - kCommandStringBytes) / variable_bytes, {"A", ""});
  const TaskWork back = Travel(task);
  EXPECT_EQ(std::get<CommandWork>(back.work).env, command.env);
}

TEST(BatchTest, EndsAtItsLimitsWithResults) {
  FinishedWork finished = Reply(absl::Cord());
  finished.is_command = true;
  finished.outcome = Outcome::kFailed;
  finished.status = absl::InternalError(std::string(100'000, 'x'));
  for (const size_t bytes : {size_t{0}, size_t{10}, size_t{1000}, kInlinePayloadBytes + 1}) {
    finished.command.standard_output = absl::Cord(std::string(bytes, 'o'));
    finished.command.standard_error = absl::Cord(std::string(bytes, 'e'));
    google::protobuf::Arena arena;
    ResultBatch batch(kEpoch, 1, arena);
    EXPECT_TRUE(batch.empty());
    int count = 0;
    while (batch.Add(finished)) ++count;
    EXPECT_FALSE(batch.empty());
    EXPECT_GT(count, 50);
    const Message message = batch.Take();
    EXPECT_LE(message.total_bytes(), kBatchBytes);
    EXPECT_GT(message.total_bytes(), kBatchBytes * 9 / 10);
    EXPECT_TRUE(DecodeEnvelope(message, arena).ok());
  }
  const auto replies = [](size_t bytes) {
    google::protobuf::Arena arena;
    ResultBatch batch(kEpoch, 1, arena);
    size_t count = 0;
    while (batch.Add(Reply(absl::Cord(std::string(bytes, 'r'))))) ++count;
    return count;
  };
  EXPECT_EQ(replies(0), kMaxBatch);
  EXPECT_EQ(replies(1000), kBatchBytes / 1064);
}

TEST(BatchDeathTest, IsNotSentEmpty) {
  google::protobuf::Arena arena;
  EXPECT_DEATH(AssignBatch(kEpoch, arena).Take(), "empty");
  EXPECT_DEATH(ResultBatch(kEpoch, 1, arena).Take(), "empty");
}

TEST(TaskCodecDeathTest, KeepsLostForTheMaster) {
  google::protobuf::Arena arena;
  FinishedWork finished = Reply(absl::Cord());
  finished.outcome = Outcome::kLost;
  EXPECT_DEATH(ResultBatch(kEpoch, 1, arena).Add(finished), "kLost");
}

}  // namespace
}  // namespace taskfarm
