#include "transport/open_transport.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

TransportFactory Fake(const std::string& scheme) {
  return {scheme, [scheme](const TransportOptions& options) -> absl::StatusOr<OpenedTransport> {
            OpenedTransport opened;
            opened.url = scheme + " opened " + options.url;
            return opened;
          }};
}

absl::Status OpenStatus(const std::string& url, const std::vector<TransportFactory>& linked) {
  TransportOptions options;
  options.url = url;
  return OpenTransport(options, linked).status();
}

TEST(UrlSchemeTest, TakesWhatPrecedesTheFirstColon) {
  EXPECT_EQ(UrlScheme("inproc:").value(), "inproc");
  EXPECT_EQ(UrlScheme("zmq://127.0.0.1:5555").value(), "zmq");
  EXPECT_EQ(UrlScheme("zmq+ipc:///tmp/x").value(), "zmq+ipc");
  EXPECT_EQ(UrlScheme("h2:x").value(), "h2");
}

TEST(UrlSchemeTest, RefusesMalformedUrlsInOneLine) {
  for (const char* url : {"", ":", "inproc", "://host", "Zmq://host", "zm q:", "a-b:", "\n:"}) {
    const absl::Status status = UrlScheme(url).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_FALSE(status.message().empty());
  }
  EXPECT_EQ(UrlScheme("").status().message(), "the transport URL is empty");
  EXPECT_TRUE(absl::StrContains(UrlScheme("inproc").status().message(), "'inproc'"));
}

TEST(OpenTransportTest, OpensTheBackendOfTheScheme) {
  TransportOptions options;
  options.url = "zmq://host:1";
  const absl::StatusOr<OpenedTransport> opened =
      OpenTransport(options, {Fake("zmq+ipc"), Fake("zmq"), Fake("inproc")});
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->url, "zmq opened zmq://host:1");
}

TEST(OpenTransportTest, AnUnlinkedSchemeSaysWhatThisProgramHas) {
  const absl::Status status = OpenStatus("mpi:", {Fake("inproc"), Fake("zmq")});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "transport 'mpi' is not in this program; it has: inproc, zmq");
  EXPECT_EQ(OpenStatus("mpi:", {}).message(),
            "transport 'mpi' is not in this program; it has: none");
}

TEST(OpenTransportTest, AMalformedUrlNeverReachesABackend) {
  EXPECT_EQ(OpenStatus("", {Fake("")}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenStatus("inproc", {Fake("inproc")}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(OpenTransportTest, TheBackendsOwnErrorComesThrough) {
  const TransportFactory busy{
      "busy", [](const TransportOptions&) {
        return absl::StatusOr<OpenedTransport>(absl::AlreadyExistsError("taken"));
      }};
  EXPECT_EQ(OpenStatus("busy:", {busy}), absl::AlreadyExistsError("taken"));
}

}  // namespace
}  // namespace taskfarm
