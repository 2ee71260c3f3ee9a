#include "journal/submitted_tasks.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "journal/integers.h"

namespace taskfarm {

void SubmittedTasksWriter::Add(const TaskKey& key, const TaskKey& key_on_the_way,
                               absl::string_view name) {
  char numbers[2 * sizeof(TaskKey) + kMaxVarintBytes];
  char* end = numbers;
  for (const uint64_t part : {key.high, key.low, key_on_the_way.high, key_on_the_way.low}) {
    end = PutInteger(part, end);
  }
  payload_.append(numbers, PutVarint(name.size(), end));
  payload_.append(name.data(), name.size());
}

absl::StatusOr<SubmittedTasks> DecodeSubmittedTasks(absl::string_view payload) {
  BytesReader reader(payload);
  const auto is_whole = reader.Fixed<uint8_t>();
  SubmittedTasks list;
  list.is_whole = is_whole == 1;
  while (!reader.empty()) {
    SubmittedTasks::Task task;
    for (TaskKey* const key : {&task.key, &task.key_on_the_way}) {
      key->high = reader.Fixed<uint64_t>();
      key->low = reader.Fixed<uint64_t>();
    }
    task.name = std::string(reader.Text(reader.Varint()));
    if (!task.key || !task.key_on_the_way) return absl::DataLossError("a listed task has no key");
    list.tasks.push_back(std::move(task));
  }
  if (!reader.ok() || is_whole > 1) return absl::DataLossError("the list of tasks cannot be read");
  if (list.tasks.empty() && !list.is_whole) return absl::DataLossError("the list is empty");
  return list;
}

}  // namespace taskfarm
