#include "protocol/task_check.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

bool HasNul(absl::string_view text) { return text.find('\0') != absl::string_view::npos; }

template <typename... Pieces>
absl::Status Refuse(const Pieces&... pieces) {
  return absl::InvalidArgumentError(absl::StrCat(pieces...));
}

}  // namespace

void CommandRules::Count(absl::string_view piece) { bytes_ += piece.size() + kCommandStringBytes; }

absl::Status CommandRules::Argument(absl::string_view argument) {
  if (!has_program_ && argument.empty()) return Refuse("the command is empty");
  if (HasNul(argument)) return Refuse("an argument has a NUL byte");
  has_program_ = true;
  Count(argument);
  return absl::OkStatus();
}

absl::Status CommandRules::Variable(absl::string_view name, absl::string_view value) {
  if (name.empty()) return Refuse("an environment variable has no name");
  if (HasNul(name) || name.find('=') != absl::string_view::npos) {
    return Refuse("the name of an environment variable has a NUL byte or '='");
  }
  if (name.size() > kMaxNameBytes) {
    return Refuse("the name of an environment variable is longer than ", kMaxNameBytes, " bytes");
  }
  if (HasNul(value)) return Refuse("an environment variable has a NUL byte");
  Count(name);
  Count(value);
  return absl::OkStatus();
}

absl::Status CommandRules::Rest(absl::string_view cwd, absl::string_view name,
                                uint64_t output_limit_bytes) {
  if (HasNul(cwd)) return Refuse("the working directory has a NUL byte");
  if (cwd.size() > kMaxNameBytes) {
    return Refuse("the working directory is longer than ", kMaxNameBytes, " bytes");
  }
  if (HasNul(name)) return Refuse("the task's name has a NUL byte");
  if (name.size() > kMaxNameBytes) {
    return Refuse("the task's name is longer than ", kMaxNameBytes, " bytes");
  }
  if (output_limit_bytes > kMaxOutputLimitBytes) {
    return Refuse("the output limit of ", output_limit_bytes, " bytes is over ",
                  kMaxOutputLimitBytes);
  }
  return absl::OkStatus();
}

absl::Status CommandRules::Finish() const {
  if (!has_program_) return Refuse("the command is empty");
  if (bytes_ > kMaxCommandBytes) {
    return Refuse("arguments and environment of the command have ", bytes_, " bytes (",
                  kCommandStringBytes, " added for each string), more than ", kMaxCommandBytes);
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const CommandWork& command) {
  CommandRules rules;
  for (const std::string& argument : command.argv) {
    if (absl::Status bad = rules.Argument(argument); !bad.ok()) return bad;
  }
  for (const auto& [name, value] : command.env) {
    if (absl::Status bad = rules.Variable(name, value); !bad.ok()) return bad;
  }
  if (absl::Status bad = rules.Rest(command.cwd, command.name, command.output_limit_bytes);
      !bad.ok()) {
    return bad;
  }
  return rules.Finish();
}

}  // namespace taskfarm
