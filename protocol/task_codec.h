#ifndef TASKFARM_PROTOCOL_TASK_CODEC_H_
#define TASKFARM_PROTOCOL_TASK_CODEC_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "protocol/task.h"
#include "protocol/taskfarm.pb.h"
#include "transport/message.h"

namespace taskfarm {

// Between tasks and results as structs and as they travel. Payloads over kInlinePayloadBytes are
// shared with the message in both directions, never copied.

// `task` as it came in `message`, after DecodeEnvelope() was OK on that.
TaskWork TaskFromWire(const protocol::Task& task, const Message& message);

// `result` as it came in `message`, after DecodeEnvelope() was OK on that.
FinishedWork ResultFromWire(const protocol::TaskResult& result, const Message& message);

// An Assign message on its way, filled until something does not fit: at kMaxBatch tasks, or at
// about kBatchBytes. Lives no longer than `arena`.
class AssignBatch {
 public:
  AssignBatch(uint64_t epoch, google::protobuf::Arena& arena);

  // Acknowledges results, in place of a ResultAck.
  void SetAcked(uint64_t sequence);

  // Adds `task`; a command has passed CheckCommand(). False, and nothing is added, if the batch is
  // full: Take() it and start another. An empty batch takes any task.
  bool Add(const TaskWork& task);

  bool empty() const;

  // The message. Call once, on a batch that is not empty.
  Message Take();

 private:
  protocol::Envelope& envelope_;
  Message message_;
  size_t bytes_ = 0;  // of the message, about
};

// The same for a Result message.
class ResultBatch {
 public:
  ResultBatch(uint64_t epoch, uint64_t sequence, google::protobuf::Arena& arena);

  // When the worker lets go of it, by its clock; not set: at once. What waited on the worker is no
  // part of the round trip.
  void SetSent(absl::Time now);

  // The error becomes one printable line of at most kErrorBytes. CHECKs that the outcome is not
  // kLost: that is the master's word.
  bool Add(const FinishedWork& finished);

  bool empty() const;
  Message Take();

 private:
  protocol::Envelope& envelope_;
  Message message_;
  size_t bytes_ = 0;
};

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_TASK_CODEC_H_
