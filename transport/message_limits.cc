#include "transport/message_limits.h"

#include "absl/strings/str_cat.h"

namespace taskfarm {

absl::Status CheckMessageLimits(const Message& message, const TransportOptions& options) {
  if (message.parts.empty()) return absl::InvalidArgumentError("message has no parts");
  if (message.parts.size() > options.max_parts) {
    return absl::InvalidArgumentError(absl::StrCat("message has ", message.parts.size(),
                                                   " parts; the limit is ", options.max_parts));
  }
  const size_t bytes = message.total_bytes();
  if (bytes > options.max_message_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("message has ", bytes, " bytes; the limit is ", options.max_message_bytes));
  }
  return absl::OkStatus();
}

}  // namespace taskfarm
