// Any arguments as a command line: what is not a flag comes out in its order, and a flag that was
// set has a value that it takes again. Each argument is also read as the values of flags that have
// a form of their own.
//
// Input: arguments, each ended by a line break.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "farm/command_flags.h"
#include "flags/parse.h"
#include "worker/commands/variable_names.h"

ABSL_FLAG(bool, yes, false, "a boolean");
ABSL_FLAG(int, count, 1, "a number");
ABSL_FLAG(double, ratio, 0.5, "a fraction");
ABSL_FLAG(std::string, text, "", "a text");
ABSL_FLAG(absl::Duration, lease, absl::Seconds(1), "a duration");
ABSL_FLAG(std::vector<std::string>, names, {}, "a list");

namespace taskfarm {
namespace {

using Arguments = std::vector<absl::string_view>;

void SetToDefaults() {
  absl::SetFlag(&FLAGS_yes, false);
  absl::SetFlag(&FLAGS_count, 1);
  absl::SetFlag(&FLAGS_ratio, 0.5);
  absl::SetFlag(&FLAGS_text, "");
  absl::SetFlag(&FLAGS_lease, absl::Seconds(1));
  absl::SetFlag(&FLAGS_names, {});
}

// Each argument in memory of its own, so that nothing before or after it can be read.
class Copies {
 public:
  explicit Copies(absl::string_view input) {
    for (const absl::string_view text : absl::StrSplit(input, '\n')) {
      pieces_.push_back(std::make_unique<char[]>(text.size()));
      text.copy(pieces_.back().get(), text.size());
      arguments_.emplace_back(pieces_.back().get(), text.size());
    }
  }
  const Arguments& arguments() const { return arguments_; }

 private:
  std::vector<std::unique_ptr<char[]>> pieces_;
  Arguments arguments_;
};

void CheckPositional(const Arguments& arguments, const CommandLine& line) {
  size_t next = 0;
  for (const absl::string_view argument : arguments) {
    if (next < line.positional.size() && line.positional[next] == argument) ++next;
  }
  CHECK_EQ(next, line.positional.size()) << "the arguments that are no flags, in their order";
}

void CheckFlags() {
  for (const char* const name : {"yes", "count", "ratio", "text", "lease", "names"}) {
    const std::string value = absl::FindCommandLineFlag(name)->CurrentValue();
    const std::string argument = absl::StrCat("--", name, "=", value);
    const absl::StatusOr<CommandLine> again = ParseCommandLine({argument});
    CHECK_OK(again);
    CHECK(again->positional.empty() && !again->help);
    CHECK_EQ(absl::FindCommandLineFlag(name)->CurrentValue(), value);
  }
}

void CheckValues(absl::string_view text) {
  const absl::StatusOr<uint64_t> bytes = BytesFromText(text);
  CHECK(bytes.ok() || absl::IsInvalidArgument(bytes.status()));
  if (bytes.ok()) CHECK_EQ(BytesFromText(absl::StrCat(*bytes)).value(), *bytes);
  const absl::StatusOr<VariableNames> names = VariableNames::FromList(text);
  CHECK(names.ok() || absl::IsInvalidArgument(names.status()));
  if (!names.ok()) return;
  for (absl::string_view name : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    absl::ConsumeSuffix(&name, "*");
    CHECK(names->Contains(name)) << name;
  }
}

void Run(absl::string_view input) {
  SetToDefaults();
  const Copies copies(input);
  const Arguments& arguments = copies.arguments();
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) {
    CHECK(absl::IsInvalidArgument(line.status())) << line.status();
    CHECK(!line.status().message().empty());
  } else if (!line->help) {
    CheckPositional(arguments, *line);
  }
  CheckFlags();
  for (const absl::string_view argument : arguments) CheckValues(argument);
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
