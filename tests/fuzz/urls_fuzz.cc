// Any text as a transport's URL, or a list of them: what is taken means what it says.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "transport/open_transport.h"
#include "transport/url_list.h"
#include "transport/zmq/url.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxSocketPathBytes = 107;

void CheckRefused(const absl::Status& status) {
  CHECK(absl::IsInvalidArgument(status)) << status;
  CHECK(!status.message().empty());
}

void CheckScheme(absl::string_view text) {
  const absl::StatusOr<std::string> scheme = UrlScheme(text);
  if (!scheme.ok()) return CheckRefused(scheme.status());
  CHECK(!scheme->empty());
  CHECK(absl::StartsWith(text, absl::StrCat(*scheme, ":")));
  CHECK(std::all_of(scheme->begin(), scheme->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+';
  }));
}

void CheckTcp(absl::string_view text) {
  const absl::StatusOr<zmq_backend::TcpUrl> url = zmq_backend::ParseTcpUrl(text);
  if (!url.ok()) return CheckRefused(url.status());
  uint64_t port = 0;
  CHECK(absl::SimpleAtoi(text.substr(text.rfind(':') + 1), &port));
  CHECK_EQ(url->port, port);
  CHECK(absl::StrContains(text, url->host));
  CHECK(url->is_ipv6 == absl::StrContains(url->host, ':'));
  // Nothing in it has a meaning of its own to a resolver or to ZeroMQ.
  CHECK(url->host.find_first_of(" /;,@") == std::string::npos || url->is_ipv6);
  const absl::StatusOr<zmq_backend::TcpUrl> again =
      zmq_backend::ParseTcpUrl(absl::StrCat("zmq://", url->HostPort()));
  CHECK_OK(again);
  CHECK(again->host == url->host && again->port == url->port && again->is_ipv6 == url->is_ipv6);
}

void CheckIpc(absl::string_view text) {
  const absl::StatusOr<std::string> path = zmq_backend::ParseIpcUrl(text);
  if (!path.ok()) return CheckRefused(path.status());
  CHECK_EQ(absl::StrCat("zmq+ipc://", *path), text);
  CHECK(!path->empty() && path->size() <= kMaxSocketPathBytes);
  CHECK((*path)[0] != '@' && !absl::StrContains(*path, '\0'));
}

void CheckList(absl::string_view text) {
  const absl::StatusOr<std::vector<std::string>> urls = SplitUrlList(text);
  const std::vector<std::string> addresses = Addresses(text);
  if (!urls.ok()) {
    CHECK(addresses.empty());
    CHECK(!ListsScheme(text, "zmq") && !IsOnlyScheme(text, "zmq"));
    return CheckRefused(urls.status());
  }
  CHECK(!urls->empty());
  CHECK_EQ(absl::StrJoin(*urls, ","), text);
  for (const std::string& url : *urls) {
    CHECK_EQ(std::count(urls->begin(), urls->end(), url), 1);
    const absl::StatusOr<std::string> scheme = UrlScheme(url);
    CHECK(scheme.ok() || urls->size() == 1);
    if (scheme.ok()) CHECK(ListsScheme(text, *scheme));
    if (scheme.ok()) CHECK_EQ(IsOnlyScheme(text, *scheme), urls->size() == 1);
  }
  for (const std::string& address : addresses) {
    CHECK(std::find(urls->begin(), urls->end(), address) != urls->end());
    CHECK(address != "mpi:" && address != "inproc:");
  }
}

void Run(absl::string_view text) {
  CheckScheme(text);
  CheckTcp(text);
  CheckIpc(text);
  CheckList(text);
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
