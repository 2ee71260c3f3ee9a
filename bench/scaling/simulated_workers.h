#ifndef TASKFARM_BENCH_SCALING_SIMULATED_WORKERS_H_
#define TASKFARM_BENCH_SCALING_SIMULATED_WORKERS_H_

#include <cstdint>
#include <queue>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/arena.h"
#include "protocol/ids.h"
#include "protocol/taskfarm.pb.h"
#include "transport/manual_clock.h"
#include "transport/transport.h"

namespace taskfarm {

// What a master with many workers sees, without threads, sockets and time that passes by itself: a
// transport whose messages are handed over as they are, and the workers behind it. What they do
// happens in Turn(), so that Poll() and Send() cost the master next to nothing and all that
// Master::Tick() takes is its own.
//
// A worker runs up to its slots of tasks at a time and reports them in one message; each such round
// takes about `run`, the half more or less. The reply to a request of 8 bytes is those bytes.
class SimulatedWorkers : public Transport {
 public:
  struct Options {
    uint32_t slots = 1;
    absl::Duration run = absl::Milliseconds(1);
    absl::Duration heartbeat = absl::Seconds(1);
    size_t messages_a_turn = 8;  // how many wait for the master when it looks
    uint64_t seed = 1;
    uint64_t epoch = 1;  // the master's
  };

  SimulatedWorkers(const Options& options, ManualClock* clock);

  // A worker comes up now, and says hello in the next turn.
  void Join();

  // All workers go, with what they hold.
  void LeaveAll();

  // The workers take what the master has sent, the clock goes on to when so many messages wait for
  // the master as a turn has, and those are there for Poll(). False: nobody has anything to say.
  bool Turn();

  // Delivers only what is due by `until`, and leaves the clock there.
  void TurnUntil(absl::Time until);

  uint64_t workers() const { return workers_.size(); }
  uint64_t served() const { return served_; }                    // workers that were given a task
  absl::Duration longest_wait() const { return longest_wait_; }  // from joining to that

  // Messages so far.
  uint64_t to_workers() const { return to_workers_; }
  uint64_t to_master() const { return to_master_; }

  absl::Status Send(PeerId to, Message&& message) override;
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override;
  void Wake() override {}
  absl::Status Close(absl::Duration) override { return absl::OkStatus(); }

 private:
  // Both are small: what stands for the workers is not to take the processor's caches from the
  // master more than it must.
  struct Held {
    TaskId task{};
    uint64_t number = 0;  // what the request says
  };
  struct Worker {
    int64_t joined_ns = 0;
    int64_t spoke_ns = 0;  // last
    int64_t started_ns = 0;
    std::vector<Held> held;  // the first `running` run
    uint32_t running = 0;
    uint32_t results = 0;  // messages sent
    bool served = false;
  };
  struct Due {
    int64_t at_ns;
    uint64_t worker;
    friend bool operator<(const Due& a, const Due& b) {  // the earliest on top
      return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.worker > b.worker;
    }
  };

  int64_t NowNs() { return absl::ToUnixNanos(clock_->Now()); }
  void FinishNext();
  static PeerId PeerOf(uint64_t worker) { return PeerId{worker + 1}; }
  void TakeSent();
  void Receive(uint64_t number, const Message& message);
  void GiveBack(uint64_t number, const protocol::Recall& recall);
  void Start(uint64_t number);
  void Finish(uint64_t number);
  void Say(uint64_t number, Message&& message);
  void SayEnvelope(uint64_t number, protocol::Envelope& envelope);

  const Options options_;
  ManualClock* const clock_;
  std::mt19937_64 random_;
  std::vector<Worker> workers_;
  uint64_t gone_ = 0;             // of workers_, the first ones
  std::priority_queue<Due> due_;  // ends of rounds
  std::vector<std::pair<PeerId, Message>> sent_;
  std::vector<TransportEvent> waiting_;  // for Poll()
  size_t next_waiting_ = 0;
  google::protobuf::Arena arena_;
  uint64_t served_ = 0;
  uint64_t to_workers_ = 0;
  uint64_t to_master_ = 0;
  absl::Duration longest_wait_;
};

}  // namespace taskfarm

#endif  // TASKFARM_BENCH_SCALING_SIMULATED_WORKERS_H_
