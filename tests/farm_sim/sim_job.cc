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

constexpr char kSimCommand[] = "simulated";

// On top of twice as long as any other.
constexpr absl::Duration kStraggling = absl::Seconds(5);

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
    task.is_command = random.OneIn(4);
    if (random.OneIn(6)) {
      // Those that do not hang have time enough.
      task.timeout = options.longest_task + absl::Seconds(1);
      if (random.OneIn(3)) task.hanging = static_cast<uint32_t>(1 + random.Below(4));
      task.ignores_timeout = options.failures && !task.is_command && random.OneIn(4);
    } else if (options.stragglers) {
      task.straggles = random.OneIn(8);
    }
  }
}

TaskRequest SimJob::RequestOf(uint64_t tag) const {
  const Task& task = tasks_[tag];
  TaskRequest request;
  request.tag = tag;
  request.options.retries = task.retries;
  request.options.priority = task.priority;
  request.options.timeout = task.timeout;
  if (task.has_id) request.options.id = absl::StrCat("task ", tag);
  std::string text = absl::StrCat(tag, " ", task.edition, " ");
  if (tag % kLargeOneIn == 0) text.append(kInlinePayloadBytes, 'x');
  if (task.is_command) {
    CommandWork command;
    command.argv = {kSimCommand};
    command.standard_input = absl::Cord(std::move(text));
    request.work = std::move(command);
  } else {
    request.work = FunctionWork{0, absl::Cord(std::move(text))};
  }
  return request;
}

std::vector<std::string> SimJob::InputOf(const TaskWork& work) {
  const auto* const function = std::get_if<FunctionWork>(&work.work);
  const std::string input(function != nullptr ? function->request
                                              : std::get<CommandWork>(work.work).standard_input);
  std::vector<std::string> words = absl::StrSplit(input, ' ');
  CHECK_EQ(words.size(), 3u) << input;
  return words;
}

uint64_t SimJob::TagOf(const TaskWork& work) {
  uint64_t tag = 0;
  CHECK(absl::SimpleAtoi(InputOf(work)[0], &tag));
  return tag;
}

SimAttempt SimJob::Run(const TaskWork& work, absl::string_view host) const {
  const std::vector<std::string> input = InputOf(work);
  const uint64_t tag = TagOf(work);
  const Task& task = tasks_[tag];
  SimRandom random(options_.seed ^ (tag * 0x9e3779b97f4a7c15) ^
                   (Value(work.task) * 0xc2b2ae3d27d4eb4f) ^ Value(work.attempt));
  const uint64_t fate = random.Below(4);
  SimAttempt attempt;
  attempt.length = random.UpTo(options_.longest_task);
  if (task.straggles && random.OneIn(2)) attempt.length = 2 * options_.longest_task + kStraggling;
  if (random.Below(4) < task.hanging) attempt.length = absl::InfiniteDuration();
  const std::string text = absl::StrCat("attempt ", tag, " ", input[1], " ", Value(work.task), " ",
                                        Value(work.attempt), " ", host, " ", input[2]);
  FinishedWork& finished = attempt.finished;
  finished.is_command = task.is_command;
  if (attempt.length >= work.timeout) {
    attempt.length = work.timeout;
    attempt.keeps_slot = task.ignores_timeout;
    finished.outcome = Outcome::kTimedOut;
    finished.status = absl::DeadlineExceededError(text.substr(0, kErrorBytes / 2));
  } else if (fate < task.crashing) {
    attempt.kills_worker = task.kills_worker;
    finished.outcome = Outcome::kCrashed;
    finished.status = absl::AbortedError(text.substr(0, kErrorBytes / 2));
  } else if (fate < task.failing) {
    finished.outcome = Outcome::kFailed;
    finished.status = absl::InternalError(text.substr(0, kErrorBytes / 2));
  } else if (task.is_command) {
    finished.command.standard_output = absl::Cord(text);
    finished.command.standard_output_total_bytes = text.size();
  } else {
    finished.reply = absl::Cord(text);
  }
  return attempt;
}

std::string SimJob::TextOf(const TaskReport& report) {
  if (!report.status.ok()) return std::string(report.status.message());
  return std::string(report.is_command ? report.command.standard_output : report.reply);
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
