#ifndef TASKFARM_BENCH_RAW_LOOP_H_
#define TASKFARM_BENCH_RAW_LOOP_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"

// What the hand-written loops share: everything but how a message travels. A message is a number of
// eight bytes, with payload as the first bytes of a block; the worker changes the number and sends
// the same bytes back.

namespace taskfarm::bench {

// From the flags.
struct RawOptions {
  std::string mode;  // throughput, latency or payload
  double seconds = 0;
  int64_t tasks = 0;  // 0: as many as `seconds` takes
  size_t window = 0;  // messages under way
  size_t bytes = 0;   // of a message
};

// Reads the command line; ends the program if it is wrong.
RawOptions ParseRawOptions(int argc, char** argv);

// The messages' content, one for each number modulo kBlocks.
std::vector<std::string> MakeBlocks(size_t bytes);

// The master's end of the way to the one worker.
class RawLink {
 public:
  virtual ~RawLink() = default;

  // Sends task `number`.
  virtual void Send(uint64_t number) = 0;

  // Waits for the next result: all its bytes, valid until the next call.
  virtual std::string_view Receive() = 0;
};

// Measures what the options say, and prints it. `worker`: the process at the other end.
void MeasureRawLoop(const RawOptions& options, RawLink& link, pid_t worker);

}  // namespace taskfarm::bench

#endif  // TASKFARM_BENCH_RAW_LOOP_H_
