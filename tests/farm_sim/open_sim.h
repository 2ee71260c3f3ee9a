#ifndef TASKFARM_TESTS_FARM_SIM_OPEN_SIM_H_
#define TASKFARM_TESTS_FARM_SIM_OPEN_SIM_H_

#include <cstddef>
#include <memory>

#include "absl/strings/string_view.h"
#include "transport/open_transport.h"
#include "transport/sim/sim_network.h"
#include "transport/transport.h"

namespace taskfarm {

// A transport of `network`, whose window holds so many messages.
std::unique_ptr<Transport> OpenSim(SimNetwork& network, absl::string_view name, Role role,
                                   size_t send_window_messages);

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_OPEN_SIM_H_
