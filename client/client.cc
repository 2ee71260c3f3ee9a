#include "client/client.h"

#include <utility>

namespace taskfarm {

Future<CommandResult> Client::SubmitCommand(Command command, const TaskOptions& options) {
  return Future<CommandResult>(futures_->Submit({0, options, std::move(command).ToWork()}));
}

}  // namespace taskfarm
