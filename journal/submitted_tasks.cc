#include "journal/submitted_tasks.h"

#include <utility>

#include "journal/journal.pb.h"

namespace taskfarm {

absl::Cord EncodeSubmittedTasks(const SubmittedTasks& list) {
  journal::SubmittedTasks message;
  for (const SubmittedTasks::Task& task : list.tasks) {
    for (const TaskKey& key : {task.key, task.key_on_the_way}) {
      message.add_keys(key.high);
      message.add_keys(key.low);
    }
    message.add_names(task.name);
  }
  message.set_is_whole(list.is_whole);
  return absl::Cord(message.SerializeAsString());
}

absl::StatusOr<SubmittedTasks> DecodeSubmittedTasks(absl::string_view payload) {
  journal::SubmittedTasks message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      message.keys_size() != 4 * message.names_size()) {
    return absl::DataLossError("the list of tasks cannot be read");
  }
  SubmittedTasks list;
  list.is_whole = message.is_whole();
  list.tasks.reserve(message.names_size());
  for (int i = 0; i < message.names_size(); ++i) {
    const TaskKey key{message.keys(4 * i), message.keys(4 * i + 1)};
    const TaskKey key_on_the_way{message.keys(4 * i + 2), message.keys(4 * i + 3)};
    if (!key || !key_on_the_way) return absl::DataLossError("a listed task has no key");
    list.tasks.push_back({key, key_on_the_way, std::move(*message.mutable_names(i))});
  }
  if (list.empty()) return absl::DataLossError("the list of tasks is empty");
  return list;
}

}  // namespace taskfarm
