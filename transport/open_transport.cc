#include "transport/open_transport.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace taskfarm {

absl::StatusOr<std::string> UrlScheme(absl::string_view url) {
  if (url.empty()) return absl::InvalidArgumentError("the transport URL is empty");
  const size_t colon = url.find(':');
  if (colon == absl::string_view::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("transport URL '", url, "' has no scheme; it starts with one, as in inproc:"));
  }
  const absl::string_view scheme = url.substr(0, colon);
  const bool legal = std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '+';
  });
  if (!legal) {
    return absl::InvalidArgumentError(absl::StrCat(
        "transport URL '", url,
        "' has a malformed scheme; only lower-case letters, digits and + are allowed"));
  }
  return std::string(scheme);
}

absl::StatusOr<OpenedTransport> OpenTransport(const TransportOptions& options,
                                              absl::Span<const TransportFactory> linked) {
  const absl::StatusOr<std::string> scheme = UrlScheme(options.url);
  if (!scheme.ok()) return scheme.status();
  for (const TransportFactory& factory : linked) {
    if (factory.scheme == *scheme) return factory.open(options);
  }
  const auto append_scheme = [](std::string* out, const TransportFactory& factory) {
    out->append(factory.scheme);
  };
  return absl::NotFoundError(
      absl::StrCat("transport '", *scheme, "' is not in this program; it has: ",
                   linked.empty() ? "none" : absl::StrJoin(linked, ", ", append_scheme)));
}

}  // namespace taskfarm
