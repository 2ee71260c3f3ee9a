#include "flags/parse.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace taskfarm {
namespace {

// Flags of the libraries below are none of the user's business.
bool IsOurs(const absl::CommandLineFlag& flag) {
  return !absl::StrContains(flag.Filename(), "absl/flags/");
}

absl::CommandLineFlag* Find(absl::string_view name) {
  absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
  return flag != nullptr && IsOurs(*flag) ? flag : nullptr;
}

absl::Status Set(absl::CommandLineFlag& flag, absl::string_view value) {
  std::string error;
  if (flag.ParseFrom(value, &error)) return absl::OkStatus();
  const std::string detail = error.empty() ? std::string() : absl::StrCat(" (", error, ")");
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag.Name(), ": '", value, "' is not a valid value", detail));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(absl::Span<const absl::string_view> arguments) {
  CommandLine line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    if (argument == "--") {
      for (++i; i < arguments.size(); ++i) line.positional.emplace_back(arguments[i]);
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      line.positional.emplace_back(argument);
      continue;
    }
    absl::string_view body = argument.substr(argument[1] == '-' ? 2 : 1);
    if (body == "help" || body == "h") {
      line.help = true;
      return line;
    }
    const size_t equals = body.find('=');
    const absl::string_view name = body.substr(0, equals);
    absl::CommandLineFlag* flag = Find(name);
    bool negated = false;
    if (flag == nullptr && equals == absl::string_view::npos && absl::StartsWith(name, "no")) {
      flag = Find(name.substr(2));
      negated = flag != nullptr && flag->IsOfType<bool>();
      if (!negated) flag = nullptr;
    }
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown flag '", argument.substr(0, argument.find('=')), "'; --help lists the flags"));
    }
    absl::string_view value;
    if (equals != absl::string_view::npos) {
      value = body.substr(equals + 1);
    } else if (flag->IsOfType<bool>()) {
      value = negated ? "false" : "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
    }
    if (absl::Status set = Set(*flag, value); !set.ok()) return set;
  }
  return line;
}

std::string HelpText(absl::string_view usage) {
  std::vector<std::pair<std::string, const absl::CommandLineFlag*>> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (IsOurs(*flag)) flags.emplace_back(name, flag);
  }
  std::sort(flags.begin(), flags.end());
  std::string text(usage);
  absl::StrAppend(&text, "\n\nFlags:\n");
  for (const auto& [name, flag] : flags) {
    const std::string value = flag->DefaultValue();
    absl::StrAppend(&text, "  --", name, "  ", flag->Help());
    const bool said = absl::StrContains(flag->Help(), "default");
    if (!value.empty() && !said) absl::StrAppend(&text, " (default: ", value, ")");
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace taskfarm
