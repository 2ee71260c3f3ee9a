#ifndef TASKFARM_CLIENT_MAIN_H_
#define TASKFARM_CLIENT_MAIN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "transport/open_transport.h"

namespace taskfarm {

struct MainOptions {
  std::string usage = {};  // what --help says first: what the program does, in a line or two
  int workers = 1;         // of inproc:, unless --workers says otherwise
  // Called once the flags are parsed, in every process, before anything is started. An error is
  // wrong use: exit status 2 with its message. May be empty.
  std::function<absl::Status(const std::vector<std::string>& positional)> check_flags = {};
};

// The main() of a program whose task functions are registered with TASKFARM_TASK:
//
//   int main(int argc, char** argv) {
//     return taskfarm::Main(argc, argv, [](taskfarm::Client& farm) -> absl::Status { ... });
//   }
//
// Parses the flags (the program's own ABSL_FLAGs and the farm's: see --help), connects, and runs
// `body` on the master only, once the first workers are there; elsewhere (a rank above 0, or
// started with --worker) it runs tasks until the master is done. SIGINT or SIGTERM drains: running
// tasks finish, the rest ends as cancelled; a second one cancels those too.
//
// Returns the exit status: 0; 1 if body returned an error (printed on standard error); 2 wrong
// use; 3 the farm failed.
int Main(int argc, char** argv, const std::function<absl::Status(Client&)>& body,
         const MainOptions& options = {});

// The same with the transports given; Main() passes those that its target links.
int MainWithTransports(int argc, char** argv, const std::function<absl::Status(Client&)>& body,
                       const MainOptions& options, std::vector<TransportFactory> transports);

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_MAIN_H_
