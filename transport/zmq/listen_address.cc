#include "transport/zmq/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr uint32_t kLoopbackNetwork = 127;

bool IsLoopbackIpv4(uint32_t address) { return address >> 24 == kLoopbackNetwork; }

bool IsLoopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    return IsLoopbackIpv4(ntohl(ipv4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return false;
  const in6_addr& ipv6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
    return ipv6.s6_addr[12] == kLoopbackNetwork;
  }
  return IN6_IS_ADDR_LOOPBACK(&ipv6);
}

bool IsAny(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr == htonl(INADDR_ANY);
  }
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string Numeric(const addrinfo& entry) {
  char text[NI_MAXHOST] = "?";
  getnameinfo(entry.ai_addr, entry.ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  return text;
}

absl::Status NotLoopback(const TcpUrl& url, const std::string& address) {
  const std::string which = address == url.host ? "" : absl::StrCat(" (", address, ")");
  return absl::PermissionDeniedError(absl::StrCat(
      "zmq://", url.HostPort(), ": refused to listen without encryption at ", url.host, which,
      ", which other machines may reach; leave --insecure_no_encryption away, or add "
      "--insecure_anywhere if whoever reaches it may run commands here"));
}

Endpoint TcpEndpoint(const std::string& host, uint16_t port, bool ipv6) {
  return Endpoint{absl::StrCat("tcp://", TcpUrl{host, port, ipv6}.HostPort()), ipv6};
}

}  // namespace

Endpoint ListenAddress::FromHere(uint16_t port) const {
  if (is_any) return TcpEndpoint(endpoint.ipv6 ? "::1" : "127.0.0.1", port, endpoint.ipv6);
  const size_t colon = endpoint.address.rfind(':');
  return Endpoint{absl::StrCat(endpoint.address.substr(0, colon), ":", port), endpoint.ipv6};
}

absl::StatusOr<ListenAddress> ResolveListenAddress(const TcpUrl& url, Reach reach) {
  if (url.host == "*") {
    if (reach == Reach::kLoopback) return NotLoopback(url, "every address of this machine");
    return ListenAddress{TcpEndpoint("0.0.0.0", url.port, false), /*is_any=*/true};
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(url.host.c_str(), nullptr, &hints, &list); error != 0) {
    return absl::NotFoundError(absl::StrCat("zmq://", url.HostPort(), ": cannot resolve host '",
                                            url.host, "': ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &freeaddrinfo);
  const addrinfo* chosen = nullptr;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (reach == Reach::kLoopback && !IsLoopback(*entry->ai_addr)) {
      return NotLoopback(url, Numeric(*entry));
    }
    // IPv4 where there is one: that is what workers try first.
    if (chosen == nullptr || (chosen->ai_family != AF_INET && entry->ai_family == AF_INET)) {
      chosen = entry;
    }
  }
  return ListenAddress{TcpEndpoint(Numeric(*chosen), url.port, chosen->ai_family == AF_INET6),
                       IsAny(*chosen->ai_addr)};
}

}  // namespace taskfarm::zmq_backend
