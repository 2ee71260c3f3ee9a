#include "tests/farm_sim/sim_job.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

// One task in this many has a payload, and a reply, that travels as a part of its own.
constexpr uint64_t kLargeOneIn = 16;
constexpr uint64_t kCrashingOneIn = 32;

}  // namespace

SimJob::SimJob(const SimJobOptions& options) : options_(options) {
  SimRandom random(options.seed ^ 0x2545f4914f6cdd1d);
  for (int i = 0; i < options.tasks; ++i) {
    Task& task = tasks_.emplace_back();
    if (options.failures && random.OneIn(8)) {
      task.failing = static_cast<uint32_t>(1 + random.Below(3));
    }
    if (options.failures && random.OneIn(kCrashingOneIn)) {
      task.crashing = static_cast<uint32_t>(1 + random.Below(4));
      task.kills_worker = random.OneIn(2);
    }
    if (random.OneIn(2)) task.retries = static_cast<uint32_t>(random.Below(4));
    task.priority = static_cast<int32_t>(random.Below(3)) - 1;
    task.has_id = random.OneIn(2);
  }
}

TaskRequest SimJob::RequestOf(uint64_t tag) const {
  const Task& task = tasks_[tag];
  TaskRequest request;
  request.tag = tag;
  request.options.retries = task.retries;
  request.options.priority = task.priority;
  if (task.has_id) request.options.id = absl::StrCat("task ", tag);
  std::string text = absl::StrCat(tag, " ", task.edition, " ");
  if (tag % kLargeOneIn == 0) text.append(kInlinePayloadBytes, 'x');
  request.work = FunctionWork{0, absl::Cord(std::move(text))};
  return request;
}

SimAttempt SimJob::Run(const TaskWork& work, absl::string_view host) const {
  const std::string request(std::get<FunctionWork>(work.work).request);
  const std::vector<absl::string_view> words = absl::StrSplit(request, ' ');
  uint64_t tag = 0;
  CHECK(words.size() == 3 && absl::SimpleAtoi(words[0], &tag)) << request;
  const Task& task = tasks_[tag];
  SimRandom random(options_.seed ^ (tag * 0x9e3779b97f4a7c15) ^ Value(work.attempt));
  const uint64_t fate = random.Below(4);
  SimAttempt attempt;
  attempt.length = random.UpTo(options_.longest_task);
  const std::string text = absl::StrCat("attempt ", tag, " ", words[1], " ", Value(work.task), " ",
                                        Value(work.attempt), " ", host, " ", words[2]);
  FinishedWork& finished = attempt.finished;
  if (fate < task.crashing) {
    attempt.kills_worker = task.kills_worker;
    finished.outcome = Outcome::kCrashed;
    finished.status = absl::AbortedError(text.substr(0, kErrorBytes / 2));
  } else if (fate < task.failing) {
    finished.outcome = Outcome::kFailed;
    finished.status = absl::InternalError(text.substr(0, kErrorBytes / 2));
  } else {
    finished.reply = absl::Cord(text);
  }
  return attempt;
}

std::optional<SimReply> SimJob::Read(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  SimReply reply;
  if (words.size() != 7 || words[0] != "attempt" || !absl::SimpleAtoi(words[1], &reply.tag) ||
      !absl::SimpleAtoi(words[2], &reply.edition) || !absl::SimpleAtoi(words[3], &reply.number) ||
      !absl::SimpleAtoi(words[4], &reply.attempt)) {
    return std::nullopt;
  }
  reply.host = std::string(words[5]);
  return reply;
}

}  // namespace taskfarm
