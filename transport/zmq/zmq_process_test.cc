// Ends that live in processes of their own, and die there.

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "transport/zmq/test_end.h"

namespace taskfarm::zmq_backend {
namespace {

// This program, started once more as one end.
class Process {
 public:
  Process(std::string role, std::string url) {
    std::string program = "/proc/self/exe";
    char* const argv[] = {program.data(), role.data(), url.data(), nullptr};
    CHECK_EQ(posix_spawn(&pid_, program.c_str(), nullptr, nullptr, argv, environ), 0);
  }
  ~Process() { End(SIGKILL); }
  Process(const Process&) = delete;

  void Kill() { End(SIGKILL); }
  void Stop() { kill(pid_, SIGSTOP); }

 private:
  void End(int signal) {
    if (pid_ == 0) return;
    kill(pid_, signal);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  pid_t pid_ = 0;
};

// Says hello to whoever comes up and sends back what it hears, until it is killed.
int RunEnd(Role role, const std::string& url) {
  End end({.url = url, .role = role});
  size_t greeted = 0;
  while (true) {
    end.Turn(kPatience);
    for (; greeted < end.ups.size(); ++greeted) {
      end.Send(end.ups[greeted], "hello").IgnoreError();
    }
    for (Received& received : end.messages) {
      end.transport().Send(received.peer, std::move(received.message)).IgnoreError();
    }
    end.messages.clear();
  }
}

class ZmqProcessTest : public testing::TestWithParam<std::string> {
 protected:
  // A URL that a master can listen at, in whatever process.
  std::string FreeUrl() const {
    if (GetParam() == "zmq") return End::Master("zmq://127.0.0.1:0")->url();
    return "zmq+ipc://" + directory_.Path("farm");
  }

  const ShortDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Schemes, ZmqProcessTest, testing::Values("zmq", "zmq+ipc"),
                         [](const auto& info) { return info.param == "zmq" ? "Tcp" : "Ipc"; });

TEST_P(ZmqProcessTest, AKilledWorkerGoesDown) {
  const auto master = End::Master(FreeUrl());
  Process first("--worker", master->url());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return master->messages.size() == 1; }));
  Process second("--worker", master->url());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return master->messages.size() == 2; }));
  first.Kill();
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return master->IsDown(PeerId{1}); }));
  EXPECT_TRUE(absl::IsUnavailable(master->downs[PeerId{1}])) << master->downs[PeerId{1}];
  EXPECT_EQ(master->Send(PeerId{1}, "x").code(), absl::StatusCode::kNotFound);
  master->messages.clear();
  ASSERT_TRUE(master->Send(PeerId{2}, "alive?").ok());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return !master->messages.empty(); }));
  EXPECT_EQ(master->TakeText(), "alive?");
  EXPECT_FALSE(master->IsDown(PeerId{2}));
}

TEST_P(ZmqProcessTest, AKilledMasterGoesDownAndTheNextComesUp) {
  const std::string url = FreeUrl();
  const auto worker = End::Worker(url);
  for (uint64_t round = 1; round <= 3; ++round) {
    Process master("--master", url);
    ASSERT_TRUE(TurnUntil({worker.get()}, [&] { return worker->ups.size() == round; }));
    ASSERT_TRUE(worker->Send(PeerId{round}, "x").ok());
    ASSERT_TRUE(TurnUntil({worker.get()}, [&] { return worker->messages.size() == 2; }));
    worker->messages.clear();
    master.Kill();
    ASSERT_TRUE(TurnUntil({worker.get()}, [&] { return worker->IsDown(PeerId{round}); }));
    EXPECT_TRUE(absl::IsUnavailable(worker->downs[PeerId{round}]));
  }
}

// A process that is stopped takes nothing any more; a close waits for as long as it was told.
TEST_P(ZmqProcessTest, AStoppedWorkerDoesNotHoldUpAClose) {
  const auto master = End::Master(FreeUrl());
  Process worker("--worker", master->url());
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return !master->messages.empty(); }));
  worker.Stop();
  while (master->Send(PeerId{1}, std::string(1 << 20, 'x')).ok()) {
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(master->transport().Close(absl::Milliseconds(100))));
}

}  // namespace
}  // namespace taskfarm::zmq_backend

int main(int argc, char** argv) {
  if (argc == 3 && absl::StartsWith(argv[1], "--master")) {
    return taskfarm::zmq_backend::RunEnd(taskfarm::Role::kMaster, argv[2]);
  }
  if (argc == 3 && absl::StartsWith(argv[1], "--worker")) {
    return taskfarm::zmq_backend::RunEnd(taskfarm::Role::kWorker, argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
