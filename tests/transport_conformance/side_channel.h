#ifndef TASKFARM_TESTS_TRANSPORT_CONFORMANCE_SIDE_CHANNEL_H_
#define TASKFARM_TESTS_TRANSPORT_CONFORMANCE_SIDE_CHANNEL_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace taskfarm::conformance {

// A named pipe beside the transport under test: what reaches a peer that does not read, and what a
// peer says after its connection has ended. Between threads and processes of one machine.
class SideChannel {
 public:
  // A new one with a name of its own.
  SideChannel();
  // One that exists, for as long as its creator keeps it.
  explicit SideChannel(const std::string& path);
  ~SideChannel();
  SideChannel(const SideChannel&) = delete;
  SideChannel& operator=(const SideChannel&) = delete;

  const std::string& path() const { return path_; }

  // Up to 4096 bytes; never blocks.
  void Write(absl::string_view text);

  // Something was written that nobody has read; waits up to `timeout` for it.
  bool WaitReadable(absl::Duration timeout) const;

  // All that was written; empty if nothing was.
  std::string Read();

 private:
  const bool owned_;
  const std::string path_;
  const int fd_;
};

}  // namespace taskfarm::conformance

#endif  // TASKFARM_TESTS_TRANSPORT_CONFORMANCE_SIDE_CHANNEL_H_
