#include "transport/zmq/zap_responder.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "transport/clock.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/limits.h"
#include "transport/zmq/monitored_socket.h"

namespace taskfarm::zmq_backend {
namespace {

constexpr char kZapAddress[] = "inproc://zeromq.zap.01";
constexpr absl::Duration kBetweenLines = absl::Minutes(1);

// The frames of a request: version, request id, domain, address, identity, mechanism, credentials.
enum : size_t { kVersion, kRequestId, kDomain, kAddress, kIdentity, kMechanism, kKey, kFrames };

std::string ToZ85(absl::string_view key) {
  std::array<char, 41> text;
  if (key.size() != 32) return "";
  return zmq_z85_encode(text.data(), reinterpret_cast<const uint8_t*>(key.data()), key.size());
}

void AppendProperty(absl::string_view name, absl::string_view value, std::string& metadata) {
  metadata.push_back(static_cast<char>(name.size()));
  absl::StrAppend(&metadata, name);
  for (int shift = 24; shift >= 0; shift -= 8) {
    metadata.push_back(static_cast<char>(value.size() >> shift));
  }
  absl::StrAppend(&metadata, value);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZapResponder>> ZapResponder::Start(
    zmq::context_t& context, std::unique_ptr<AllowList> list, std::function<void()> on_revoked) {
  absl::StatusOr<std::shared_ptr<WakeSignal>> stop = WakeSignal::Create();
  if (!stop.ok()) return stop.status();
  try {
    return std::unique_ptr<ZapResponder>(
        new ZapResponder(context, std::move(list), std::move(on_revoked), *std::move(stop)));
  } catch (const zmq::error_t& error) {
    return ZmqErrorToStatus(error.num(), "cannot start to authenticate workers");
  }
}

ZapResponder::ZapResponder(zmq::context_t& context, std::unique_ptr<AllowList> list,
                           std::function<void()> on_revoked, std::shared_ptr<WakeSignal> stop)
    : socket_(context, zmq::socket_type::rep),
      list_(std::move(list)),
      on_revoked_(std::move(on_revoked)),
      stop_(std::move(stop)) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind(kZapAddress);
  thread_ = std::thread([this] { Run(); });
}

ZapResponder::~ZapResponder() {
  stop_->Raise();
  thread_.join();
}

void ZapResponder::SetLog(std::function<void(absl::string_view)> log) {
  absl::MutexLock lock(&mutex_);
  log_ = std::move(log);
}

std::shared_ptr<const ZapResponder::Keys> ZapResponder::revoked() const {
  absl::MutexLock lock(&mutex_);
  return revoked_;
}

void ZapResponder::Run() {
  const std::chrono::milliseconds between_looks(
      static_cast<int64_t>(absl::ToInt64Milliseconds(kRevocationTime) / 2));
  while (!stop_->Take()) {
    std::array<zmq::pollitem_t, 2> items = {{{socket_.handle(), 0, ZMQ_POLLIN, 0},  //
                                             {nullptr, stop_->fd(), ZMQ_POLLIN, 0}}};
    try {
      zmq::poll(items.data(), items.size(), between_looks);
      if (items[1].revents != 0) stop_->Drain();
      Refresh();
      if (items[0].revents != 0) Answer();
    } catch (const zmq::error_t& error) {
      // A signal that came in between; nothing else can happen to a socket within the process. If
      // it did, nobody would be let in any more.
      if (error.num() != EINTR) break;
    }
  }
}

void ZapResponder::Refresh() {
  if (!list_->Refresh()) return;
  auto revoked = std::make_shared<Keys>();
  for (const std::string& key : admitted_) {
    if (!list_->IdentityOf(key).has_value()) revoked->insert(key);
  }
  {
    absl::MutexLock lock(&mutex_);
    revoked_ = std::move(revoked);
  }
  revision_.fetch_add(1, std::memory_order_release);
  on_revoked_();
}

void ZapResponder::Answer() {
  std::vector<std::string> request;
  for (bool more = true; more;) {
    zmq::message_t frame;
    if (!socket_.recv(frame, zmq::recv_flags::none)) return;
    request.push_back(frame.to_string());
    more = frame.more();
  }
  request.resize(kFrames);
  const std::string key = ToZ85(request[kKey]);
  const bool sound = request[kVersion] == "1.0" && request[kDomain] == kZapDomain &&
                     request[kMechanism] == "CURVE" && !key.empty();
  const std::optional<std::string> identity = sound ? list_->IdentityOf(key) : std::nullopt;
  std::string metadata;
  if (identity.has_value()) {
    admitted_.insert(key);
    AppendProperty(kKeyProperty, key, metadata);
  } else {
    SayRefused(request[kAddress]);
  }
  const std::array<std::string, 6> reply = {"1.0",
                                            request[kRequestId],
                                            identity.has_value() ? "200" : "400",
                                            identity.has_value() ? "OK" : "not on the list",
                                            identity.value_or(""),
                                            metadata};
  for (size_t i = 0; i < reply.size(); ++i) {
    socket_.send(zmq::buffer(reply[i]),
                 i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

void ZapResponder::SayRefused(absl::string_view address) {
  std::function<void(absl::string_view)> log;
  {
    absl::MutexLock lock(&mutex_);
    log = log_;
  }
  if (!log) return;
  ++refused_;
  const absl::Time now = Clock::Real().Now();
  if (now < next_line_) return;
  next_line_ = now + kBetweenLines;
  log(absl::StrCat("refused a worker at ", address, ": its key is not on the list",
                   refused_ > 1 ? absl::StrCat(" (", refused_, " so far)") : ""));
}

}  // namespace taskfarm::zmq_backend
