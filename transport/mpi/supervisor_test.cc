#include "transport/mpi/supervisor.h"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "transport/mpi/tolerant_rank.h"

namespace taskfarm {
namespace {

constexpr int kSignalled = 200;  // exit status that stands for a supervisor's death by a signal

// Plays Hydra's proxy, in a process of its own, for one supervisor and its rank.
class SuperviseMpiRankTest : public testing::Test {
 protected:
  SuperviseMpiRankTest() : folder_(absl::StrCat(testing::TempDir(), "/supervisor_test.XXXXXX")) {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line_), 0);
    EXPECT_EQ(pipe(open_while_alive_), 0);
  }

  // Runs `body` as rank `rank`. Returns the wait status of the proxy, which ends as its child does.
  int Run(int rank, const std::function<void()>& body) {
    const pid_t proxy = fork();
    if (proxy == 0) {
      close(open_while_alive_[0]);
      const pid_t child = fork();
      if (child == 0) RunChild(rank, body);
      int status = 0;
      waitpid(child, &status, 0);
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled);
    }
    close(open_while_alive_[1]);
    int status = 0;
    EXPECT_EQ(waitpid(proxy, &status, 0), proxy);
    return status;
  }

  // Returns when no process that Run() has started is left.
  void AwaitAllGone() {
    char byte;
    EXPECT_EQ(read(open_while_alive_[0], &byte, 1), 0);
  }

  std::string State(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(absl::StrCat(folder_, "/", name)).rdbuf();
    return text.str();
  }

  int HydrasEnd() const { return line_[0]; }

 private:
  void RunChild(int rank, const std::function<void()>& body) {
    setenv("TASKFARM_MPI_MODE", "tolerant", 1);
    setenv("TASKFARM_MPI_STATE", folder_.c_str(), 1);
    setenv("PMI_RANK", absl::StrCat(rank).c_str(), 1);
    setenv("PMI_SIZE", "3", 1);
    setenv("PMI_FD", absl::StrCat(line_[1]).c_str(), 1);
    SuperviseMpiRank();
    body();
    std::exit(0);
  }

  std::string folder_;
  int line_[2];              // Hydra's end, the rank's
  int open_while_alive_[2];  // the second is inherited by all processes
};

TEST_F(SuperviseMpiRankTest, DoesNothingElsewhere) {
  const pid_t before = getpid();
  SuperviseMpiRank();
  EXPECT_EQ(getpid(), before);
  EXPECT_FALSE(mpi::IsTolerantRank());
}

TEST_F(SuperviseMpiRankTest, ARanksExitStatusIsKeptAndRank0sIsWrittenDown) {
  const int status = Run(0, [] { std::exit(mpi::IsTolerantRank() ? 7 : 1); });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  EXPECT_EQ(State("status"), "7\n");
  EXPECT_EQ(State("begun"), "");
  AwaitAllGone();
}

TEST_F(SuperviseMpiRankTest, LeavingAtExitFlushesAndTellsTheStatus) {
  const int status = Run(0, [] {
    mpi::NoteFarmHasBegun();
    mpi::LeaveMpiAtExit();
    std::exit(5);
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
  EXPECT_EQ(State("status"), "5\n");
  EXPECT_EQ(State("begun"), "\n");
}

TEST_F(SuperviseMpiRankTest, ADeathByASignalBecomesAnExitStatus) {
  const int status = Run(1, [] {
    mpi::NoteMpiIsUp();
    raise(SIGKILL);
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL) << status;
  EXPECT_EQ(State("status"), "");
}

TEST_F(SuperviseMpiRankTest, ADeathBeforeMpiIsUpIsShownToHydra) {
  const int status = Run(1, [] { raise(SIGKILL); });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kSignalled) << status;
}

TEST_F(SuperviseMpiRankTest, TheDeathOfRank0EndsTheProxy) {
  const int status = Run(0, [] {
    mpi::NoteMpiIsUp();
    raise(SIGKILL);
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  AwaitAllGone();
}

TEST_F(SuperviseMpiRankTest, WhatADeadRankHadRunningIsKilled) {
  Run(1, [] {
    mpi::NoteMpiIsUp();
    if (fork() == 0) {
      setsid();
      if (fork() == 0) pause();
      pause();
    }
    raise(SIGKILL);
  });
  AwaitAllGone();
}

TEST_F(SuperviseMpiRankTest, SignalsArePassedOnToTheRank) {
  const int status = Run(1, [] {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, nullptr);
    kill(getppid(), SIGTERM);
    int signal = 0;
    sigwait(&term, &signal);
    std::exit(signal);
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM) << status;
}

TEST_F(SuperviseMpiRankTest, ARankLeavesWhenHydraIsGone) {
  const int status = Run(1, [this] {
    shutdown(HydrasEnd(), SHUT_RDWR);
    while (true) pause();
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
}

TEST_F(SuperviseMpiRankTest, ARankSurvivesItsSupervisor) {
  const int status = Run(0, [] {
    const pid_t supervisor = getppid();
    kill(supervisor, SIGKILL);
    while (getppid() == supervisor) sched_yield();
    std::exit(4);
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kSignalled) << status;
  AwaitAllGone();
  EXPECT_EQ(State("status"), "4\n");
}

}  // namespace
}  // namespace taskfarm
