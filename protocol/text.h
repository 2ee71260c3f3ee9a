#ifndef TASKFARM_PROTOCOL_TEXT_H_
#define TASKFARM_PROTOCOL_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace taskfarm {

// Whether `text` is one line that a terminal shows as it is: valid UTF-8 without control
// characters (line ends, escapes, C1 controls, Unicode's line and paragraph separators).
bool IsOneLine(absl::string_view text);

// `text` as IsOneLine() wants it, in at most `max_bytes`: control characters become spaces, bytes
// that are not UTF-8 '?', and what is too long ends in "..." (max_bytes is at least 3).
std::string OneLine(absl::string_view text, size_t max_bytes);

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_TEXT_H_
