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

// What people know the task by; empty: a call of a function without an id has no name of its own.
// Made in `made` if it is not there yet.
absl::string_view NameOf(const TaskRequest& request, std::string& made) {
  if (!request.options.id.empty()) return request.options.id;
  const auto* command = std::get_if<CommandWork>(&request.work);
  if (command != nullptr) made = CommandName(*command);
  return made;
}

std::string Quoted(const TaskRequest& request) {
  std::string made;
  return absl::StrCat("\"", ShownName(NameOf(request, made)), "\"");
}

}  // namespace

JobJournal::JobJournal(Journal* journal, const std::vector<std::string>& signatures, Log log,
                       Mutation mutation)
    : journal_(journal), log_(std::move(log)), mutation_(mutation), identities_(signatures) {
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
  unfinished_.Insert(task, {identity.who, identity.what, absl::Cord(request.options.id)});
  if (by_key_.has_value()) by_key_->emplace(key, task);
  return std::nullopt;
}

std::optional<TaskReport> JobJournal::Ended(const TaskIdentity& identity,
                                            const TaskRequest& request) {
  std::string made;
  const Journal::Known known = journal_->List(identity.who, identity.both, NameOf(request, made));
  TaskKey key = identity.who;
  const bool same = known.result.has_value() &&
                    (known.result->digest == identity.what || mutation_ == Mutation::kIgnoreDigest);
  if (!same) {
    key = identity.both;  // of RecordEarly()
    if (!known.has_early) {
      if (known.is_new && journal_->had_whole_list()) SayIsNew(request);
      if (known.result.has_value() || known.was_another) SayHasChanged(request);
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

void JobJournal::SayHasChanged(const TaskRequest& request) {
  if (++changed_ > kMaxNamesLogged) return;
  log_(absl::StrCat("task ", Quoted(request),
                    " is not what it was in an earlier run of this job: it runs again"));
}

void JobJournal::SayIsNew(const TaskRequest& request) {
  if (++added_ > kMaxNamesLogged) return;
  log_(absl::StrCat("task ", Quoted(request), " is new: no earlier run of this job had it"));
}

void JobJournal::ListSubmitted(bool is_whole) {
  journal_->RecordList(is_whole);
  if (is_whole && std::max(added_, changed_) > kMaxNamesLogged) {
    log_(absl::StrCat("in all ", added_, " tasks are new and ", changed_, " have changed"));
  }
}

TaskKey JobJournal::KeyOf(TaskId task) const {
  const Unfinished* const found = unfinished_.Find(task);
  return found == nullptr ? TaskKey() : KeyOf(*found);
}

std::optional<TaskId> JobJournal::Find(const TaskKey& key) {
  if (!by_key_.has_value()) {
    by_key_.emplace();
    unfinished_.ForEach(
        [this](TaskId id, const Unfinished& task) { by_key_->emplace(KeyOf(task), id); });
  }
  const auto found = by_key_->find(key);
  if (found == by_key_->end()) return std::nullopt;
  return found->second;
}

void JobJournal::Record(TaskStore::Record&& task, TaskReport&& report) {
  const Unfinished* const unfinished = unfinished_.Find(report.task);
  CHECK(unfinished != nullptr);
  if (by_key_.has_value()) by_key_->erase(KeyOf(*unfinished));
  if (IsForGood(report.outcome)) {
    const std::string name = !unfinished->id.empty() ? std::string(unfinished->id)
                             : task.is_command()     ? CommandName(task.command())
                                                     : std::string();
    last_record_ = journal_->Append({unfinished->who, unfinished->what, name, report});
  }
  unfinished_.Erase(report.task);
  const uint64_t payload_bytes = TaskStore::PayloadBytes(task);
  Hold(std::move(task.sink), std::move(report), payload_bytes);
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
  last_record_ = journal_->AppendEarly(result);
}

void JobJournal::Hold(std::shared_ptr<ReportSink> sink, TaskReport&& report,
                      uint64_t payload_bytes) {
  turn_.Add(std::move(sink), std::move(report), payload_bytes);
}

void JobJournal::EndTurn() {
  journal_->Flush();
  if (turn_.tasks() > 0) {
    held_back_.push_back({last_record_, std::exchange(turn_, ReportBatch())});
  }
}

void JobJournal::Release(ReportBatch& reports) {
  EndTurn();
  const uint64_t durable =
      mutation_ == Mutation::kShowBeforeDurable ? last_record_ : journal_->durable_records();
  for (; !held_back_.empty() && held_back_.front().record <= durable; held_back_.pop_front()) {
    reports.Add(std::move(held_back_.front().reports));
  }
}

void JobJournal::GiveUp(const absl::Status& why, ReportBatch& reports) {
  EndTurn();
  for (HeldBack& held : held_back_) {
    held.reports.ForEach([&why](TaskReport& report) {
      report.outcome = Outcome::kLost;
      report.status = why;
      report.reply.Clear();
      report.command = CommandOutput();
      report.from_journal = false;
    });
    reports.Add(std::move(held.reports));
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
