#include "transport/hybrid/open_transports.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/hybrid/fake_transport.h"
#include "transport/open_transport.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

class OpenTransportsTest : public testing::Test {
 protected:
  TransportFactory Factory(const std::string& scheme, int expected_peers = 0,
                           Role role = Role::kMaster) {
    return {scheme, [=, this](const TransportOptions& options) -> absl::StatusOr<OpenedTransport> {
              log_.push_back(absl::StrCat("open ", options.url));
              if (absl::StrContains(options.url, "taken")) {
                return absl::AlreadyExistsError(absl::StrCat(options.url, ": in use"));
              }
              const auto fake = std::make_shared<Fake>();
              fake->close = [this, url = options.url](absl::Duration) {
                log_.push_back(absl::StrCat("close ", url));
                return absl::OkStatus();
              };
              OpenedTransport opened;
              opened.transport = std::make_unique<FakeTransport>(fake);
              opened.role = role;
              opened.url = absl::StrCat(options.url, "!");
              opened.expected_peers = expected_peers;
              last_ = fake;
              return opened;
            }};
  }

  absl::StatusOr<OpenedTransport> Open(const std::string& url, Role role = Role::kMaster) {
    TransportOptions options;
    options.url = url;
    options.role = role;
    return OpenTransports(options, {Factory("inproc", 3), Factory("zmq"), Factory("mpi", 2)});
  }

  using Log = std::vector<std::string>;
  Log log_;
  std::shared_ptr<Fake> last_;  // of the last that was opened
};

TEST_F(OpenTransportsTest, OneEntryIsOpenedAsItIs) {
  const absl::StatusOr<OpenedTransport> opened = Open("zmq://a:1");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->url, "zmq://a:1!");
  EXPECT_NE(dynamic_cast<FakeTransport*>(opened->transport.get()), nullptr);
  EXPECT_TRUE(Open("zmq://a:1", Role::kWorker).ok());
}

TEST_F(OpenTransportsTest, SeveralAreOneWithMpiFirst) {
  absl::StatusOr<OpenedTransport> opened = Open("zmq://a:1,inproc:,mpi:,zmq://b:2");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->url, "mpi:!,zmq://a:1!,inproc:!,zmq://b:2!");
  EXPECT_EQ(opened->expected_peers, 5);
  EXPECT_EQ(opened->role, Role::kMaster);
  EXPECT_EQ(log_, Log({"open mpi:", "open zmq://a:1", "open inproc:", "open zmq://b:2"}));
  // The ranks are 1 and 2.
  last_->Add(PeerUp{PeerId{1}});
  std::vector<TransportEvent> events;
  ASSERT_TRUE(opened->transport->Poll(absl::ZeroDuration(), 10, events).ok());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<PeerUp>(events[0]).peer, PeerId{3});
  log_.clear();
  EXPECT_TRUE(opened->transport->Close(absl::ZeroDuration()).ok());
  EXPECT_EQ(log_, Log({"close zmq://b:2", "close inproc:", "close zmq://a:1", "close mpi:"}));
}

TEST_F(OpenTransportsTest, AnotherRankIsAWorkerOfMpiAlone) {
  TransportOptions options;
  options.url = "zmq://a:1,mpi:";
  const absl::StatusOr<OpenedTransport> opened =
      OpenTransports(options, {Factory("zmq"), Factory("mpi", 1, Role::kWorker)});
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->role, Role::kWorker);
  EXPECT_EQ(opened->url, "mpi:!");
  EXPECT_EQ(log_, Log({"open mpi:"}));
}

TEST_F(OpenTransportsTest, AWorkerHasOneMaster) {
  const absl::Status status = Open("zmq://a:1,zmq://b:2", Role::kWorker).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "'zmq://a:1,zmq://b:2'")) << status;
  EXPECT_TRUE(log_.empty());
}

TEST_F(OpenTransportsTest, OneThatCannotBeOpenedIsTheEndOfAll) {
  EXPECT_EQ(Open("inproc:,zmq://taken:1,zmq://b:2").status(),
            absl::AlreadyExistsError("zmq://taken:1: in use"));
  EXPECT_EQ(log_, Log({"open inproc:", "open zmq://taken:1"}));
}

TEST_F(OpenTransportsTest, ErrorsOfTheListComeBeforeAnythingIsOpened) {
  EXPECT_TRUE(absl::IsInvalidArgument(Open("mpi:,").status()));
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(Open("inproc:,carrier:pigeon").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace taskfarm
