#include "client/client.h"

#include <utility>

namespace taskfarm {

Future<CommandResult> Client::SubmitCommand(Command command, const TaskOptions& options) {
  auto state = std::make_shared<FutureState>(callbacks_);
  Start({0, options, std::move(command).ToWork()}, state);
  return Future<CommandResult>(std::move(state), queue_);
}

void Client::Start(TaskRequest request, const std::shared_ptr<FutureState>& state) {
  std::vector<TaskRequest> batch;
  batch.push_back(std::move(request));
  const absl::StatusOr<TaskId> task = queue_->Submit(std::move(batch), state);
  if (!task.ok()) state->Reject(task.status());
  state->SetTask(task.value_or(TaskId{0}));
}

}  // namespace taskfarm
