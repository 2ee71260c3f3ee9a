#include "transport/sim/sim_transport.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "transport/transport.h"

namespace taskfarm {
namespace {

class SimTransport final : public Transport {
 public:
  SimTransport(SimNetwork& network, SimEndpointId endpoint)
      : network_(network), endpoint_(endpoint) {}

  ~SimTransport() override { network_.Close(endpoint_); }

  absl::Status Send(PeerId to, Message&& message) override {
    return network_.Send(endpoint_, to, std::move(message));
  }

  absl::Status Poll(absl::Duration, size_t max_events,
                    std::vector<TransportEvent>& events) override {
    return network_.Poll(endpoint_, max_events, events);
  }

  void Wake() override { network_.Wake(endpoint_); }

  absl::Status Close(absl::Duration) override {
    network_.Close(endpoint_);
    return absl::OkStatus();
  }

 private:
  SimNetwork& network_;
  const SimEndpointId endpoint_;
};

bool IsLegalName(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

absl::StatusOr<OpenedTransport> Open(SimNetwork& network, const TransportOptions& options) {
  const absl::string_view name = absl::StripPrefix(options.url, "sim:");
  if (!IsLegalName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "transport URL '", options.url, "': a name of letters and digits must follow sim:"));
  }
  const absl::StatusOr<SimEndpointId> endpoint = network.Open(name, options);
  if (!endpoint.ok()) return endpoint.status();
  OpenedTransport opened;
  opened.transport = std::make_unique<SimTransport>(network, *endpoint);
  opened.role = options.role;
  opened.url = options.url;
  return opened;
}

}  // namespace

TransportFactory SimTransportFactory(SimNetwork* network) {
  return {"sim", [network](const TransportOptions& options) { return Open(*network, options); }};
}

}  // namespace taskfarm
