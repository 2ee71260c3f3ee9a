#include "transport/zmq/url.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::string_view kTcpPrefix = "zmq://";
constexpr absl::string_view kIpcPrefix = "zmq+ipc://";
constexpr size_t kMaxPathBytes = sizeof(sockaddr_un{}.sun_path) - 1;
constexpr size_t kMaxPortDigits = 5;

template <typename... Pieces>
absl::Status Malformed(absl::string_view url, const Pieces&... what) {
  return absl::InvalidArgumentError(absl::StrCat(url, ": ", what...));
}

bool IsPort(absl::string_view text, uint16_t& port) {
  uint32_t value = 0;
  if (text.size() > kMaxPortDigits || !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(text, &value) || value > UINT16_MAX) {
    return false;
  }
  port = static_cast<uint16_t>(value);
  return true;
}

bool IsIpv6Address(absl::string_view text) {
  const std::string address(text.substr(0, text.find('%')));  // a zone may follow
  in6_addr ignored;
  return inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
}

bool IsHostCharacter(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_'; }

// Splits "HOST:PORT" after its host, the brackets of an IPv6 address taken off.
absl::Status TakeHost(absl::string_view url, absl::string_view& rest, TcpUrl& parsed) {
  if (absl::ConsumePrefix(&rest, "[")) {
    const size_t end = rest.find(']');
    if (end == rest.npos) return Malformed(url, "']' is missing after the IPv6 address");
    parsed.host = std::string(rest.substr(0, end));
    parsed.is_ipv6 = true;
    rest.remove_prefix(end + 1);
    if (IsIpv6Address(parsed.host)) return absl::OkStatus();
    return Malformed(url, "'", parsed.host, "' is not an IPv6 address");
  }
  if (std::count(rest.begin(), rest.end(), ':') > 1) {
    return Malformed(url, "an IPv6 address goes in brackets, as in zmq://[::1]:5555");
  }
  parsed.host = std::string(rest.substr(0, rest.find(':')));
  rest.remove_prefix(parsed.host.size());
  if (parsed.host.empty()) return Malformed(url, "the host is missing");
  if (parsed.host == "*") return absl::OkStatus();
  if (!std::all_of(parsed.host.begin(), parsed.host.end(), IsHostCharacter)) {
    return Malformed(url, "'", parsed.host, "' is not a host name or address");
  }
  return absl::OkStatus();
}

}  // namespace

std::string TcpUrl::HostPort() const {
  return is_ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<TcpUrl> ParseTcpUrl(absl::string_view url) {
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, kTcpPrefix)) {
    return Malformed(url, "expected zmq://HOST:PORT");
  }
  TcpUrl parsed;
  if (absl::Status host = TakeHost(url, rest, parsed); !host.ok()) return host;
  if (rest.empty() || rest == ":") return Malformed(url, "the port is missing");
  if (!absl::ConsumePrefix(&rest, ":")) {
    return Malformed(url, "expected ':' and a port after the host, found '", rest, "'");
  }
  if (!IsPort(rest, parsed.port)) {
    return Malformed(url, "port '", rest, "' is not a number from 0 to 65535");
  }
  return parsed;
}

absl::StatusOr<std::string> ParseIpcUrl(absl::string_view url) {
  absl::string_view path = url;
  if (!absl::ConsumePrefix(&path, kIpcPrefix)) {
    return Malformed(url, "expected zmq+ipc://PATH");
  }
  if (path.empty()) return Malformed(url, "the path is missing");
  if (absl::StrContains(path, '\0')) return Malformed(url, "the path contains a zero byte");
  // Such a name would be no file at all, and so open to every user of the machine.
  if (absl::StartsWith(path, "@")) {
    return Malformed(url, "abstract sockets are not supported; use the path of a file");
  }
  if (path.size() > kMaxPathBytes) {
    return Malformed(url, "the path has ", path.size(), " bytes; a socket's path has at most ",
                     kMaxPathBytes);
  }
  return std::string(path);
}

}  // namespace taskfarm::zmq_backend
