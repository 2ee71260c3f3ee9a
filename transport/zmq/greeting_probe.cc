#include "transport/zmq/greeting_probe.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "transport/zmq/limits.h"
#include "transport/zmq/url.h"

namespace taskfarm::zmq_backend {
namespace {

// Signature, version 3.0. The other side goes on as soon as it has these.
constexpr absl::string_view kStart("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12);
constexpr size_t kSignatureBytes = 10;
constexpr size_t kMechanismBytes = 20;

}  // namespace

std::optional<std::string> MechanismOf(absl::string_view greeting) {
  if (greeting.size() < kStart.size() + kMechanismBytes) return std::nullopt;
  constexpr int kVersion = 3;
  const bool sound = greeting[0] == '\xff' && greeting[kSignatureBytes - 1] == '\x7f' &&
                     static_cast<unsigned char>(greeting[kSignatureBytes]) >= kVersion;
  if (!sound) return "";
  const absl::string_view padded = greeting.substr(kStart.size(), kMechanismBytes);
  return std::string(padded.substr(0, padded.find('\0')));
}

GreetingProbe::GreetingProbe(const Endpoint& endpoint, absl::Time now)
    : deadline_(now + kHandshakeTime) {
  Connect(endpoint);
}

GreetingProbe::~GreetingProbe() {
  if (descriptor_ >= 0) close(descriptor_);
}

void GreetingProbe::Connect(const Endpoint& endpoint) {
  const absl::StatusOr<TcpUrl> url =
      ParseTcpUrl(absl::StrCat("zmq", absl::StripPrefix(endpoint.address, "tcp")));
  if (!url.ok()) return;
  addrinfo hints = {};
  hints.ai_family = endpoint.ipv6 ? AF_INET6 : AF_INET;
  hints.ai_flags = AI_V4MAPPED;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(url->host.c_str(), absl::StrCat(url->port).c_str(), &hints, &list) != 0) return;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &freeaddrinfo);
  descriptor_ = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0 || connect(descriptor_, list->ai_addr, list->ai_addrlen) == 0 ||
      errno == EINPROGRESS) {
    return;
  }
  close(descriptor_);
  descriptor_ = -1;
}

bool GreetingProbe::Step(absl::Time now) { return descriptor_ < 0 || Read() || now >= deadline_; }

bool GreetingProbe::Read() {
  while (true) {
    std::array<char, 64> bytes;
    const ssize_t size = recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == ENOTCONN)) return false;
    if (size <= 0) return true;
    greeting_.append(bytes.data(), static_cast<size_t>(size));
    // A socket of ZeroMQ speaks first. So there is no need to wait until this can be sent.
    if (!has_spoken_) {
      has_spoken_ = true;
      if (send(descriptor_, kStart.data(), kStart.size(), MSG_NOSIGNAL) < 0) return true;
    }
    if (const std::optional<std::string> mechanism = MechanismOf(greeting_)) {
      mechanism_ = *mechanism;
      return true;
    }
  }
}

}  // namespace taskfarm::zmq_backend
