// The user's side of a farm of threads: every call of Client, with real workers.

#include "client/client.h"

#include <atomic>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "client/program.h"
#include "farm/farm.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using google::protobuf::BytesValue;
using google::protobuf::Int64Value;
using google::protobuf::StringValue;

Int64Value Number(int64_t value) {
  Int64Value message;
  message.set_value(value);
  return message;
}

absl::StatusOr<Int64Value> Square(const Int64Value& number) {
  return Number(number.value() * number.value());
}
TASKFARM_TASK(Square);

absl::StatusOr<Int64Value> RefuseOdd(const Int64Value& number) {
  if (number.value() % 2 != 0) return absl::OutOfRangeError("odd");
  return number;
}
TASKFARM_TASK(RefuseOdd);

absl::StatusOr<Int64Value> Throw(const Int64Value&) { throw std::runtime_error("thrown"); }
TASKFARM_TASK(Throw);

absl::StatusOr<BytesValue> Reverse(const BytesValue& bytes) {
  BytesValue reply;
  reply.set_value(std::string(bytes.value().rbegin(), bytes.value().rend()));
  return reply;
}
TASKFARM_TASK(Reverse);

absl::StatusOr<absl::Cord> ReturnBytes(const absl::Cord& bytes) { return bytes; }
TASKFARM_TASK(ReturnBytes);

absl::StatusOr<absl::Cord> FailOnBytes(const absl::Cord&) { return absl::DataLossError("torn"); }
TASKFARM_TASK(FailOnBytes);

absl::StatusOr<absl::Cord> NotRegisteredBytes(const absl::Cord& bytes) { return bytes; }

absl::StatusOr<Int64Value> WhichAttempt(const Int64Value& wanted, TaskContext& context) {
  if (Value(context.attempt()) < wanted.value()) return absl::AbortedError("not yet");
  return Number(Value(context.attempt()));
}
TASKFARM_TASK(WhichAttempt);

std::atomic<int> waiting{0};

// Runs until it is told to stop.
absl::StatusOr<Int64Value> WaitForCancel(const Int64Value&, TaskContext& context) {
  ++waiting;
  while (!context.cancelled()) std::this_thread::yield();
  --waiting;
  return absl::CancelledError("told to stop");
}
TASKFARM_TASK(WaitForCancel);

absl::StatusOr<StringValue> NotRegistered(const StringValue& text) { return text; }

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    FarmOptions options;
    options.workers = 2;
    options.slots = 2;
    options.registry = &ProgramRegistry();
    absl::StatusOr<std::unique_ptr<Farm>> farm = Farm::Open(options);
    ASSERT_TRUE(farm.ok()) << farm.status();
    farm_ = *std::move(farm);
    client_ = std::make_unique<Client>(farm_->queue());
    ASSERT_TRUE(client_->WaitForWorkers(2).ok());
  }

  void TearDown() override {
    client_.reset();
    EXPECT_TRUE(farm_->Close().ok());
  }

  std::unique_ptr<Farm> farm_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, SubmitGivesTheReply) {
  const Future<Int64Value> future = client_->Submit<Square>(Number(12));
  EXPECT_EQ(future.Get()->value(), 144);
  EXPECT_TRUE(future.Ready());
  EXPECT_EQ(future.Report().outcome, Outcome::kOk);
  EXPECT_EQ(future.Report().attempts, Attempt{1});
  EXPECT_FALSE(future.Report().host.empty());
  EXPECT_GE(Value(future.Report().worker), 1u);
}

TEST_F(ClientTest, WhatTheFunctionSaysIsTheStatus) {
  EXPECT_EQ(client_->Submit<RefuseOdd>(Number(2)).Get()->value(), 2);
  const Future<Int64Value> odd = client_->Submit<RefuseOdd>(Number(3));
  EXPECT_EQ(odd.Get().status(), absl::OutOfRangeError("odd"));
  EXPECT_EQ(odd.Report().outcome, Outcome::kFailed);
  const absl::Status thrown = client_->Submit<Throw>(Number(1)).Get().status();
  EXPECT_EQ(thrown.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(absl::StrContains(thrown.message(), "thrown"));
}

TEST_F(ClientTest, AFunctionThatIsNotRegisteredSaysWhatToDo) {
  const absl::Status status = client_->Submit<NotRegistered>(StringValue()).Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "TASKFARM_TASK"));
  EXPECT_TRUE(absl::StrContains(status.message(), "google.protobuf.StringValue"));
}

TEST_F(ClientTest, RetriesAreMade) {
  const Future<Int64Value> third = client_->Submit<WhichAttempt>(Number(3), {.retries = 2});
  EXPECT_EQ(third.Get()->value(), 3);
  EXPECT_EQ(third.Report().attempts, Attempt{3});
  const Future<Int64Value> never = client_->Submit<WhichAttempt>(Number(4), {.retries = 2});
  EXPECT_EQ(never.Get().status(), absl::AbortedError("not yet"));
}

TEST_F(ClientTest, ATimeoutEndsTheAttempt) {
  const Future<Int64Value> future =
      client_->Submit<WaitForCancel>(Number(0), {.timeout = absl::Milliseconds(50)});
  EXPECT_EQ(future.Get().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(future.Report().outcome, Outcome::kTimedOut);
}

TEST_F(ClientTest, CancelReachesWaitingAndRunningTasks) {
  std::vector<Future<Int64Value>> futures;
  for (int i = 0; i < 20; ++i) futures.push_back(client_->Submit<WaitForCancel>(Number(i)));
  while (waiting < 4) std::this_thread::yield();
  EXPECT_FALSE(futures[0].WaitFor(absl::ZeroDuration()));
  for (const auto& future : futures) future.Cancel();
  for (const auto& future : futures) {
    EXPECT_EQ(future.Get().status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(future.Report().outcome, Outcome::kCancelled);
  }
  futures[0].Cancel();  // no effect on what is over
}

TEST_F(ClientTest, ThenRunsAndMaySubmit) {
  absl::Notification done;
  int64_t result = 0;
  client_->Submit<Square>(Number(3)).Then([&](const absl::StatusOr<Int64Value>& nine) {
    client_->Submit<Square>(*nine).Then([&](const absl::StatusOr<Int64Value>& reply) {
      result = reply->value();
      done.Notify();
    });
  });
  done.WaitForNotification();
  EXPECT_EQ(result, 81);
}

TEST_F(ClientTest, CommandsRun) {
  Command command{.argv = {"tr", "a-z", "A-Z"}, .standard_input = "shout"};
  EXPECT_EQ(client_->SubmitCommand(command).Get()->standard_output, "SHOUT");
  const Future<CommandResult> failed =
      client_->SubmitCommand(Command::Shell("echo why >&2; exit 3"));
  EXPECT_FALSE(failed.Get().ok());
  EXPECT_EQ(failed.Report().command.exit_code, 3);
  EXPECT_EQ(failed.Report().command.standard_error, "why\n");
  EXPECT_EQ(client_->SubmitCommand(Command{}).Get().status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, BytesAreNotCopied) {
  const absl::Cord bytes(std::string(1 << 20, 'b'));
  const absl::StatusOr<absl::Cord> reply = client_->Submit<ReturnBytes>(bytes).Get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_TRUE(reply->TryFlat().has_value());
  EXPECT_EQ(reply->TryFlat()->data(), bytes.TryFlat()->data());
  std::vector<absl::Cord> many(10, bytes);
  many[3] = absl::Cord("few");
  for (auto& done : client_->Map<ReturnBytes>(many)) EXPECT_EQ(*done.reply, many[done.index]);
  EXPECT_EQ(client_->Submit<FailOnBytes>(bytes).Get().status(), absl::DataLossError("torn"));
  const absl::Status unknown = client_->Submit<NotRegisteredBytes>(bytes).Get().status();
  EXPECT_TRUE(absl::StrContains(unknown.message(), "takes a absl::Cord")) << unknown;
}

TEST_F(ClientTest, LargePayloadsTravel) {
  BytesValue request;
  request.set_value(std::string(8 << 20, 'a') + "end");
  const absl::StatusOr<BytesValue> reply = client_->Submit<Reverse>(request).Get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->value().size(), request.value().size());
  EXPECT_EQ(reply->value().substr(0, 4), "dnea");
}

TEST_F(ClientTest, MapGivesEachResultOnce) {
  std::vector<Int64Value> numbers;
  for (int i = 0; i < 5000; ++i) numbers.push_back(Number(i));
  std::set<size_t> seen;
  for (auto& done : client_->Map<Square>(numbers)) {
    ASSERT_TRUE(done.reply.ok()) << done.reply.status();
    EXPECT_EQ(done.reply->value(), static_cast<int64_t>(done.index * done.index));
    EXPECT_TRUE(seen.insert(done.index).second);
  }
  EXPECT_EQ(seen.size(), numbers.size());
}

TEST_F(ClientTest, MapReadsLazilyAndKeepsOrderIfAsked) {
  std::atomic<int64_t> read{0};
  auto numbers =
      std::views::iota(int64_t{0}, int64_t{3000}) | std::views::transform([&read](int64_t i) {
        ++read;
        return Number(i);
      });
  size_t next = 0;
  for (auto& done : client_->Map<Square>(numbers, {.in_order = true, .window = 16})) {
    EXPECT_EQ(done.index, next++);
    EXPECT_LE(read, static_cast<int64_t>(next) + 16);
  }
  EXPECT_EQ(next, 3000u);
}

TEST_F(ClientTest, MapOfNothing) {
  for (auto& done : client_->Map<Square>(std::vector<Int64Value>())) FAIL() << done.index;
}

TEST_F(ClientTest, MapPassesErrorsOn) {
  std::vector<Int64Value> numbers = {Number(2), Number(3), Number(4)};
  std::vector<bool> ok;
  for (auto& done : client_->Map<RefuseOdd>(numbers, {.in_order = true})) {
    ok.push_back(done.reply.ok());
  }
  EXPECT_EQ(ok, (std::vector<bool>{true, false, true}));
}

TEST_F(ClientTest, LeavingAMapEarlyCancelsTheRest) {
  std::vector<Int64Value> numbers(100);
  {
    Future<Int64Value> first = client_->Submit<Square>(Number(1));
    auto results = client_->Map<WaitForCancel>(numbers, {.window = 8});
    std::thread leave([&] {
      while (waiting < 4) std::this_thread::yield();
      farm_->queue()->Cancel(TaskId{2});
    });
    auto it = results.begin();
    EXPECT_FALSE(it->reply.ok());
    leave.join();
  }
  while (waiting > 0) std::this_thread::yield();
  EXPECT_EQ(client_->Submit<Square>(Number(5)).Get()->value(), 25);
}

TEST_F(ClientTest, ManyThreadsSubmit) {
  std::vector<std::thread> users;
  std::atomic<int64_t> total{0};
  for (int user = 0; user < 8; ++user) {
    users.emplace_back([&, user] {
      for (int i = 0; i < 100; ++i) {
        total += client_->Submit<Square>(Number(user)).Get()->value();
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(total, 100 * (0 + 1 + 4 + 9 + 16 + 25 + 36 + 49));
}

TEST_F(ClientTest, DrainEndsWhatWaitsAndRefusesMore) {
  std::vector<Future<Int64Value>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(client_->Submit<WaitForCancel>(Number(i)));
  while (waiting < 4) std::this_thread::yield();
  farm_->queue()->Drain(/*cancel_running=*/false);
  int ended = 0;
  while (ended < 46) {
    ended =
        static_cast<int>(std::ranges::count_if(futures, [](const auto& f) { return f.Ready(); }));
    std::this_thread::yield();
  }
  EXPECT_EQ(waiting, 4) << "what runs goes on";
  EXPECT_EQ(client_->Submit<Square>(Number(1)).Get().status().code(),
            absl::StatusCode::kFailedPrecondition);
  farm_->queue()->Drain(/*cancel_running=*/true);
  for (const auto& future : futures) EXPECT_FALSE(future.Get().ok());
}

class OrderOfReports : public ReportSink {
 public:
  void Completed(std::vector<TaskReport>&& reports) override {
    for (const TaskReport& report : reports) tags.push_back(report.tag);
  }
  std::vector<uint64_t> tags;
};

TEST(ClientLifeTest, HigherPriorityGoesFirst) {
  FarmOptions options;
  options.registry = &ProgramRegistry();
  std::unique_ptr<Farm> farm = *Farm::Open(options);
  ASSERT_TRUE(farm->queue()->WaitForWorkers(1, absl::InfiniteDuration()).ok());
  const auto order = std::make_shared<OrderOfReports>();
  std::vector<TaskRequest> batch;
  for (const int priority : {0, 5, -5, 5}) {
    TaskRequest& request = batch.emplace_back();
    request.tag = batch.size();
    request.options.priority = priority;
    request.work = *MakeCall<Square>(Number(1));
  }
  ASSERT_TRUE(farm->queue()->Submit(std::move(batch), order).ok());
  while (farm->queue()->Status().completed < 4) std::this_thread::yield();
  EXPECT_TRUE(farm->Close().ok());
  EXPECT_EQ(order->tags, (std::vector<uint64_t>{2, 4, 1, 3}));
}

TEST(ClientLifeTest, AFutureOutlivesItsFarm) {
  FarmOptions options;
  options.registry = &ProgramRegistry();
  std::unique_ptr<Farm> farm = *Farm::Open(options);
  std::vector<Future<Int64Value>> futures;
  {
    Client client(farm->queue());
    for (int i = 0; i < 10; ++i) futures.push_back(client.Submit<WaitForCancel>(Number(i)));
  }
  EXPECT_TRUE(farm->Close().ok());
  for (const auto& future : futures) EXPECT_EQ(future.Report().outcome, Outcome::kCancelled);
  Client late(farm->queue());
  EXPECT_FALSE(late.Submit<Square>(Number(1)).Get().ok());
  farm.reset();
  EXPECT_FALSE(futures[0].Get().ok());
  futures[0].Cancel();
}

}  // namespace
}  // namespace taskfarm
