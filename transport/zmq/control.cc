#include "transport/zmq/control.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/check.h"

namespace taskfarm::zmq_backend {

std::string EncodeControl(ControlKind kind, absl::string_view text) {
  const char kind_character = static_cast<char>(kind);
  return absl::StrCat(kControlPrefix, absl::string_view(&kind_character, 1), text);
}

std::optional<Control> ParseControl(absl::string_view frame) {
  if (!absl::ConsumePrefix(&frame, kControlPrefix) || frame.empty()) return std::nullopt;
  const auto kind = static_cast<ControlKind>(frame[0]);
  switch (kind) {
    case ControlKind::kMark:
    case ControlKind::kMarkReturned:
    case ControlKind::kGoodbye:
    case ControlKind::kGoodbyeReturned:
      return Control{kind, std::string(frame.substr(1))};
  }
  return std::nullopt;
}

bool LooksLikeControl(const Message& message) {
  CHECK(!message.parts.empty());
  return message.parts[0].StartsWith(kControlPrefix);
}

}  // namespace taskfarm::zmq_backend
