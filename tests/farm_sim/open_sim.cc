#include "tests/farm_sim/open_sim.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/sim/sim_transport.h"

namespace taskfarm {

std::unique_ptr<Transport> OpenSim(SimNetwork& network, absl::string_view name, Role role,
                                   size_t send_window_messages) {
  TransportOptions options;
  options.url = absl::StrCat("sim:", name);
  options.role = role;
  options.send_window_messages = send_window_messages;
  absl::StatusOr<OpenedTransport> opened = SimTransportFactory(&network).open(options);
  CHECK_OK(opened);
  return std::move(opened->transport);
}

}  // namespace taskfarm
