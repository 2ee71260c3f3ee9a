// URLs that are no good, and addresses that are taken.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/transport_conformance/fixture.h"
#include "transport/open_transport.h"

namespace taskfarm::conformance {
namespace {

TEST_F(TransportConformance, BadUrlsAreRefusedInOneLine) {
  for (const std::string& url : backend_->BadUrls()) {
    for (const Role role : {Role::kMaster, Role::kWorker}) {
      const absl::Status status = TryOpen(url, role).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url << ": " << status;
      EXPECT_TRUE(absl::StrContains(status.message(), url)) << status;
      EXPECT_FALSE(absl::StrContains(status.message(), "\n")) << status;
    }
  }
  Start(1);  // and nothing is left of them
  ExpectEcho(peers()[0], {{absl::Cord("alive")}});
}

TEST_F(TransportConformance, AnOccupiedAddressIsRefused) {
  SKIP_WHERE(capabilities().no_second_master);
  Start(1);
  const absl::Status status = TryOpen(url_, Role::kMaster).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  ExpectEcho(peers()[0], {{absl::Cord("alive")}});
}

}  // namespace
}  // namespace taskfarm::conformance
