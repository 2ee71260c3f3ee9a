#include "transport/hybrid/open_transports.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "transport/clock.h"
#include "transport/hybrid/hybrid_transport.h"
#include "transport/url_list.h"

namespace taskfarm {
namespace {

// All ranks of an MPI job open and close together: opened before anything that may fail, closed
// after everything that others wait for. So it is the first, and its ranks keep their numbers.
void PutMpiFirst(std::vector<std::string>& urls) {
  std::stable_partition(urls.begin(), urls.end(),
                        [](const std::string& url) { return absl::StartsWith(url, "mpi:"); });
}

}  // namespace

absl::StatusOr<OpenedTransport> OpenTransports(const TransportOptions& options,
                                               absl::Span<const TransportFactory> linked) {
  absl::StatusOr<std::vector<std::string>> urls = SplitUrlList(options.url);
  if (!urls.ok()) return urls.status();
  if (urls->size() == 1) return OpenTransport(options, linked);
  if (options.role == Role::kWorker) {
    return absl::InvalidArgumentError(
        absl::StrCat("a worker has one master: give it one transport, not '", options.url, "'"));
  }
  PutMpiFirst(*urls);
  OpenedTransport result;
  std::vector<HybridTransport::Child> children;
  uint64_t kept_numbers = 0;
  TransportOptions one = options;
  for (const std::string& url : *urls) {
    one.url = url;
    absl::StatusOr<OpenedTransport> opened = OpenTransport(one, linked);
    if (!opened.ok()) return opened.status();
    if (opened->role == Role::kWorker) return opened;
    if (children.empty()) kept_numbers = static_cast<uint64_t>(opened->expected_peers);
    absl::StrAppend(&result.url, children.empty() ? "" : ",", opened->url);
    result.expected_peers += opened->expected_peers;
    children.push_back({std::move(opened->url), std::move(opened->transport)});
  }
  absl::StatusOr<std::unique_ptr<Transport>> transport =
      HybridTransport::Create(std::move(children), kept_numbers, Clock::Real());
  if (!transport.ok()) return transport.status();
  result.transport = *std::move(transport);
  return result;
}

}  // namespace taskfarm
