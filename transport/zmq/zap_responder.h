#ifndef TASKFARM_TRANSPORT_ZMQ_ZAP_RESPONDER_H_
#define TASKFARM_TRANSPORT_ZMQ_ZAP_RESPONDER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "transport/wake_signal.h"
#include "transport/zmq/allow_list.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {

// Answers libzmq, for all sockets of a context, whether the owner of a key may connect (ZAP, ZeroMQ
// RFC 27), from a thread of its own: a handshake never waits for the master's loop. Looks at least
// every second whether somebody who was let in would not be any more.
class ZapResponder {
 public:
  using Keys = absl::flat_hash_set<std::string>;

  // From now on the sockets of `context` that are bound are guarded. `on_revoked` is called on the
  // responder's thread when revoked() has changed.
  static absl::StatusOr<std::unique_ptr<ZapResponder>> Start(zmq::context_t& context,
                                                             std::unique_ptr<AllowList> list,
                                                             std::function<void()> on_revoked);
  ZapResponder(const ZapResponder&) = delete;
  ZapResponder& operator=(const ZapResponder&) = delete;
  ~ZapResponder();

  // The rest is thread-safe.

  // One line for a person about those that are refused, not too often.
  void SetLog(std::function<void(absl::string_view)> log);

  // Public keys that were let in and would not be now. revision() changes with them.
  std::shared_ptr<const Keys> revoked() const;
  uint64_t revision() const { return revision_.load(std::memory_order_acquire); }

 private:
  ZapResponder(zmq::context_t& context, std::unique_ptr<AllowList> list,
               std::function<void()> on_revoked, std::shared_ptr<WakeSignal> stop);
  void Run();
  void Answer();
  void Refresh();
  void SayRefused(absl::string_view address);

  // Of the thread.
  zmq::socket_t socket_;
  const std::unique_ptr<AllowList> list_;
  const std::function<void()> on_revoked_;
  Keys admitted_;  // no more than were ever on the list
  uint64_t refused_ = 0;
  absl::Time next_line_ = absl::InfinitePast();

  const std::shared_ptr<WakeSignal> stop_;
  std::atomic<uint64_t> revision_{0};
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Keys> revoked_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Keys>();
  std::function<void(absl::string_view)> log_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace taskfarm::zmq_backend

#endif  // TASKFARM_TRANSPORT_ZMQ_ZAP_RESPONDER_H_
