#include "master/action_text.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"

namespace taskfarm {
namespace {

std::string Ref(TaskId task, Attempt attempt) {
  return absl::StrCat(Value(task), "#", Value(attempt));
}

std::string Text(const AssignTask& action) {
  return absl::StrCat("assign ", Ref(action.task, action.attempt), " w", Value(action.worker));
}

std::string Text(const CancelTask& action) {
  return absl::StrCat("cancel ", Ref(action.task, action.attempt), " w", Value(action.worker));
}

std::string Text(const RecallTasks& action) {
  std::string text = absl::StrCat("recall r", action.recall_id, " w", Value(action.worker));
  for (const auto& [task, attempt] : action.tasks) absl::StrAppend(&text, " ", Ref(task, attempt));
  return text;
}

std::string Text(const EvictWorker& action) {
  return absl::StrCat("evict w", Value(action.worker));
}

std::string Text(const CompleteTask& action) {
  return absl::StrCat("complete ", Ref(action.task, action.attempt), " w", Value(action.worker),
                      " ", OutcomeName(action.outcome));
}

}  // namespace

std::string ActionText(const SchedulerAction& action) {
  return std::visit([](const auto& what) { return Text(what); }, action);
}

}  // namespace taskfarm
