#include "worker/commands/variable_names.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace taskfarm {

VariableNames::VariableNames(absl::Span<const absl::string_view> patterns) {
  for (absl::string_view pattern : patterns) {
    if (absl::ConsumeSuffix(&pattern, "*")) {
      beginnings_.emplace_back(pattern);
    } else {
      names_.emplace_back(pattern);
    }
  }
}

absl::StatusOr<VariableNames> VariableNames::FromList(absl::string_view list) {
  if (list.empty()) return VariableNames();
  const std::vector<absl::string_view> patterns = absl::StrSplit(list, ',');
  for (const absl::string_view pattern : patterns) {
    const bool wrong = pattern.empty() || absl::StrContains(absl::StripSuffix(pattern, "*"), "*") ||
                       pattern.find_first_of("= \t\n") != absl::string_view::npos;
    if (wrong) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", pattern, "' is no name of a variable, nor the beginning of one and *"));
    }
  }
  return VariableNames(patterns);
}

bool VariableNames::Contains(absl::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end() ||
         std::any_of(beginnings_.begin(), beginnings_.end(), [name](absl::string_view beginning) {
           return absl::StartsWith(name, beginning);
         });
}

}  // namespace taskfarm
