#ifndef TASKFARM_COMMANDS_EVENT_FLAG_H_
#define TASKFARM_COMMANDS_EVENT_FLAG_H_

namespace taskfarm {

// A flag that goes up once and stays up, and that poll() can wait for beside other descriptors.
// Thread-safe. The constructor dies (CHECK) when the process has no descriptor left.
class EventFlag {
 public:
  EventFlag();
  ~EventFlag();
  EventFlag(const EventFlag&) = delete;
  EventFlag& operator=(const EventFlag&) = delete;

  void Set();
  bool IsSet() const;

  // Readable once the flag is set. Never read from it.
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_EVENT_FLAG_H_
