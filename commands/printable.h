#ifndef TASKFARM_COMMANDS_PRINTABLE_H_
#define TASKFARM_COMMANDS_PRINTABLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace taskfarm {

// `text` without what a terminal would obey: control characters become "\n", "\t" or "\x1b", all
// else, quotes and backslashes included, stays as it is.
std::string Printable(absl::string_view text);

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_PRINTABLE_H_
