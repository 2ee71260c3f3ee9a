#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/transport_conformance/backend.h"
#include "tests/transport_conformance/peer.h"
#include "transport/manual_clock.h"
#include "transport/sim/sim_network.h"
#include "transport/sim/sim_transport.h"

namespace taskfarm::conformance {
namespace {

// Rounds a peer gets for each step of the time.
constexpr int kStepsPerPump = 8;

class SimBackend final : public Backend {
 public:
  const Capabilities& capabilities() const override { return capabilities_; }
  TransportFactory factory() override { return SimTransportFactory(&network_); }
  std::vector<std::string> BadUrls() override { return {"sim:", "sim://x", "sim:a b", "sim:a,b"}; }
  std::string MasterUrl() override { return "sim:master"; }

  void StartPeers(int count, const std::string&) override {
    for (int i = 0; i < count; ++i) StartPeer(absl::StrCat("w", ++last_name_));
  }
  void StartPeerToKill(const std::string&) override { StartPeer("victim"); }
  void KillPeer() override { network_.Kill(network_.Find("victim"), absl::Seconds(1)); }

  absl::Duration Pump() override {
    clock_.Advance(absl::Milliseconds(1));  // more than any message takes
    network_.DeliverDue();
    std::erase_if(peers_, [](const std::unique_ptr<Peer>& peer) {
      for (int i = 0; i < kStepsPerPump; ++i) {
        if (!peer->Step(absl::ZeroDuration())) return true;
      }
      return false;
    });
    return absl::ZeroDuration();
  }

  void StopPeers() override { peers_.clear(); }

 private:
  void StartPeer(const std::string& name) {
    TransportOptions options = SuiteOptions();
    options.url = absl::StrCat("sim:", name);
    options.role = Role::kWorker;
    absl::StatusOr<OpenedTransport> opened = OpenTransport(options, {factory()});
    CHECK_OK(opened);
    peers_.push_back(std::make_unique<Peer>(*std::move(opened), /*leaves_with_master=*/false));
  }

  const Capabilities capabilities_ = {.no_waiting = "virtual time stands still within a Poll()"};
  ManualClock clock_;
  SimNetwork network_{clock_, SimOptions()};
  std::vector<std::unique_ptr<Peer>> peers_;
  int last_name_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<SimBackend>(); }

std::optional<int> RunAsPeer(int, char**) { return std::nullopt; }

}  // namespace taskfarm::conformance
