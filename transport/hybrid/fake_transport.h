#ifndef TASKFARM_TRANSPORT_HYBRID_FAKE_TRANSPORT_H_
#define TASKFARM_TRANSPORT_HYBRID_FAKE_TRANSPORT_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "transport/message.h"
#include "transport/transport.h"
#include "transport/wake_signal.h"

namespace taskfarm {

// What a test and a FakeTransport have in common.
struct Fake {
  // Events that the transport is going to have. Any thread.
  void Add(TransportEvent event) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      events.push_back(std::move(event));
    }
    if (signals) signal->Raise();
  }

  std::mutex mutex;
  std::deque<TransportEvent> events;  // guarded by `mutex`
  std::shared_ptr<WakeSignal> signal = *WakeSignal::Create();
  bool signals = true;                      // tells by `signal` what comes
  absl::Duration at_most = absl::Hours(1);  // of the waits
  absl::Status answer;                      // to Send() and Poll()
  std::function<void()> on_wait = [] {};
  std::function<absl::Status(absl::Duration)> close = [](absl::Duration) {
    return absl::OkStatus();
  };

  int polls = 0;
  std::vector<std::pair<PeerId, std::string>> sent;  // the first part
  std::vector<PeerId> disconnected;
};

// A transport that has what a test puts there.
class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(std::shared_ptr<Fake> fake) : fake_(std::move(fake)) {}

  absl::Status Send(PeerId to, Message&& message) override {
    if (fake_->answer.ok()) fake_->sent.emplace_back(to, std::string(message.parts[0]));
    return fake_->answer;
  }

  absl::Status Poll(absl::Duration, size_t max_events,
                    std::vector<TransportEvent>& events) override {
    ++fake_->polls;
    fake_->signal->Drain();
    fake_->signal->Take();
    std::lock_guard<std::mutex> lock(fake_->mutex);
    for (size_t i = 0; i < max_events && !fake_->events.empty(); ++i) {
      events.push_back(std::move(fake_->events.front()));
      fake_->events.pop_front();
    }
    return fake_->answer;
  }

  OutsideWait PrepareOutsideWait() override {
    fake_->on_wait();
    return {.descriptors = {fake_->signal->fd()}, .at_most = fake_->at_most};
  }

  void Disconnect(PeerId peer) override { fake_->disconnected.push_back(peer); }
  void Wake() override {}
  absl::Status Close(absl::Duration linger) override { return fake_->close(linger); }

 private:
  const std::shared_ptr<Fake> fake_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_HYBRID_FAKE_TRANSPORT_H_
