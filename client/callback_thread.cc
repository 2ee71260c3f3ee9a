#include "client/callback_thread.h"

#include <utility>

#include "base/check.h"

namespace taskfarm {

void CallbackThread::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (!thread_.joinable()) return;
  CHECK(thread_.get_id() != std::this_thread::get_id()) << "a callback ended its own farm";
  thread_.join();
}

void CallbackThread::Post(std::function<void()>&& callback) {
  absl::MutexLock lock(&mutex_);
  if (stop_) return;
  queue_.push_back(std::move(callback));
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
}

void CallbackThread::Loop() {
  std::vector<std::function<void()>> batch;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &CallbackThread::HasWork));
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    for (const auto& callback : batch) callback();
    batch.clear();
  }
}

}  // namespace taskfarm
