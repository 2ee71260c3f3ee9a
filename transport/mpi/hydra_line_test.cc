#include "transport/mpi/hydra_line.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace taskfarm::mpi {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Plays Hydra at the other end of a line.
class HydraLineTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0); }

  ~HydraLineTest() override {
    close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }

  void ExpectQuestion(const std::string& question) {
    std::string line(question.size() + 1, '\0');
    ASSERT_EQ(recv(ends_[1], line.data(), line.size(), MSG_WAITALL),
              static_cast<ssize_t>(line.size()));
    EXPECT_EQ(line, question + "\n");
  }

  void Answer(const std::string& text) {
    ASSERT_EQ(write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  void HangUp() {
    close(ends_[1]);
    ends_[1] = -1;
  }

  int ends_[2] = {-1, -1};  // ours, Hydra's
};

TEST_F(HydraLineTest, AsksWhoDied) {
  std::thread hydra([this] {
    ExpectQuestion("cmd=get_my_kvsname");
    Answer("cmd=my_kvsname kvsname=kvs_7_0_host\n");
    ExpectQuestion("cmd=get kvsname=kvs_7_0_host key=PMI_dead_processes");
    Answer("cmd=get_result rc=0 msg=success value=\n");
    ExpectQuestion("cmd=get kvsname=kvs_7_0_host key=PMI_dead_processes");
    Answer("cmd=get_result rc=0 msg=success value=1,12\n");
  });
  HydraLine line(ends_[0]);
  absl::StatusOr<std::vector<int>> dead = line.DeadRanks();
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_THAT(*dead, IsEmpty());
  dead = line.DeadRanks();
  ASSERT_TRUE(dead.ok()) << dead.status();
  EXPECT_THAT(*dead, ElementsAre(1, 12));
  hydra.join();
}

TEST_F(HydraLineTest, AnAnswerToAnotherQuestionIsAnError) {
  Answer("cmd=get_result rc=-1 msg=key_not_found\n");
  EXPECT_EQ(HydraLine(ends_[0]).DeadRanks().status().code(), absl::StatusCode::kInternal);
}

TEST_F(HydraLineTest, AHydraThatIsGoneIsAnError) {
  HangUp();
  EXPECT_EQ(HydraLine(ends_[0]).DeadRanks().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(HydraLine(-1).DeadRanks().status().code(), absl::StatusCode::kUnavailable);
}

TEST(ParseRanksTest, TakesNumbersOnly) {
  EXPECT_THAT(ParseRanks(""), IsEmpty());
  EXPECT_THAT(ParseRanks("3"), ElementsAre(3));
  EXPECT_THAT(ParseRanks("3,,x,-1,10"), ElementsAre(3, 10));
}

}  // namespace
}  // namespace taskfarm::mpi
