#include "master/worker_identities.h"

namespace taskfarm {

void WorkerIdentities::Add(WorkerId worker, absl::string_view identity) {
  if (identity.empty()) return;
  const auto next = static_cast<uint32_t>(numbers_.size() + 1);
  identities_[worker] = numbers_.try_emplace(identity, next).first->second;
  order_.push_back(worker);
  if (order_.size() <= max_workers_) return;
  identities_.erase(order_.front());
  order_.pop_front();
}

bool WorkerIdentities::Is(WorkerId worker, absl::string_view identity) const {
  const auto known = identities_.find(worker);
  if (identity.empty() || known == identities_.end()) {
    return identity.empty() && known == identities_.end();
  }
  const auto number = numbers_.find(identity);
  return number != numbers_.end() && number->second == known->second;
}

}  // namespace taskfarm
