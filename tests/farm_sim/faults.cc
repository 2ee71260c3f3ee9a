#include "tests/farm_sim/faults.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace taskfarm {

struct Faults::Kind {
  const char* name;
  int weight;
  bool (Faults::*inject)();
};

const std::vector<Faults::Kind>& Faults::Kinds() {
  static const auto& kinds = *new std::vector<Kind>{
      {"worker killed", 3, &Faults::KillWorker},
      {"connection lost", 4, &Faults::LoseConnection},
      {"connected again", 2, &Faults::Reconnect},
      {"one-way partition", 2, &Faults::PartitionOneWay},
      {"full partition", 1, &Faults::PartitionBothWays},
      {"clogged link", 2, &Faults::Clog},
      {"worker paused", 2, &Faults::PauseWorker},
      {"master paused", 1, &Faults::PauseMaster},
      {"worker drained", 2, &Faults::DrainWorker},
      {"task cancelled", 3, &Faults::CancelTask},
      {"master killed", 2, &Faults::KillMaster},
      {"master's machine crashed", 4, &Faults::CrashMachine},
      {"disk told to fail", 3, &Faults::FailDisk},
      {"disk filled", 2, &Faults::FillDisk},
  };
  return kinds;
}

Faults::Faults(const FarmSimOptions& options, const SimFarm& farm, SimLog log)
    : options_(options),
      farm_(farm),
      log_(std::move(log)),
      random_(options.seed ^ 0x6661756c74730000),
      left_(options.faults == FarmFaults::kNone ? 0 : options.fault_count),
      next_(farm.clock->Now() + random_.UpTo(options.longest_fault_pause)) {}

absl::Time Faults::NextEvent() const {
  return over() ? absl::InfiniteFuture() : std::min(next_, unfill_at_);
}

void Faults::Inject() {
  const absl::Time now = farm_.clock->Now();
  if (now >= unfill_at_) {
    farm_.disk->Unfill();
    unfill_at_ = absl::InfiniteFuture();
  }
  if (now < next_) return;
  next_ = now + random_.UpTo(options_.longest_fault_pause);
  if (--left_ == 0) return Stop();
  if (options_.faults == FarmFaults::kDrains) {
    if (DrainWorker()) Count("worker drained");
    return;
  }
  int weights = 0;
  for (const Kind& kind : Kinds()) weights += kind.weight;
  int64_t place = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(weights)));
  for (const Kind& kind : Kinds()) {
    place -= kind.weight;
    if (place >= 0) continue;
    if ((this->*kind.inject)()) {
      Count(kind.name);
      log_("fault", kind.name);
    }
    return;
  }
}

void Faults::Stop() {
  left_ = 0;
  log_("fault", "no more");
  const absl::Time now = farm_.clock->Now();
  farm_.disk->ClearFaults();
  farm_.master->Pause(now);
  for (const auto& worker : *farm_.workers) {
    worker->Pause(now);
    if (!worker->running()) continue;
    farm_.network->Block(worker->endpoint(), SimDirection::kBoth, absl::InfinitePast());
    farm_.network->Clog(worker->endpoint(), SimDirection::kBoth, absl::ZeroDuration(), now);
    if (!farm_.network->IsConnected(worker->endpoint())) {
      farm_.network->Reconnect(worker->endpoint());
    }
  }
}

SimWorker* Faults::AnyRunningWorker() {
  SimWorker* const worker = (*farm_.workers)[random_.Below(farm_.workers->size())].get();
  return worker->running() ? worker : nullptr;
}

absl::Duration Faults::AnyNotice() {
  return random_.OneIn(2) ? absl::Milliseconds(10) : absl::InfiniteDuration();
}

bool Faults::KillWorker() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  worker->Kill(AnyNotice());
  worker->StartAt(farm_.clock->Now() + random_.UpTo(absl::Seconds(20)));
  return true;
}

bool Faults::LoseConnection() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr || !farm_.network->IsConnected(worker->endpoint())) return false;
  farm_.network->Disconnect(worker->endpoint(), static_cast<SimNotice>(random_.Below(4)));
  if (random_.OneIn(2)) farm_.network->Reconnect(worker->endpoint());
  return true;
}

bool Faults::Reconnect() {
  for (const auto& worker : *farm_.workers) {
    if (!worker->running() || farm_.network->IsConnected(worker->endpoint())) continue;
    if (random_.OneIn(2)) KillAllBut(*worker);
    farm_.network->Reconnect(worker->endpoint());
    return farm_.master->running();
  }
  return false;
}

// So what it had may have been with others meanwhile, and is with nobody when it comes back.
void Faults::KillAllBut(const SimWorker& last) {
  for (const auto& worker : *farm_.workers) {
    if (!worker->running() || worker.get() == &last) continue;
    worker->Kill(absl::ZeroDuration());
    worker->StartAt(farm_.clock->Now() + random_.UpTo(absl::Seconds(20)));
    Count("worker killed with all others");
  }
}

bool Faults::PartitionOneWay() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  farm_.network->Block(worker->endpoint(), static_cast<SimDirection>(random_.Below(2)),
                       farm_.clock->Now() + random_.UpTo(2 * options_.lease));
  return true;
}

bool Faults::PartitionBothWays() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  farm_.network->Block(worker->endpoint(), SimDirection::kBoth,
                       farm_.clock->Now() + random_.UpTo(2 * options_.lease));
  return true;
}

bool Faults::Clog() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  farm_.network->Clog(worker->endpoint(), static_cast<SimDirection>(random_.Below(3)),
                      random_.UpTo(absl::Seconds(3)),
                      farm_.clock->Now() + random_.UpTo(absl::Seconds(5)));
  return true;
}

bool Faults::PauseWorker() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  worker->Pause(farm_.clock->Now() + random_.UpTo(2 * options_.lease));
  return true;
}

bool Faults::PauseMaster() {
  if (!farm_.master->running()) return false;
  farm_.master->Pause(farm_.clock->Now() + random_.UpTo(2 * options_.lease));
  return true;
}

bool Faults::DrainWorker() {
  SimWorker* const worker = AnyRunningWorker();
  if (worker == nullptr) return false;
  // Who leaves before the welcome leaves without a goodbye, and is lost to the master.
  if (options_.faults == FarmFaults::kDrains && !worker->joined()) return false;
  if (worker->running_tasks() > 0) Count("worker drained while tasks run");
  worker->Drain();
  return true;
}

bool Faults::CancelTask() {
  if (!farm_.master->running() || farm_.checker->submitted() == 0) return false;
  const uint64_t tag = random_.Below(farm_.checker->submitted());
  farm_.checker->Cancel(tag);
  farm_.master->inbox().Cancel(farm_.checker->TaskOf(tag));
  return true;
}

bool Faults::KillMaster() { return CrashMaster(SimMaster::Death::kProcess); }

bool Faults::CrashMachine() {
  return options_.journal.has_value() && CrashMaster(SimMaster::Death::kMachine);
}

bool Faults::CrashMaster(SimMaster::Death how) {
  if (!farm_.master->running()) return false;
  farm_.master->Crash(how, AnyNotice());
  if (options_.journal.has_value() && random_.OneIn(3)) farm_.master->FlipBit();
  if (random_.OneIn(3)) {
    farm_.job->Change(random_.Below(farm_.job->tasks()));
    Count("task changed");
  }
  const absl::Duration longest = random_.OneIn(8) ? 2 * options_.master_patience : absl::Seconds(3);
  farm_.master->StartAt(farm_.clock->Now() + random_.UpTo(longest));
  return true;
}

bool Faults::FailDisk() {
  if (!options_.journal.has_value()) return false;
  switch (random_.Below(4)) {
    case 0:
      farm_.disk->FailNextWrite();
      return true;
    case 1:
      farm_.disk->FailNextSync();
      return true;
    default:
      farm_.disk->ShortenNextWrite();
      return true;
  }
}

bool Faults::FillDisk() {
  if (!options_.journal.has_value() || farm_.disk->is_full()) return false;
  farm_.disk->FillUp(random_.Below(2000));
  unfill_at_ = farm_.clock->Now() + random_.UpTo(absl::Seconds(15));
  return true;
}

}  // namespace taskfarm
