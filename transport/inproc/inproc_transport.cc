#include "transport/inproc/inproc_transport.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "transport/clock.h"
#include "transport/inproc/inbox.h"
#include "transport/message_limits.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

using inproc::Arrived;
using inproc::End;
using inproc::Inbox;
using inproc::InboxItem;
using inproc::LinkDown;
using inproc::LinkUp;
using inproc::RoomAgain;

class InprocTransport final : public Transport {
 public:
  InprocTransport(std::shared_ptr<InprocNetwork> network, std::shared_ptr<End> end,
                  TransportOptions options)
      : network_(std::move(network)),
        end_(std::move(end)),
        inbox_(*end_->inbox),
        options_(std::move(options)) {}

  ~InprocTransport() override {
    // Without a Close() nobody asked whether everything arrived.
    if (!closed_) (void)Close(absl::ZeroDuration());
  }

  absl::Status Send(PeerId to, Message&& message) override;
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override;
  OutsideWait PrepareOutsideWait() override { return inbox_.PrepareOutsideWait(); }
  void Wake() override { inbox_.Wake(); }
  absl::Status Close(absl::Duration linger) override;

 private:
  TransportEvent Handle(LinkUp& up);
  TransportEvent Handle(LinkDown& down);
  TransportEvent Handle(Arrived& arrived);
  TransportEvent Handle(RoomAgain& room);

  const std::shared_ptr<InprocNetwork> network_;
  const std::shared_ptr<End> end_;
  Inbox& inbox_;
  const TransportOptions options_;
  absl::flat_hash_map<PeerId, LinkUp> peers_;  // from its PeerUp to its PeerDown event
  bool closed_ = false;
};

absl::Status InprocTransport::Send(PeerId to, Message&& message) {
  CHECK(!closed_);
  const auto peer = peers_.find(to);
  if (peer == peers_.end()) return absl::NotFoundError("no such peer");
  if (absl::Status status = CheckMessageLimits(message, options_); !status.ok()) return status;
  inproc::Lane& lane = *peer->second.out;
  switch (lane.to->Push(lane, std::move(message))) {
    case Inbox::PushResult::kAccepted:
      return absl::OkStatus();
    case Inbox::PushResult::kWindowFull:
      return absl::ResourceExhaustedError("send window full");
    case Inbox::PushResult::kClosed:
      return absl::NotFoundError("peer has closed");
  }
  CHECK(false) << "unreachable";
}

absl::Status InprocTransport::Poll(absl::Duration timeout, size_t max_events,
                                   std::vector<TransportEvent>& events) {
  CHECK(!closed_);
  for (InboxItem& item : inbox_.Take(timeout, max_events)) {
    events.push_back(std::visit([this](auto& one) { return Handle(one); }, item));
  }
  return absl::OkStatus();
}

TransportEvent InprocTransport::Handle(LinkUp& up) {
  const PeerId peer = up.out->receiver;
  peers_.emplace(peer, std::move(up));
  return PeerUp{peer};
}

TransportEvent InprocTransport::Handle(LinkDown& down) {
  const PeerId peer = down.in->sender;
  peers_.erase(peer);
  return PeerDown{peer, absl::OkStatus()};
}

TransportEvent InprocTransport::Handle(Arrived& arrived) {
  return Received{arrived.in->sender, std::move(arrived.message)};
}

TransportEvent InprocTransport::Handle(RoomAgain& room) { return Writable{room.out->receiver}; }

absl::Status InprocTransport::Close(absl::Duration linger) {
  CHECK(!closed_);
  closed_ = true;
  network_->StopLinking(*end_);
  // Whoever comes up or goes down among what was never polled still counts.
  for (InboxItem& item : inbox_.Close()) {
    if (LinkUp* up = std::get_if<LinkUp>(&item)) Handle(*up);
    if (LinkDown* down = std::get_if<LinkDown>(&item)) Handle(*down);
  }
  const absl::Time deadline = Clock::Real().Now() + linger;
  int late = 0;
  for (const auto& [id, link] : peers_) {
    const absl::Duration left = deadline - Clock::Real().Now();
    if (!link.out->to->WaitUntilTaken(*link.out, left)) ++late;
  }
  for (const auto& [id, link] : peers_) link.out->to->Post(LinkDown{link.out.get()});
  peers_.clear();
  network_->Leave(*end_);
  if (late == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("closed with messages that ", late, " peer(s) had not taken"));
}

absl::StatusOr<OpenedTransport> Open(const std::shared_ptr<InprocNetwork>& network,
                                     const TransportOptions& options) {
  if (options.url != "inproc:") {
    return absl::InvalidArgumentError(
        absl::StrCat("transport URL '", options.url, "': nothing may follow inproc:"));
  }
  auto end = std::make_shared<End>(End{options.role, std::make_shared<Inbox>(),
                                       options.send_window_bytes, options.send_window_messages});
  if (absl::Status status = network->Join(end); !status.ok()) return status;
  OpenedTransport opened;
  opened.transport = std::make_unique<InprocTransport>(network, std::move(end), options);
  opened.role = options.role;
  opened.url = options.url;
  opened.expected_peers = options.role == Role::kMaster ? network->expected_workers() : 1;
  return opened;
}

}  // namespace

TransportFactory InprocTransportFactory(std::shared_ptr<InprocNetwork> network) {
  return {"inproc", [network = std::move(network)](const TransportOptions& options) {
            return Open(network, options);
          }};
}

}  // namespace taskfarm
