#include "client/reply.h"

#include "absl/strings/str_cat.h"
#include "worker/typed_function.h"

namespace taskfarm {

absl::Status ParseReply(const TaskReport& report, google::protobuf::Message& message) {
  if (!report.status.ok()) return report.status;
  if (ParseValue(report.reply, message).ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the reply of task ", Value(report.task), " is not a ",
                                          message.GetDescriptor()->full_name()));
}

}  // namespace taskfarm
