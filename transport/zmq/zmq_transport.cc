#include "transport/zmq/zmq_transport.h"

#include <sys/resource.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/clock.h"
#include "transport/zmq/ipc_listener.h"
#include "transport/zmq/listen_address.h"
#include "transport/zmq/master_transport.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/url.h"
#include "transport/zmq/wake_signal.h"
#include "transport/zmq/worker_transport.h"
#include "zmq.hpp"

namespace taskfarm {
namespace {

using zmq_backend::Endpoint;
using zmq_backend::IpcListener;
using zmq_backend::MasterTransport;
using zmq_backend::MonitoredSocket;
using zmq_backend::TcpUrl;
using zmq_backend::WakeSignal;
using zmq_backend::WorkerTransport;

absl::StatusOr<std::unique_ptr<zmq::context_t>> NewContext() {
  try {
    return std::make_unique<zmq::context_t>(/*io_threads=*/1);
  } catch (const zmq::error_t& error) {
    return zmq_backend::ZmqErrorToStatus(error.num(), "cannot start ZeroMQ");
  }
}

// A master needs a descriptor for each worker, and libzmq does badly without.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // where it is not allowed, the old limit stays
}

// The port of libzmq's "tcp://HOST:PORT".
uint16_t PortOf(absl::string_view endpoint) {
  uint32_t port = 0;
  CHECK(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port)) << endpoint;
  return static_cast<uint16_t>(port);
}

struct Bound {
  std::unique_ptr<zmq::context_t> context;
  std::unique_ptr<MonitoredSocket> socket;
};

absl::StatusOr<Bound> Bind(const TransportOptions& options, const Endpoint& endpoint) {
  RaiseDescriptorLimit();
  absl::StatusOr<std::unique_ptr<zmq::context_t>> context = NewContext();
  if (!context.ok()) return context.status();
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> socket = MonitoredSocket::Open(
      **context, zmq::socket_type::router, options, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);
  if (!socket.ok()) return socket.status();
  const absl::Status bound = (*socket)->Bind(endpoint);
  if (!bound.ok()) {
    if (absl::IsAlreadyExists(bound)) {
      return absl::AlreadyExistsError(absl::StrCat(
          options.url, ": address already in use by another process; choose another port"));
    }
    return absl::Status(bound.code(),
                        absl::StrCat(options.url, ": cannot listen at ", bound.message()));
  }
  return Bound{*std::move(context), *std::move(socket)};
}

absl::StatusOr<OpenedTransport> OpenMaster(const TransportOptions& options, std::string url,
                                           Bound bound, std::optional<IpcListener> listener) {
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  OpenedTransport opened;
  opened.transport = std::make_unique<MasterTransport>(
      options, Clock::Real(), *std::move(wake), std::move(bound.context), std::move(bound.socket),
      std::move(listener));
  opened.role = Role::kMaster;
  opened.url = std::move(url);
  return opened;
}

absl::StatusOr<OpenedTransport> OpenWorker(const TransportOptions& options,
                                           WorkerTransport::EndpointOfAttempt endpoint) {
  absl::StatusOr<std::unique_ptr<zmq::context_t>> context = NewContext();
  if (!context.ok()) return context.status();
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  OpenedTransport opened;
  opened.transport = std::make_unique<WorkerTransport>(options, Clock::Real(), *std::move(wake),
                                                       *std::move(context), std::move(endpoint));
  opened.role = Role::kWorker;
  opened.url = options.url;
  return opened;
}

absl::StatusOr<OpenedTransport> OpenTcp(const TransportOptions& options) {
  absl::StatusOr<TcpUrl> url = zmq_backend::ParseTcpUrl(options.url);
  if (!url.ok()) return url.status();
  if (options.role == Role::kMaster) {
    const absl::StatusOr<Endpoint> endpoint = zmq_backend::ResolveLoopback(*url);
    if (!endpoint.ok()) return endpoint.status();
    absl::StatusOr<Bound> bound = Bind(options, *endpoint);
    if (!bound.ok()) return bound.status();
    url->port = PortOf(bound->socket->socket().get(zmq::sockopt::last_endpoint));
    return OpenMaster(options, absl::StrCat("zmq://", url->HostPort()), *std::move(bound),
                      std::nullopt);
  }
  if (url->host == "*" || url->port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.url, ": a worker needs the host and the port of its master"));
  }
  return OpenWorker(options, [url = *std::move(url)](int attempt) {
    // libzmq looks for addresses of one kind at a time.
    return Endpoint{absl::StrCat("tcp://", url.HostPort()), url.is_ipv6 || attempt % 2 == 1};
  });
}

absl::StatusOr<OpenedTransport> OpenIpc(const TransportOptions& options) {
  const absl::StatusOr<std::string> path = zmq_backend::ParseIpcUrl(options.url);
  if (!path.ok()) return path.status();
  Endpoint endpoint{absl::StrCat("ipc://", *path)};
  if (options.role == Role::kWorker) {
    return OpenWorker(options, [endpoint](int) { return endpoint; });
  }
  absl::StatusOr<IpcListener> listener = IpcListener::Listen(*path);
  if (!listener.ok()) return listener.status();
  endpoint.listening_descriptor = listener->descriptor();
  absl::StatusOr<Bound> bound = Bind(options, endpoint);
  if (!bound.ok()) return bound.status();
  listener->ReleaseDescriptor();
  return OpenMaster(options, options.url, *std::move(bound), *std::move(listener));
}

}  // namespace

TransportFactory ZmqTransportFactory() { return {"zmq", &OpenTcp}; }

TransportFactory ZmqIpcTransportFactory() { return {"zmq+ipc", &OpenIpc}; }

}  // namespace taskfarm
