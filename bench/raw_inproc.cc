// Two threads that hand numbers to each other through queues with a mutex: what taskfarm's inproc:
// is compared with.

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>

#include "bench/raw_loop.h"
#include "bench/results.h"

namespace taskfarm::bench {
namespace {

constexpr uint64_t kStop = UINT64_MAX;

class Queue {
 public:
  void Push(uint64_t number) {
    {
      const std::lock_guard lock(mutex_);
      numbers_.push_back(number);
    }
    changed_.notify_one();
  }

  // Waits for one.
  uint64_t Pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !numbers_.empty(); });
    const uint64_t number = numbers_.front();
    numbers_.pop_front();
    return number;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint64_t> numbers_;
};

class QueueLink : public RawLink {
 public:
  QueueLink(Queue& requests, Queue& replies) : requests_(requests), replies_(replies) {}

  void Send(uint64_t number) override { requests_.Push(number); }
  std::string_view Receive() override {
    reply_ = replies_.Pop();
    return {reinterpret_cast<const char*>(&reply_), sizeof(reply_)};
  }

 private:
  Queue& requests_;
  Queue& replies_;
  uint64_t reply_ = 0;
};

int Main(int argc, char** argv) {
  const RawOptions options = ParseRawOptions(argc, argv);
  if (options.mode == "payload") {
    std::cerr << "between threads there is nothing to carry" << std::endl;
    return 2;
  }
  Queue requests;
  Queue replies;
  std::thread worker([&] {
    for (uint64_t number = requests.Pop(); number != kStop; number = requests.Pop()) {
      replies.Push(ResultOf(number));
    }
  });
  QueueLink link(requests, replies);
  MeasureRawLoop(options, link, getpid());
  requests.Push(kStop);
  worker.join();
  return 0;
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) { return taskfarm::bench::Main(argc, argv); }
