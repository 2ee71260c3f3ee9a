#include "master/task_store.h"

#include <utility>

namespace taskfarm {

void TaskStore::Add(TaskId task, TaskRequest&& request, std::shared_ptr<ReportSink> sink,
                    absl::Time now) {
  Record record;
  record.tag = request.tag;
  record.sink = std::move(sink);
  record.submitted_ns = absl::ToUnixNanos(now);
  if (request.options.timeout != absl::InfiniteDuration()) {
    record.timeout_ns = absl::ToInt64Nanoseconds(request.options.timeout);
  }
  record.priority = request.options.priority;
  if (auto* call = std::get_if<FunctionWork>(&request.work)) {
    record.function = static_cast<uint16_t>(call->function);
    record.isolation = request.options.isolation;
    record.work = std::move(call->request);
  } else {
    record.work = std::make_unique<CommandWork>(std::get<CommandWork>(std::move(request.work)));
  }
  records_.Insert(task, std::move(record));
}

void TaskStore::AddCopy(TaskId task, TaskId copy) {
  const Record& original = At(task);
  Record record;
  record.submitted_ns = original.submitted_ns;
  record.timeout_ns = original.timeout_ns;
  record.priority = original.priority;
  record.function = original.function;
  record.isolation = original.isolation;
  if (original.is_command()) {
    record.work = std::make_unique<CommandWork>(original.command());
  } else {
    record.work = original.request();
  }
  records_.Insert(copy, std::move(record));
}

TaskWork TaskStore::Work(TaskId task, Attempt attempt) const {
  const Record& record = records_.At(task);
  TaskWork work;
  work.task = task;
  work.attempt = attempt;
  work.priority = record.priority;
  if (record.timeout_ns > 0) work.timeout = absl::Nanoseconds(record.timeout_ns);
  if (record.is_command()) {
    work.work = record.command();
  } else {
    work.work = FunctionWork{record.function, record.request(), record.isolation};
  }
  return work;
}

TaskStore::Record TaskStore::Remove(TaskId task) {
  Record record = std::move(records_.At(task));
  records_.Erase(task);
  return record;
}

uint64_t TaskStore::PayloadBytes(const Record& record) {
  return record.is_command() ? record.command().standard_input.size() : record.request().size();
}

}  // namespace taskfarm
