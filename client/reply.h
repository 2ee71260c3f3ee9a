#ifndef TASKFARM_CLIENT_REPLY_H_
#define TASKFARM_CLIENT_REPLY_H_

#include <string>
#include <type_traits>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "client/command.h"
#include "google/protobuf/message.h"
#include "master/task_queue.h"

namespace taskfarm {

// Reads `message` from a report's reply: the report's status if it is not OK, Internal if the
// bytes are not such a message.
absl::Status ParseReply(const TaskReport& report, google::protobuf::Message& message);

// What a report says as the type that the user asked for.
template <typename Reply>
absl::StatusOr<Reply> ReplyFrom(const TaskReport& report) {
  if constexpr (std::is_same_v<Reply, CommandResult>) {
    if (!report.status.ok()) return report.status;
    return CommandResult{report.command.exit_code, std::string(report.command.standard_output),
                         std::string(report.command.standard_error)};
  } else if constexpr (std::is_same_v<Reply, absl::Cord>) {
    if (!report.status.ok()) return report.status;
    return report.reply;
  } else {
    Reply reply;
    if (absl::Status parsed = ParseReply(report, reply); !parsed.ok()) return parsed;
    return reply;
  }
}

}  // namespace taskfarm

#endif  // TASKFARM_CLIENT_REPLY_H_
