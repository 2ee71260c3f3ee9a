#ifndef TASKFARM_MASTER_WORKER_IDENTITIES_H_
#define TASKFARM_MASTER_WORKER_IDENTITIES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "protocol/ids.h"

namespace taskfarm {

// Who each worker of this run has proven to be, beyond the end of its session: what it held is for
// nobody else to claim. Workers of transports that prove nothing have the empty identity.
class WorkerIdentities {
 public:
  explicit WorkerIdentities(size_t max_workers = size_t{1} << 20) : max_workers_(max_workers) {}

  // Beyond max_workers the first ones are forgotten.
  void Add(WorkerId worker, absl::string_view identity);

  // False also for a worker that is forgotten, unless `identity` is empty.
  bool Is(WorkerId worker, absl::string_view identity) const;

 private:
  const size_t max_workers_;
  absl::flat_hash_map<std::string, uint32_t> numbers_;  // of identities, from 1
  absl::flat_hash_map<WorkerId, uint32_t> identities_;  // without the empty one
  std::deque<WorkerId> order_;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_WORKER_IDENTITIES_H_
