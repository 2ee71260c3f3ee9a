// What a good engineer would write by hand to keep two threads busy with tasks: a channel to each,
// and one back, each a queue under a lock that is emptied whole at each look.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/flags/parse.h"
#include "bench/raw_load.h"

namespace taskfarm::bench {
namespace {

struct Item {
  int worker = 0;
  uint64_t number = 0;
};

class Channel {
 public:
  void Send(const Item& item) {
    bool was_empty = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      was_empty = items_.empty();
      items_.push_back(item);
    }
    if (was_empty) ready_.notify_one();
  }

  void Close() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    ready_.notify_one();
  }

  // Waits for items and takes all of them; none once it is closed.
  void Take(std::vector<Item>& items) {
    items.clear();
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait(lock, [this] { return !items_.empty() || closed_; });
    items_.swap(items);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<Item> items_;
  bool closed_ = false;
};

class Farm : public RawFarm {
 public:
  explicit Farm(uint64_t steps) {
    for (int worker = 0; worker < kRawWorkers; ++worker) {
      threads_.emplace_back([this, worker, steps] { RunWorker(worker, steps); });
    }
  }
  ~Farm() override {
    for (Channel& tasks : tasks_) tasks.Close();
    for (std::thread& thread : threads_) thread.join();
  }

  void Send(int worker, uint64_t number) override { tasks_[worker].Send({worker, number}); }

  RawResult Receive() override {
    if (next_ == arrived_.size()) {
      results_.Take(arrived_);
      next_ = 0;
    }
    const Item& item = arrived_[next_++];
    return {item.worker, item.number};
  }

 private:
  void RunWorker(int worker, uint64_t steps) {
    std::vector<Item> tasks;
    for (tasks_[worker].Take(tasks); !tasks.empty(); tasks_[worker].Take(tasks)) {
      for (const Item& task : tasks) results_.Send({worker, Work(task.number, steps)});
    }
  }

  Channel tasks_[kRawWorkers];
  Channel results_;
  std::vector<Item> arrived_;
  size_t next_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const taskfarm::bench::RawTask task;
  taskfarm::bench::Farm farm(task.steps());
  task.Measure(farm, {});
}
