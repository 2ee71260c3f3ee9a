#include "transport/inproc/inproc_network.h"

#include <utility>

#include "base/check.h"
#include "transport/transport.h"

namespace taskfarm {

using inproc::End;
using inproc::Lane;

absl::Status InprocNetwork::Join(std::shared_ptr<End> end) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (end->role == Role::kWorker) {
    workers_.push_back(end);
    if (master_links_) Link(*master_, *end);
    return absl::OkStatus();
  }
  if (master_ != nullptr) {
    return absl::AlreadyExistsError("inproc: there is a master in this process already");
  }
  master_ = std::move(end);
  master_links_ = true;
  for (const std::shared_ptr<End>& worker : workers_) Link(*master_, *worker);
  return absl::OkStatus();
}

void InprocNetwork::StopLinking(const End& end) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (end.role == Role::kMaster) {
    master_links_ = false;
  } else {
    std::erase_if(workers_,
                  [&](const std::shared_ptr<End>& worker) { return worker.get() == &end; });
  }
}

void InprocNetwork::Leave(const End& end) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (end.role != Role::kMaster) return;
  CHECK(master_.get() == &end);
  master_ = nullptr;
}

void InprocNetwork::Link(End& master, End& worker) {
  const PeerId worker_id{++master.last_peer};
  const PeerId master_id{++worker.last_peer};
  const auto to_worker = std::make_shared<Lane>(
      Lane{master.inbox, worker.inbox, master_id, worker_id,
           SendWindow(master.send_window_bytes, master.send_window_messages)});
  const auto to_master = std::make_shared<Lane>(
      Lane{worker.inbox, master.inbox, worker_id, master_id,
           SendWindow(worker.send_window_bytes, worker.send_window_messages)});
  master.inbox->Post(inproc::LinkUp{to_master, to_worker});
  worker.inbox->Post(inproc::LinkUp{to_worker, to_master});
}

}  // namespace taskfarm
