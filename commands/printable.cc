#include "commands/printable.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace taskfarm {

std::string Printable(absl::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (c == '\n') {
      printable += "\\n";
    } else if (c == '\t') {
      printable += "\\t";
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&printable, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      printable += c;
    }
  }
  return printable;
}

}  // namespace taskfarm
