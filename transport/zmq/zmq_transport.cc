#include "transport/zmq/zmq_transport.h"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/wake_signal.h"
#include "transport/zmq/allow_list.h"
#include "transport/zmq/connections.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/ipc_listener.h"
#include "transport/zmq/listen_address.h"
#include "transport/zmq/master_transport.h"
#include "transport/zmq/monitored_socket.h"
#include "transport/zmq/self_check.h"
#include "transport/zmq/url.h"
#include "transport/zmq/worker_transport.h"
#include "transport/zmq/zap_responder.h"
#include "zmq.hpp"

namespace taskfarm {
namespace {

using zmq_backend::CurveOptions;
using zmq_backend::Endpoint;
using zmq_backend::IpcListener;
using zmq_backend::ListenAddress;
using zmq_backend::ListeningSocket;
using zmq_backend::MasterTransport;
using zmq_backend::MonitoredSocket;
using zmq_backend::Reach;
using zmq_backend::TcpUrl;
using zmq_backend::WorkerCredentials;
using zmq_backend::WorkerTransport;
using zmq_backend::ZapResponder;

// How long a master tries to make sure that strangers are refused.
constexpr absl::Duration kSelfCheckPatience = absl::Seconds(10);

absl::StatusOr<std::unique_ptr<zmq::context_t>> NewContext() {
  try {
    return std::make_unique<zmq::context_t>(/*io_threads=*/1);
  } catch (const zmq::error_t& error) {
    return zmq_backend::ZmqErrorToStatus(error.num(), "cannot start ZeroMQ");
  }
}

constexpr char kNoEncryptionWarning[] =
    "WARNING: --insecure_no_encryption: whoever can reach the connections of this farm can read "
    "them, take part, and run commands on its machines";

// The port of libzmq's "tcp://HOST:PORT".
uint16_t PortOf(absl::string_view endpoint) {
  uint32_t port = 0;
  CHECK(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port)) << endpoint;
  return static_cast<uint16_t>(port);
}

void Log(const TransportOptions& options, absl::string_view line) {
  if (options.log) options.log(line);
}

std::string Hostname() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return name;
}

// What a master needs of its keys, before `keys` goes to the responder.
struct MasterSecurity {
  std::unique_ptr<MasterKeys> keys;
  CurveOptions curve;
  std::optional<KeyPair> listed;  // one that is let in
  std::string news;               // for a person; empty if there is none
};

absl::StatusOr<MasterSecurity> LoadMasterSecurity(const TransportOptions& options) {
  MasterSecurity security;
  absl::StatusOr<std::unique_ptr<MasterKeys>> keys =
      MasterKeys::OpenOrCreate(options.keys, NewCurvePair);
  if (!keys.ok()) return keys.status();
  security.keys = *std::move(keys);
  security.curve.pair = security.keys->pair();
  const absl::StatusOr<WorkerKeys> worker = LoadWorkerKeys(security.keys->directory());
  if (worker.ok() && security.keys->IdentityOf(worker->pair.public_key).has_value()) {
    security.listed = worker->pair;
  }
  if (security.keys->was_created()) {
    security.news = absl::StrCat("made keys in ", security.keys->directory(),
                                 ": your workers that see this directory are let in; for others "
                                 "make a key with keygen NAME");
  }
  return security;
}

// Opens a socket that listens at `endpoint`, guarded by `keys` where there are any.
absl::StatusOr<ListeningSocket> Listen(const TransportOptions& options, const Endpoint& endpoint,
                                       const std::optional<CurveOptions>& curve,
                                       std::unique_ptr<MasterKeys> keys,
                                       const std::shared_ptr<WakeSignal>& wake) {
  ListeningSocket listening;
  absl::StatusOr<std::unique_ptr<zmq::context_t>> context = NewContext();
  if (!context.ok()) return context.status();
  listening.context = *std::move(context);
  if (keys != nullptr) {
    // First: without it everybody would be let in.
    absl::StatusOr<std::unique_ptr<ZapResponder>> responder = ZapResponder::Start(
        *listening.context, zmq_backend::NewKeyringAllowList(std::move(keys), options.log),
        [wake] { wake->Raise(); });
    if (!responder.ok()) return responder.status();
    listening.responder = *std::move(responder);
  }
  absl::StatusOr<std::unique_ptr<MonitoredSocket>> socket =
      MonitoredSocket::Open(*listening.context, zmq::socket_type::router, options, curve,
                            MasterTransport::kConnectionEvents);
  if (!socket.ok()) return socket.status();
  listening.socket = *std::move(socket);
  const absl::Status bound = listening.socket->Bind(endpoint);
  if (bound.ok()) return listening;
  if (absl::IsAlreadyExists(bound)) {
    return absl::AlreadyExistsError(absl::StrCat(
        options.url, ": address already in use by another process; choose another port"));
  }
  const std::string what = absl::StrCat(options.url, ": cannot listen at ", bound.message());
  // An address that this machine does not have.
  if (absl::IsUnavailable(bound)) return absl::FailedPreconditionError(what);
  return absl::Status(bound.code(), what);
}

OpenedTransport OpenedMaster(const TransportOptions& options, std::string url,
                             std::shared_ptr<WakeSignal> wake, ListeningSocket listening,
                             size_t max_connections) {
  OpenedTransport opened;
  opened.transport = std::make_unique<MasterTransport>(options, Clock::Real(), std::move(wake),
                                                       std::move(listening), max_connections);
  opened.role = Role::kMaster;
  opened.url = std::move(url);
  return opened;
}

absl::StatusOr<OpenedTransport> OpenTcpMaster(const TransportOptions& options, TcpUrl url) {
  const size_t max_connections = zmq_backend::MaxConnections();
  const Reach reach =
      options.encrypt || options.insecure_anywhere ? Reach::kAnywhere : Reach::kLoopback;
  const absl::StatusOr<ListenAddress> address = zmq_backend::ResolveListenAddress(url, reach);
  if (!address.ok()) return address.status();
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  absl::StatusOr<MasterSecurity> security = MasterSecurity();
  if (options.encrypt) security = LoadMasterSecurity(options);
  if (!security.ok()) return security.status();
  const std::optional<CurveOptions> curve =
      options.encrypt ? std::make_optional(security->curve) : std::nullopt;
  absl::StatusOr<ListeningSocket> listening =
      Listen(options, address->endpoint, curve, std::move(security->keys), *wake);
  if (!listening.ok()) return listening.status();
  url.port = PortOf(listening->socket->socket().get(zmq::sockopt::last_endpoint));
  listening->port = url.port;
  if (options.encrypt) {
    const absl::Status checked = zmq_backend::CheckWhoIsLetIn(
        address->FromHere(url.port), curve->pair.public_key, security->listed, kSelfCheckPatience);
    if (!checked.ok()) {
      return absl::InternalError(absl::StrCat(options.url, ": ", checked.message()));
    }
    listening->responder->SetLog(options.log);
    if (!security->news.empty()) Log(options, security->news);
  } else {
    Log(options, kNoEncryptionWarning);
  }
  if (address->is_any) url = TcpUrl{Hostname(), url.port};
  return OpenedMaster(options, absl::StrCat("zmq://", url.HostPort()), *std::move(wake),
                      *std::move(listening), max_connections);
}

absl::StatusOr<WorkerCredentials> LoadCredentials(const TransportOptions& options) {
  absl::StatusOr<WorkerKeys> keys = LoadWorkerKeys(options.keys);
  if (!keys.ok()) return keys.status();
  WorkerCredentials credentials;
  credentials.curve = {keys->pair, keys->master_public_key};
  credentials.name = keys->name;
  credentials.file = options.keys.empty() ? DefaultKeysDirectory().value_or("") : options.keys;
  std::error_code ignored;
  if (std::filesystem::is_directory(credentials.file, ignored)) {
    credentials.file.append("/worker.key");
  }
  return credentials;
}

absl::StatusOr<OpenedTransport> OpenWorker(const TransportOptions& options,
                                           WorkerTransport::EndpointOfAttempt endpoint,
                                           std::optional<WorkerCredentials> credentials) {
  absl::StatusOr<std::unique_ptr<zmq::context_t>> context = NewContext();
  if (!context.ok()) return context.status();
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  OpenedTransport opened;
  opened.transport = std::make_unique<WorkerTransport>(options, Clock::Real(), *std::move(wake),
                                                       *std::move(context), std::move(endpoint),
                                                       std::move(credentials));
  opened.role = Role::kWorker;
  opened.url = options.url;
  return opened;
}

absl::StatusOr<OpenedTransport> OpenTcp(const TransportOptions& options) {
  absl::StatusOr<TcpUrl> url = zmq_backend::ParseTcpUrl(options.url);
  if (!url.ok()) return url.status();
  if (options.role == Role::kMaster) return OpenTcpMaster(options, *std::move(url));
  if (url->host == "*" || url->port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.url, ": a worker needs the host and the port of its master"));
  }
  std::optional<WorkerCredentials> credentials;
  if (options.encrypt) {
    absl::StatusOr<WorkerCredentials> loaded = LoadCredentials(options);
    if (!loaded.ok()) return loaded.status();
    credentials = *std::move(loaded);
  } else {
    Log(options, kNoEncryptionWarning);
  }
  const auto endpoint = [url = *std::move(url)](int attempt) -> absl::StatusOr<Endpoint> {
    // libzmq looks for addresses of one kind at a time.
    return Endpoint{absl::StrCat("tcp://", url.HostPort()), url.is_ipv6 || attempt % 2 == 1};
  };
  return OpenWorker(options, endpoint, std::move(credentials));
}

absl::StatusOr<OpenedTransport> OpenIpc(TransportOptions options) {
  options.encrypt = false;  // the system sees to it
  const absl::StatusOr<std::string> path = zmq_backend::ParseIpcUrl(options.url);
  if (!path.ok()) return path.status();
  Endpoint endpoint{absl::StrCat("ipc://", *path)};
  if (options.role == Role::kWorker) {
    const auto checked = [endpoint, path = *path](int) -> absl::StatusOr<Endpoint> {
      const absl::Status status = zmq_backend::CheckSocketIsOurs(path);
      if (!status.ok()) return status;
      return endpoint;
    };
    return OpenWorker(options, checked, std::nullopt);
  }
  const size_t max_connections = zmq_backend::MaxConnections();
  absl::StatusOr<std::shared_ptr<WakeSignal>> wake = WakeSignal::Create();
  if (!wake.ok()) return wake.status();
  absl::StatusOr<IpcListener> listener = IpcListener::Listen(*path);
  if (!listener.ok()) return listener.status();
  endpoint.listening_descriptor = listener->descriptor();
  absl::StatusOr<ListeningSocket> listening =
      Listen(options, endpoint, std::nullopt, nullptr, *wake);
  if (!listening.ok()) return listening.status();
  listener->ReleaseDescriptor();
  listening->file.emplace(*std::move(listener));
  return OpenedMaster(options, options.url, *std::move(wake), *std::move(listening),
                      max_connections);
}

}  // namespace

TransportFactory ZmqTransportFactory() { return {"zmq", &OpenTcp}; }

TransportFactory ZmqIpcTransportFactory() { return {"zmq+ipc", &OpenIpc}; }

}  // namespace taskfarm
