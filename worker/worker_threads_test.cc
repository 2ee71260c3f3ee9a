// The worker as it runs for real: its loop on a thread, a SlotPool, an inproc transport.
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/inproc/inproc_network.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/open_transport.h"
#include "worker/master_double.h"
#include "worker/registry.h"
#include "worker/slot_pool.h"
#include "worker/worker.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr absl::Duration kLong = absl::Seconds(60);

class WorkerThreadsTest : public ::testing::Test {
 protected:
  WorkerThreadsTest() {
    RegisteredFunction echo;
    echo.name = "Echo";
    echo.signature = "Echo(A) -> A";
    echo.run = [](const absl::Cord& request, TaskContext&) -> absl::StatusOr<absl::Cord> {
      return request;
    };
    CHECK_OK(registry_.Add(std::move(echo)));
    thread_ = std::thread([this] { RunWorker(); });
    CHECK(Next() == "up");
    CHECK(Next() == "hello");
    master_.SayWelcome(3);
    welcomed_.get_future().wait();
  }

  // Ends the worker, if it has not ended, and gives its status.
  absl::Status Finish() {
    protocol::Envelope goodbye;
    goodbye.mutable_goodbye();
    master_.Say(goodbye);
    return Join();
  }

  absl::Status Join() {
    thread_.join();
    return status_;
  }

  // The next line but heartbeats. Dies after a minute of silence.
  std::string Next() {
    for (;;) {
      if (heard_.empty()) heard_ = master_.Hear(kLong);
      CHECK(!heard_.empty()) << "the worker is silent";
      const std::string line = heard_.front();
      heard_.erase(heard_.begin());
      if (line != "heartbeat") return line;
    }
  }

  void RunWorker() {
    TransportOptions options;
    options.url = "inproc:";
    options.role = Role::kWorker;
    auto opened = OpenTransport(options, {InprocTransportFactory(network_)});
    CHECK_OK(opened);
    Transport* const transport = opened->transport.get();
    SlotPoolOptions pool_options;
    pool_options.slots = 2;
    pool_options.registry = &registry_;
    pool_options.wake = [transport] { transport->Wake(); };
    SlotPool pool(pool_options, &Clock::Real());
    WorkerOptions worker_options;
    worker_options.slots = 2;
    worker_options.functions = registry_.Signatures();
    worker_options.on_welcome = [this, &pool](WorkerId worker) {
      pool.SetWorker(worker);
      welcomed_.set_value();
    };
    Worker worker(worker_options, transport, &pool, &Clock::Real());
    worker_ = &worker;
    status_ = worker.Run();
  }

  Registry registry_;
  std::shared_ptr<InprocNetwork> network_ = std::make_shared<InprocNetwork>();
  MasterDouble master_{network_};
  std::vector<std::string> heard_;
  Worker* worker_ = nullptr;  // while the thread has one; set before the hello
  std::promise<void> welcomed_;
  absl::Status status_;
  std::thread thread_;
};

TEST_F(WorkerThreadsTest, EveryResultComesOnce) {
  constexpr uint64_t kTasks = 20'000;
  constexpr uint64_t kBatch = 500;
  std::set<uint64_t> seen;
  uint64_t assigned = 0;
  uint64_t messages = 0;
  const auto assign = [&] {
    std::vector<TaskWork> tasks;
    for (uint64_t i = 0; i < kBatch; ++i) {
      ++assigned;
      tasks.push_back(FunctionTask(assigned, absl::StrCat(assigned)));
    }
    master_.Assign(tasks);
  };
  assign();
  assign();
  while (seen.size() < kTasks) {
    const std::string line = Next();
    ASSERT_TRUE(absl::StartsWith(line, absl::StrCat("result #", ++messages, ": "))) << line;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    for (size_t i = 2; i < words.size(); i += 3) {
      const std::string number = words[i].substr(0, words[i].find('.'));
      ASSERT_EQ(words[i + 1], "ok");
      ASSERT_EQ(words[i + 2], absl::StrCat("'", number, "'"));
      uint64_t task;
      ASSERT_TRUE(absl::SimpleAtoi(number, &task));
      ASSERT_TRUE(seen.insert(task).second) << "twice: " << task;
    }
    master_.Acknowledge(messages);
    if (assigned < kTasks && assigned - seen.size() <= kBatch) assign();
  }
  EXPECT_TRUE(Finish().ok()) << status_;
}

TEST_F(WorkerThreadsTest, RunsCommands) {
  TaskWork work = FunctionTask(1, "");
  CommandWork command;
  command.argv = {"/bin/sh", "-c", "echo worker $TASKFARM_WORKER"};
  work.work = std::move(command);
  master_.Assign({work});
  EXPECT_EQ(Next(), "result #1: 1.1 ok 'worker 3\n'");
  EXPECT_TRUE(Finish().ok()) << status_;
}

TEST_F(WorkerThreadsTest, DrainsFromAnotherThread) {
  worker_->RequestDrain();
  EXPECT_EQ(Next(), "drain");
  EXPECT_EQ(Next(), "goodbye: drained");
  EXPECT_EQ(Next(), "down");
  EXPECT_TRUE(Join().ok()) << status_;
}

TEST_F(WorkerThreadsTest, ACancelledCommandIsGoneAtOnce) {
  TaskWork work = FunctionTask(1, "");
  CommandWork command;
  command.argv = {"/bin/sleep", "600"};
  work.work = std::move(command);
  master_.Assign({work});
  protocol::Envelope cancel;
  protocol::TaskRef& ref = *cancel.mutable_cancel()->add_tasks();
  ref.set_id(1);
  ref.set_attempt(1);
  master_.Say(cancel);
  EXPECT_TRUE(absl::StartsWith(Next(), "result #1: 1.1 cancelled cancelled"));
  EXPECT_TRUE(Finish().ok()) << status_;
}

}  // namespace
}  // namespace taskfarm
