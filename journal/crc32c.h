#ifndef TASKFARM_JOURNAL_CRC32C_H_
#define TASKFARM_JOURNAL_CRC32C_H_

#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace taskfarm {

// The CRC-32C (Castagnoli) of `bytes`, or, given the CRC of what comes before them, of both.
uint32_t Crc32c(absl::string_view bytes, uint32_t before = 0);
uint32_t Crc32c(const absl::Cord& bytes, uint32_t before = 0);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_CRC32C_H_
