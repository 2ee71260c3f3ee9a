#include <utility>

#include "client/main.h"
#include "transport/mpi/mpi_transport.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm {

int Main(int argc, char** argv, const std::function<absl::Status(Client&)>& body,
         const MainOptions& options) {
  return MainWithTransports(
      argc, argv, body, options,
      {ZmqTransportFactory(), ZmqIpcTransportFactory(), MpiTransportFactory()});
}

}  // namespace taskfarm
