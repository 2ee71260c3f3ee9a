#include "master/job_journal.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace taskfarm {
namespace {

// Of results that wait for the disk: beyond it nothing more is started.
constexpr uint64_t kMaxWaitingBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxNamesLogged = 10;
constexpr size_t kMaxNameBytesKept = 200;

// Whether another run of the job is to take this for the task's end.
bool IsForGood(Outcome outcome) {
  return outcome != Outcome::kCancelled && outcome != Outcome::kLost;
}

std::string CommandName(const CommandWork& command) {
  const std::vector<std::string>& argv = command.argv;
  const bool shell = argv.size() == 3 && argv[0] == "/bin/sh" && argv[1] == "-c";
  if (shell) return argv[2].substr(0, kMaxNameBytesKept);
  return absl::StrJoin(command.argv, " ").substr(0, kMaxNameBytesKept);
}

// What people know the task by; a call of a function without an id has no name of its own.
std::string NameOf(const TaskRequest& request) {
  if (!request.options.id.empty()) return request.options.id;
  const auto* command = std::get_if<CommandWork>(&request.work);
  return command != nullptr ? CommandName(*command) : "a call without an id";
}

}  // namespace

JobJournal::JobJournal(Journal* journal, const std::vector<std::string>& signatures, Log log,
                       Mutation mutation)
    : journal_(journal),
      signatures_(signatures),
      log_(std::move(log)),
      mutation_(mutation),
      identities_(signatures) {
  journal->ForEach([this](const TaskKey& key, const TaskKey& digest) {
    ended_.insert(KeyOnTheWay(key, digest));
  });
}

std::optional<TaskReport> JobJournal::Submit(TaskId task, const TaskRequest& request,
                                             TaskKey& key) {
  const TaskIdentity identity = identities_.Next(request);
  key = identity.both;
  std::optional<TaskReport> ended = Ended(identity, request);
  if (ended.has_value()) return ended;
  unfinished_[task] = {.identity = identity, .id = request.options.id};
  by_key_[identity.both] = task;
  return std::nullopt;
}

std::optional<TaskReport> JobJournal::Ended(const TaskIdentity& identity,
                                            const TaskRequest& request) {
  const std::optional<Journal::Found> found = journal_->Lookup(identity.who);
  const bool is_new = !journal_->List({identity.who, identity.both, NameOf(request)});
  TaskKey key = identity.who;
  const bool same =
      found.has_value() && (found->digest == identity.what || mutation_ == Mutation::kIgnoreDigest);
  if (!same) {
    key = identity.both;  // of RecordEarly()
    if (!journal_->Lookup(key).has_value()) {
      if (is_new && journal_->had_whole_list()) SayIsNew(request);
      if (!found.has_value()) return std::nullopt;
      if (++changed_ <= kMaxNamesLogged) {
        log_(absl::StrCat("task \"", NameOf(request),
                          "\" is not what it was in an earlier run of this job: it runs again"));
      }
      return std::nullopt;
    }
  }
  absl::StatusOr<JournalledResult> result = journal_->Read(key);
  if (!result.ok()) {
    log_(absl::StrCat(result.status().message(), "; the task runs again"));
    return std::nullopt;
  }
  result->report.from_journal = !early_.contains(key);
  return std::move(result->report);
}

void JobJournal::SayIsNew(const TaskRequest& request) {
  if (++added_ > kMaxNamesLogged) return;
  log_(absl::StrCat("task \"", NameOf(request), "\" is new: no earlier run of this job had it"));
}

void JobJournal::ListSubmitted(bool is_whole) {
  journal_->FlushList(is_whole);
  if (is_whole && std::max(added_, changed_) > kMaxNamesLogged) {
    log_(absl::StrCat("in all ", added_, " tasks are new and ", changed_, " have changed"));
  }
}

TaskKey JobJournal::KeyOf(TaskId task) const {
  const auto found = unfinished_.find(task);
  return found == unfinished_.end() ? TaskKey() : found->second.identity.both;
}

std::optional<TaskId> JobJournal::Find(const TaskKey& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

void JobJournal::Record(TaskStore::Record&& task, TaskReport&& report) {
  auto unfinished = unfinished_.extract(report.task);
  CHECK(!unfinished.empty());
  const TaskIdentity& identity = unfinished.mapped().identity;
  by_key_.erase(identity.both);
  const uint64_t payload_bytes = TaskStore::PayloadBytes(task);
  if (!IsForGood(report.outcome)) {
    Hold(std::move(task.sink), std::move(report), payload_bytes);
    return;
  }
  JournalledResult result;
  result.key = identity.who;
  result.digest = identity.what;
  result.name = !unfinished.mapped().id.empty() ? std::move(unfinished.mapped().id)
                : task.is_command()             ? CommandName(task.command())
                                                : signatures_[task.function];
  result.report = std::move(report);
  last_record_ = journal_->Append(result);
  Hold(std::move(task.sink), std::move(result.report), payload_bytes);
}

void JobJournal::RecordEarly(const TaskKey& key, WorkerId worker, absl::string_view host,
                             FinishedWork&& finished, absl::Time now) {
  if (finished.outcome != Outcome::kOk || HasEnded(key)) return;
  JournalledResult result;
  early_.insert(key);
  result.key = key;
  result.digest = key;
  result.name = absl::StrCat("task ", Value(NumberInRun(finished.task)), " of an earlier run");
  TaskReport& report = result.report;
  report.outcome = finished.outcome;
  report.status = std::move(finished.status);
  report.attempts = finished.attempt;
  report.worker = worker;
  report.host = std::string(host);
  report.submitted = now;
  report.started = finished.started;
  report.completed = now;
  report.waited = finished.started - finished.queued;
  report.ran = finished.ended - finished.started;
  report.reply = std::move(finished.reply);
  report.is_command = finished.is_command;
  report.command = std::move(finished.command);
  last_record_ = journal_->Append(result);
}

void JobJournal::Hold(std::shared_ptr<ReportSink> sink, TaskReport&& report,
                      uint64_t payload_bytes) {
  held_back_.push_back({last_record_, std::move(sink), std::move(report), payload_bytes});
}

void JobJournal::Release(ReportBatch& reports) {
  while (!held_back_.empty() && (journal_->IsDurable(held_back_.front().record) ||
                                 mutation_ == Mutation::kShowBeforeDurable)) {
    HeldBack& next = held_back_.front();
    reports.Add(std::move(next.sink), std::move(next.report), next.payload_bytes);
    held_back_.pop_front();
  }
}

void JobJournal::GiveUp(const absl::Status& why, ReportBatch& reports) {
  for (HeldBack& held : held_back_) {
    held.report.outcome = Outcome::kLost;
    held.report.status = why;
    held.report.reply.Clear();
    held.report.command = CommandOutput();
    held.report.from_journal = false;
    reports.Add(std::move(held.sink), std::move(held.report), held.payload_bytes);
  }
  held_back_.clear();
}

absl::Status JobJournal::Watch() {
  absl::Status status = journal_->status();
  const bool full = absl::IsResourceExhausted(status);
  if (!status.ok() && !full) return status;
  if (full != full_) {
    log_(full ? absl::StrCat(status.message(),
                             ": results wait and no task starts until there is room")
              : "there is room for the journal again: going on");
    full_ = full;
  }
  return absl::OkStatus();
}

bool JobJournal::HasRoom() const { return !full_ && journal_->waiting_bytes() <= kMaxWaitingBytes; }

}  // namespace taskfarm
