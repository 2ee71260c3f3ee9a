// A program whose functions take and give bytes as they are, beside messages.

#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/wrappers.pb.h"
#include "taskfarm.h"

namespace taskfarm {
namespace {

using google::protobuf::Int64Value;

absl::StatusOr<absl::Cord> Reverse(const absl::Cord& bytes, TaskContext&) {
  const std::string text(bytes);
  return absl::Cord(std::string(text.rbegin(), text.rend()));
}
TASKFARM_TASK(Reverse);

// Shares what it was given.
absl::StatusOr<absl::Cord> Frame(const absl::Cord& bytes) {
  absl::Cord framed("<");
  framed.Append(bytes);
  framed.Append(">");
  return framed;
}
TASKFARM_TASK(Frame);

absl::StatusOr<Int64Value> Length(const absl::Cord& bytes) {
  Int64Value length;
  length.set_value(static_cast<int64_t>(bytes.size()));
  return length;
}
TASKFARM_TASK(Length);

absl::StatusOr<absl::Cord> Letters(const Int64Value& length) {
  if (length.value() < 0) return absl::OutOfRangeError("fewer than no letters");
  return absl::Cord(std::string(static_cast<size_t>(length.value()), 'x'));
}
TASKFARM_TASK(Letters);

std::string Text(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

// The same bytes in one piece, in a few, and in many.
std::vector<absl::Cord> CutInWays(const std::string& text) {
  std::vector<absl::Cord> cords = {absl::Cord(std::string(text)), absl::Cord(), absl::Cord()};
  cords[1].Append(absl::Cord(text.substr(0, text.size() / 3)));
  cords[1].Append(absl::Cord(text.substr(text.size() / 3)));
  for (size_t i = 0; i < text.size(); i += 1000) {
    cords[2].Append(absl::Cord(text.substr(i, 1000)));
  }
  return cords;
}

absl::Status Check(Client& farm, const absl::Cord& bytes, const TaskOptions& options) {
  const std::string text(bytes);
  const auto reversed = farm.Submit<Reverse>(bytes, options).Get();
  if (!reversed.ok()) return reversed.status();
  const auto framed = farm.Submit<Frame>(bytes, options).Get();
  if (!framed.ok()) return framed.status();
  const auto length = farm.Submit<Length>(bytes, options).Get();
  if (!length.ok()) return length.status();
  const auto letters = farm.Submit<Letters>(*length, options).Get();
  if (!letters.ok()) return letters.status();
  const bool right = *reversed == std::string(text.rbegin(), text.rend()) &&
                     *framed == absl::StrCat("<", text, ">") &&
                     length->value() == static_cast<int64_t>(text.size()) &&
                     *letters == std::string(text.size(), 'x');
  return right ? absl::OkStatus()
               : absl::DataLossError(absl::StrCat("wrong for ", text.size(), " bytes"));
}

absl::Status Run(Client& farm) {
  std::vector<absl::Cord> requests;
  for (const size_t bytes : {0, 1, 4095, 4096, 4097, 70'000, (1 << 20) + 3}) {
    for (absl::Cord& cord : CutInWays(Text(bytes))) requests.push_back(std::move(cord));
  }
  for (const Isolation isolation : {Isolation::kThread, Isolation::kProcess}) {
    for (const absl::Cord& request : requests) {
      const absl::Status right = Check(farm, request, {.isolation = isolation});
      if (!right.ok()) return right;
    }
  }
  size_t total = 0;
  for (auto& done : farm.Map<Reverse>(requests)) {
    if (!done.reply.ok()) return done.reply.status();
    if (done.reply->size() != requests[done.index].size()) {
      return absl::DataLossError("mapped to another");
    }
    total += done.reply->size();
  }
  std::cout << total << std::endl;
  return absl::OkStatus();
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) { return taskfarm::Main(argc, argv, taskfarm::Run); }
