#ifndef TASKFARM_FLAGS_PARSE_H_
#define TASKFARM_FLAGS_PARSE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace taskfarm {

// What a command line holds beside the flags it set.
struct CommandLine {
  std::vector<std::string> positional;
  bool help = false;  // --help or -h was among the arguments; nothing else was looked at
};

// Sets ABSL_FLAGs from `arguments` (without the program's name). Unlike absl::ParseCommandLine it
// reports instead of exiting, so that a wrong flag is one line and the caller's exit status.
// Forms: --name=value, --name value, --name and --noname for booleans; one dash does too; "--" ends
// the flags; a lone "-" is positional. InvalidArgument names the flag and what is wrong with it;
// flags before it are set already.
absl::StatusOr<CommandLine> ParseCommandLine(absl::Span<const absl::string_view> arguments);

// The text for --help: `usage`, then each flag with its help, and its default unless the help
// speaks of that itself.
std::string HelpText(absl::string_view usage);

}  // namespace taskfarm

#endif  // TASKFARM_FLAGS_PARSE_H_
