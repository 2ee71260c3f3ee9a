#include "transport/url_list.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using Urls = std::vector<std::string>;

TEST(SplitUrlListTest, OneEntryIsLeftAsItIs) {
  EXPECT_EQ(SplitUrlList("inproc:").value(), Urls({"inproc:"}));
  EXPECT_EQ(SplitUrlList("zmq://127.0.0.1:5555").value(), Urls({"zmq://127.0.0.1:5555"}));
  EXPECT_EQ(SplitUrlList("").value(), Urls({""}));
  EXPECT_EQ(SplitUrlList("nonsense").value(), Urls({"nonsense"}));
}

TEST(SplitUrlListTest, SeveralComeInTheirOrder) {
  EXPECT_EQ(SplitUrlList("zmq://a:1,mpi:,inproc:,zmq://[::1]:2").value(),
            Urls({"zmq://a:1", "mpi:", "inproc:", "zmq://[::1]:2"}));
}

TEST(SplitUrlListTest, ErrorsNameTheEntry) {
  struct Case {
    std::string list;
    std::string named;
  };
  const Case cases[] = {
      {"mpi:,", "is empty"},
      {",", "is empty"},
      {"mpi:,,inproc:", "is empty"},
      {"mpi:, inproc:", "' inproc:'"},
      {"mpi:,b.sock", "'b.sock'"},
      {"inproc:,Zmq://a:1", "'Zmq://a:1'"},
      {"inproc:,mpi:,inproc:", "'inproc:' is there twice"},
      {"zmq://a:1,zmq://a:1", "'zmq://a:1' is there twice"},
  };
  for (const Case& one : cases) {
    const absl::Status status = SplitUrlList(one.list).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << one.list;
    EXPECT_TRUE(absl::StrContains(status.message(), one.named)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), one.list)) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "\n")) << status;
  }
}

TEST(UrlListTest, KnowsItsSchemes) {
  EXPECT_TRUE(ListsScheme("zmq://a:1,mpi:", "mpi"));
  EXPECT_TRUE(ListsScheme("mpi:", "mpi"));
  EXPECT_FALSE(ListsScheme("zmq+ipc:///tmp/x,inproc:", "zmq"));
  EXPECT_FALSE(ListsScheme("mpi:,mpi:", "mpi"));
  EXPECT_TRUE(IsOnlyScheme("mpi:", "mpi"));
  EXPECT_FALSE(IsOnlyScheme("mpi:,inproc:", "mpi"));
  EXPECT_FALSE(IsOnlyScheme("", "mpi"));
}

TEST(UrlListTest, WorkersElsewhereGoToAddresses) {
  EXPECT_EQ(Addresses("mpi:,zmq://a:1,inproc:,zmq+ipc:///tmp/x"),
            Urls({"zmq://a:1", "zmq+ipc:///tmp/x"}));
  EXPECT_EQ(Addresses("zmq://a:1"), Urls({"zmq://a:1"}));
  EXPECT_EQ(Addresses("mpi:"), Urls());
  EXPECT_EQ(Addresses("inproc:"), Urls());
  EXPECT_EQ(Addresses(""), Urls());
}

}  // namespace
}  // namespace taskfarm
