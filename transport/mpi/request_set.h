#ifndef TASKFARM_TRANSPORT_MPI_REQUEST_SET_H_
#define TASKFARM_TRANSPORT_MPI_REQUEST_SET_H_

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/check.h"
#include "transport/mpi/world.h"

namespace taskfarm::mpi {

// MPI requests under way, each with what must live until it completes. Testing costs the same
// however many there are: each call looks at the next few.
template <typename Owner>
class RequestSet {
 public:
  static constexpr size_t kTestedAtOnce = 32;

  struct Completed {
    Owner owner;
    absl::Status status;
  };

  bool empty() const { return requests_.empty(); }

  void Add(MPI_Request request, Owner owner) {
    requests_.push_back(request);
    owners_.push_back(std::move(owner));
  }

  // Appends those that have completed among the next kTestedAtOnce. Never waits.
  void Test(std::vector<Completed>& completed) {
    if (requests_.empty()) return;
    if (next_ >= requests_.size()) next_ = 0;
    const int tested = static_cast<int>(std::min(kTestedAtOnce, requests_.size() - next_));
    int count = 0;
    int indices[kTestedAtOnce];
    MPI_Status statuses[kTestedAtOnce];
    const int code = MPI_Testsome(tested, &requests_[next_], &count, indices, statuses);
    CHECK(code == MPI_SUCCESS || code == MPI_ERR_IN_STATUS) << StatusOfMpi(code, "MPI_Testsome");
    CHECK_NE(count, MPI_UNDEFINED);
    // From the back, because removing moves the last entry into the gap.
    std::vector<std::pair<size_t, int>> found;
    for (int i = 0; i < count; ++i) {
      const int error = code == MPI_SUCCESS ? MPI_SUCCESS : statuses[i].MPI_ERROR;
      found.emplace_back(next_ + static_cast<size_t>(indices[i]), error);
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    next_ += static_cast<size_t>(tested) - found.size();
    for (const auto& [index, error] : found) {
      completed.push_back({std::move(owners_[index]), StatusOfMpi(error, "the transfer")});
      Remove(index);
    }
  }

  // Takes out, unfinished, those whose owner satisfies `condition`: MPI may use what they own for
  // ever.
  template <typename Condition>
  std::vector<Owner> Abandon(Condition condition) {
    std::vector<Owner> abandoned;
    for (size_t index = owners_.size(); index-- > 0;) {
      if (!condition(owners_[index])) continue;
      abandoned.push_back(std::move(owners_[index]));
      Remove(index);
    }
    return abandoned;
  }

 private:
  void Remove(size_t index) {
    if (index + 1 != requests_.size()) {
      requests_[index] = requests_.back();
      owners_[index] = std::move(owners_.back());
    }
    requests_.pop_back();
    owners_.pop_back();
  }

  std::vector<MPI_Request> requests_;  // beside owners_
  std::vector<Owner> owners_;
  size_t next_ = 0;  // where the next Test() starts
};

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_REQUEST_SET_H_
