#ifndef TASKFARM_TESTS_FARM_SIM_JOURNAL_READER_H_
#define TASKFARM_TESTS_FARM_SIM_JOURNAL_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "journal/journalled_result.h"
#include "protocol/ids.h"

namespace taskfarm {

// Which results lie in a journal's file, found behind the journal's back.
class JournalReader {
 public:
  // Reads on, as far as there are whole records in the first `size` of `bytes`. What was read
  // before is still there. Dies (CHECK) on a record that is not sound.
  void ReadOn(const std::string& bytes, size_t size);

  // The file may have changed altogether.
  void StartAnew();

  // The last result with this key; null if there is none.
  const JournalledResult* Find(const TaskKey& key) const;

  const absl::flat_hash_map<TaskKey, JournalledResult>& results() const { return results_; }

 private:
  size_t position_ = 0;
  uint32_t seed_ = 0;
  absl::flat_hash_map<TaskKey, JournalledResult> results_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_JOURNAL_READER_H_
