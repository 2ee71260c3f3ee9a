#ifndef TASKFARM_WORKER_WORKER_IMPL_H_
#define TASKFARM_WORKER_WORKER_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/fifo.h"
#include "protocol/reused_arena.h"
#include "protocol/taskfarm.pb.h"
#include "worker/worker.h"
#include "worker/worker_state.h"

namespace taskfarm {

// worker.cc takes turns and takes in what comes; sending.cc says what there is to say.
class Worker::Impl {
 public:
  Impl(const WorkerOptions& options, Transport* transport, Executor* executor, Clock* clock);

  bool Tick(absl::Duration max_wait);
  absl::Time NextDeadline() const;
  void RequestDrain();
  const absl::Status& status() const { return status_; }
  bool wants_restart() const {
    return options_.leave_with_lost_slots && left_by_itself_ && SlotsLeft() < options_.slots;
  }
  void CheckInvariants() const;
  // For what was said last; whoever must know whether it arrived has waited for an answer.
  void Close();

 private:
  bool Done() const { return broken_ || (state_.stopped() && outbox_.empty()); }
  void Step(const WorkerEvent& event) { state_.Step(now_, event, actions_); }
  void CarryOut();
  void TakeResults();
  void Log(absl::string_view text) const;

  void Handle(PeerUp& event);
  void Handle(PeerDown& event);
  void Handle(Received& event);
  void Handle(Writable& event);
  WorkerEvent Read(const Message& message);
  WorkerEvent ReadAssign(uint64_t epoch, const protocol::Assign& assign, const Message& message);

  void Do(worker_action::SendHello& action);
  void Do(worker_action::SendResults& action);
  void Do(worker_action::SendHeartbeat& action);
  void Do(worker_action::SendRecalled& action);
  void Do(worker_action::SendDrain& action);
  void Do(worker_action::SendGoodbye& action);
  void Do(worker_action::Enqueue& action);
  void Do(worker_action::RecallFromExecutor& action);
  void Do(worker_action::CancelInExecutor& action);
  void Do(worker_action::AbandonExecutor& action);
  void Do(worker_action::ForgetResults& action);
  void Do(worker_action::SessionOpened& action);
  void Do(worker_action::SessionEnded& action);
  void Do(worker_action::Stop& action);

  void AddHeld(protocol::Hello& hello) const;
  uint32_t SlotsLeft() const;
  void NoticeLostSlots();
  absl::Status SendSomeResults(uint64_t sequence, size_t at_most, size_t& count);
  void Post(uint64_t epoch, protocol::Envelope& envelope);
  void FlushOutbox();
  void LosePeer(absl::string_view reason);
  void CannotSend(const absl::Status& why);

  const WorkerOptions options_;
  Transport* const transport_;
  Executor* const executor_;
  Clock* const clock_;
  std::atomic<bool> drain_requested_{false};

  absl::Time now_;  // of this turn
  WorkerState state_;
  uint32_t slots_left_ = 0;
  uint32_t told_slots_ = 0;      // in the last Hello
  bool left_by_itself_ = false;  // the last session, and not because the job was over
  absl::Status status_;
  bool broken_ = false;                              // the transport is
  absl::Time look_by_ = absl::InfiniteFuture();      // for results, though nobody wakes us
  absl::Time flush_until_ = absl::InfiniteFuture();  // once stopped

  absl::optional<PeerId> peer_;
  bool blocked_ = false;  // the send window is full
  // What is to be sent before anything else; empty unless blocked_.
  std::deque<Message> outbox_;
  // Oldest first; those the state counts as unsent are the newest.
  Fifo<FinishedWork> results_;

  // Kept between turns for their memory.
  std::vector<TransportEvent> events_;
  std::vector<WorkerAction> actions_;
  std::vector<FinishedWork> finished_;
  std::vector<TaskWork> assigned_;  // of the Assign that is being handled
  ReusedArena receive_arena_;
  ReusedArena send_arena_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_IMPL_H_
