#include "transport/mpi/hydra_line.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace taskfarm::mpi {
namespace {

constexpr int kPatienceMs = 10'000;
constexpr size_t kMaxLine = 64 << 10;

// One byte at a time: nothing of the next line may be taken, which is not asked for here.
absl::StatusOr<std::string> ReadLine(int fd) {
  std::string line;
  while (line.size() < kMaxLine) {
    pollfd entry = {fd, POLLIN, 0};
    char byte;
    if (poll(&entry, 1, kPatienceMs) <= 0 || read(fd, &byte, 1) != 1) {
      return absl::UnavailableError("Hydra does not answer");
    }
    if (byte == '\n') return line;
    line.push_back(byte);
  }
  return absl::InternalError("Hydra's answer is too long");
}

}  // namespace

absl::StatusOr<std::vector<int>> HydraLine::DeadRanks() {
  if (space_.empty()) {
    absl::StatusOr<std::string> space = Ask("cmd=get_my_kvsname", "kvsname");
    if (!space.ok()) return space.status();
    space_ = *std::move(space);
  }
  const absl::StatusOr<std::string> ranks =
      Ask(absl::StrCat("cmd=get kvsname=", space_, " key=PMI_dead_processes"), "value");
  if (!ranks.ok()) return ranks.status();
  return ParseRanks(*ranks);
}

absl::StatusOr<std::string> HydraLine::Ask(absl::string_view question, absl::string_view key) {
  const std::string line = absl::StrCat(question, "\n");
  if (send(fd_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    return absl::UnavailableError("Hydra does not listen");
  }
  const absl::StatusOr<std::string> answer = ReadLine(fd_);
  if (!answer.ok()) return answer.status();
  for (absl::string_view word : absl::StrSplit(*answer, ' ')) {
    if (absl::ConsumePrefix(&word, key) && absl::ConsumePrefix(&word, "=")) {
      return std::string(word);
    }
  }
  return absl::InternalError(absl::StrCat("Hydra answers: ", *answer));
}

std::vector<int> ParseRanks(absl::string_view list) {
  std::vector<int> ranks;
  for (const absl::string_view word : absl::StrSplit(list, ',')) {
    int rank = 0;
    if (absl::SimpleAtoi(word, &rank) && rank >= 0) ranks.push_back(rank);
  }
  return ranks;
}

}  // namespace taskfarm::mpi
