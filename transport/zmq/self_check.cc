#include "transport/zmq/self_check.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "transport/clock.h"
#include "transport/open_transport.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/curve_options.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {
namespace {

constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED;

// How one connection ended, once it has.
absl::StatusOr<ConnectionEvent> WaitForEnd(MonitoredSocket& socket, absl::Time deadline) {
  while (true) {
    if (const std::optional<ConnectionEvent> event = socket.NextConnectionEvent()) return *event;
    const absl::Duration left = deadline - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("no answer");
    socket.ExpectNews(std::nullopt);
    pollfd entry = {socket.monitor_descriptor(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

absl::StatusOr<std::unique_ptr<MonitoredSocket>> Connect(zmq::context_t& context,
                                                         const Endpoint& endpoint,
                                                         CurveOptions curve) {
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> socket = MonitoredSocket::Open(
      context, zmq::socket_type::dealer, TransportOptions(), std::move(curve), kEvents);
  if (!socket.ok()) return socket;
  if (absl::Status status = (*socket)->Connect(endpoint); !status.ok()) return status;
  return socket;
}

absl::Status Check(const Endpoint& endpoint, const std::string& master_public_key,
                   const std::optional<KeyPair>& listed, absl::Time deadline) {
  zmq::context_t context(/*io_threads=*/1);
  const auto stranger = Connect(context, endpoint, {NewCurvePair(), master_public_key});
  if (!stranger.ok()) return stranger.status();
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> friendly = nullptr;
  if (listed.has_value()) friendly = Connect(context, endpoint, {*listed, master_public_key});
  if (!friendly.ok()) return friendly.status();

  const absl::StatusOr<ConnectionEvent> refused = WaitForEnd(**stranger, deadline);
  if (!refused.ok()) return refused.status();
  if (refused->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
    return absl::PermissionDeniedError("a key that is not on the list was let in");
  }
  if (refused->kind != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    return absl::UnavailableError(absl::StrCat("no connection (event ", refused->kind, ")"));
  }
  if (*friendly == nullptr) return absl::OkStatus();
  const absl::StatusOr<ConnectionEvent> let_in = WaitForEnd(**friendly, deadline);
  if (!let_in.ok()) return let_in.status();
  if (let_in->kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("a key that is on the list was refused (event ", let_in->kind, ")"));
}

}  // namespace

absl::Status CheckWhoIsLetIn(const Endpoint& endpoint, const std::string& master_public_key,
                             const std::optional<KeyPair>& listed, absl::Duration patience) {
  absl::Status status;
  try {
    status = Check(endpoint, master_public_key, listed, Clock::Real().Now() + patience);
  } catch (const zmq::error_t& error) {
    status = ZmqErrorToStatus(error.num(), "cannot start ZeroMQ");
  }
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("cannot make sure that strangers are refused at ",
                                                  endpoint.address, ": ", status.message()));
}

}  // namespace taskfarm::zmq_backend
