#ifndef TASKFARM_WORKER_MASTER_DOUBLE_H_
#define TASKFARM_WORKER_MASTER_DOUBLE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "protocol/task.h"
#include "protocol/taskfarm.pb.h"
#include "transport/inproc/inproc_network.h"
#include "transport/transport.h"

namespace taskfarm {

// What a worker said, as one line: "hello", "result #1: 7.1 ok 'reply'", "goodbye: drained" ...
std::string MessageText(const protocol::Envelope& envelope, const Message& message);

// A master for tests of a worker: says what the test tells it to and collects what the worker says.
// The test takes and compares all of it, and the double dies if anything is left at its end, so
// that nothing unexpected passes. One worker at a time. Not thread-safe.
class MasterDouble {
 public:
  static constexpr uint64_t kEpoch = 77;

  // Joins `network`.
  explicit MasterDouble(std::shared_ptr<InprocNetwork> network, size_t send_window_messages = 256);
  ~MasterDouble();

  // All that the worker said since the last call, in order. Polls for at most `timeout`, and only
  // while there is nothing. "up" and "down" stand for the connection.
  std::vector<std::string> Hear(absl::Duration timeout = absl::ZeroDuration());

  void Say(protocol::Envelope envelope, uint64_t epoch = kEpoch);
  void SayWelcome(uint64_t worker = 3, uint64_t epoch = kEpoch);
  void Assign(const std::vector<TaskWork>& tasks);
  void Acknowledge(uint64_t sequence);
  void SayRaw(absl::string_view part);  // whatever it means

  // Leaves without a word. Call nothing but the destructor afterwards.
  void Close();

 private:
  void Poll(absl::Duration timeout);

  std::unique_ptr<Transport> transport_;
  PeerId peer_{};
  std::vector<std::string> heard_;
};

// A task for the worker to run.
TaskWork FunctionTask(uint64_t task, absl::string_view request, uint32_t function = 0);

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_MASTER_DOUBLE_H_
